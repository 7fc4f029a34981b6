//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand};

use crate::pin::Pin;

/// Checks an archive of a Chorale network, offline: signatures, feeds, rules, and every merge computed again.
#[derive(Debug, Parser)]
#[command(name = "chorale-audit", version, after_help = EXITS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXITS: &str = "Exit codes: 0 every check ran and passed; 1 a check failed; 2 usage; 3 nothing failed, but incomplete, \
unsupported or unanchored; 4 the archive cannot be read.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks everything in an archive.
    Verify(Verify),
    /// Shows what each member put in: rounds, examples, bytes, movement, privacy claims, and what the others made of it.
    Contributions(Contributions),
    /// Says what a finding's code means and what to do about it; without a code, lists them all.
    Explain {
        /// Such as MRG-001.
        code: Option<String>,
    },
    /// Lists the feeds of an archive, or one feed's records. Shows, does not verify.
    Feed {
        /// A folder or a tar of one.
        archive: PathBuf,
        /// A member's id or the beginning of it; without it, all feeds.
        feed: Option<String>,
    },
    /// Shows one record in full. Shows, does not verify.
    Record {
        /// A folder or a tar of one.
        archive: PathBuf,
        /// The record's id or the beginning of it.
        id: String,
    },
}

impl Command {
    /// Whether results are wanted as JSON, errors among them.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Verify(args) => args.json,
            Self::Contributions(args) => args.json,
            Self::Explain { .. } | Self::Feed { .. } | Self::Record { .. } => false,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Contributions {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// Do not compute merges again: nothing is measured, and the verdict is incomplete at best.
    #[arg(long)]
    pub(crate) no_recompute: bool,
    /// Threads; by default one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// One JSON line for each member, then a summary.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which").required(true).args(["network", "genesis"])), after_help = EXITS)]
pub(crate) struct Verify {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    /// The network's id: 64 hexadecimal digits, learnt from someone you trust.
    #[arg(long, value_name = "HEX")]
    pub(crate) network: Option<String>,
    /// Instead of the network's id: its genesis file, from someone you trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
    /// A record that must be there, by id, or a file with one id in each line. The newest you know of, from each member if
    /// you can. May be given more than once.
    #[arg(long, value_name = "HEX|FILE")]
    pub(crate) anchor: Vec<String>,
    /// Let an archive pass without an anchor, although it may have been cut short.
    #[arg(long)]
    pub(crate) allow_unanchored: bool,
    /// Do not compute merges again. The verdict is then incomplete at best.
    #[arg(long)]
    pub(crate) no_recompute: bool,
    /// Threads; by default one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Findings and summary as JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}
