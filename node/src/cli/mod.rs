//! The command line: one verb, one file. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod card;
mod inbox;
mod init;
mod model;
mod network;
mod out;
mod release;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use out::Out;

/// Many voices, no conductor: a consortium fine-tunes one language model together, without a coordinator
#[derive(Debug, Parser)]
#[command(name = "chorale", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    /// Say results as JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Init(init::Args),
    Card(card::Args),
    Network(network::Args),
    Release(release::ReleaseArgs),
    Leave(release::LeaveArgs),
}

/// Parses the command line and runs its verb.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out::new(cli.json);
    match run(cli.verb, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Errors quote foreign text: files, peers.
            eprintln!("chorale: {}", out::safe_lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb, out: &Out) -> Result<()> {
    match verb {
        Verb::Init(args) => args.run(out),
        Verb::Card(args) => args.run(out),
        Verb::Network(args) => args.run(out),
        Verb::Release(args) => args.run(out),
        Verb::Leave(args) => args.run(out),
    }
}
