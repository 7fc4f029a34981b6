//! The command line: a file or folder for each verb or two. Exit codes: 0 done, 1 failed, 2 wrong usage.

#[cfg(feature = "torch")]
mod adapter;
mod archive;
#[cfg(feature = "torch")]
mod bench;
mod card;
mod data;
#[cfg(feature = "torch")]
mod demo;
mod doctor;
#[cfg(feature = "torch")]
mod eval;
#[cfg(feature = "torch")]
mod export;
#[cfg(feature = "torch")]
mod generate;
mod inbox;
mod init;
mod key;
mod ledger;
mod model;
mod network;
mod out;
mod program;
mod progress;
mod release;
mod run;
mod status;
mod testnet;

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
    Key(key::Args),
    Network(Box<network::Args>),
    Data(data::Args),
    Run(run::Args),
    Status(status::Args),
    Ledger(ledger::Args),
    #[cfg(feature = "torch")]
    Eval(eval::Args),
    #[cfg(feature = "torch")]
    Generate(generate::Args),
    #[cfg(feature = "torch")]
    Export(export::Args),
    Archive(archive::Args),
    Release(release::ReleaseArgs),
    Leave(release::LeaveArgs),
    Testnet(testnet::Args),
    Doctor(doctor::Args),
    #[cfg(feature = "torch")]
    Demo(demo::Args),
    #[cfg(feature = "torch")]
    Pretrain(bench::PretrainArgs),
    #[cfg(feature = "torch")]
    TrainAlone(bench::AloneArgs),
}

/// Parses the command line and runs its verb.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out::new(cli.json);
    match run(cli.verb, &out) {
        Ok(code) => code,
        Err(error) => {
            // Errors quote foreign text: files, peers.
            eprintln!("chorale: {}", out::safe_lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb, out: &Out) -> Result<ExitCode> {
    match verb {
        Verb::Init(args) => args.run(out),
        Verb::Card(args) => args.run(out),
        Verb::Key(args) => args.run(out),
        Verb::Network(args) => args.run(out),
        Verb::Data(args) => args.run(out),
        Verb::Run(args) => return args.run(out),
        Verb::Status(args) => args.run(out),
        Verb::Ledger(args) => args.run(out),
        #[cfg(feature = "torch")]
        Verb::Eval(args) => args.run(out),
        #[cfg(feature = "torch")]
        Verb::Generate(args) => args.run(out),
        #[cfg(feature = "torch")]
        Verb::Export(args) => args.run(out),
        Verb::Archive(args) => args.run(out),
        Verb::Release(args) => args.run(out),
        Verb::Leave(args) => args.run(out),
        Verb::Testnet(args) => args.run(out),
        Verb::Doctor(args) => args.run(out),
        #[cfg(feature = "torch")]
        Verb::Demo(args) => args.run(out),
        #[cfg(feature = "torch")]
        Verb::Pretrain(args) => args.run(out),
        #[cfg(feature = "torch")]
        Verb::TrainAlone(args) => args.run(out),
    }
    .map(|()| ExitCode::SUCCESS)
}
