//! `chorale`: one verb, one file in [`cli`].

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
