//! `chorale`: a file or folder for each verb or two in [`cli`].

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
