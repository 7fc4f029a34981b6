//! What an audit checks.

use std::path::PathBuf;

use clap::ArgGroup;

/// What to check, and of which network.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("which").required(true).args(["network", "genesis"])))]
pub(crate) struct Checks {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    /// The network's id: 64 hexadecimal digits, learnt from someone you trust.
    #[arg(long, value_name = "HEX")]
    pub(crate) network: Option<String>,
    /// Instead of the network's id: its genesis file, from someone you trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
    /// What must be there: a record's id, the newest of each feed if you can; manifest:HEX, the hash of a manifest version; none:HEX, a
    /// member that published nothing; the file of a manifest; or a file of anchors, such as `chorale archive` writes beside an
    /// archive. May be given more than once.
    #[arg(long, visible_alias = "anchors", value_name = "HEX|FILE")]
    pub(crate) anchor: Vec<String>,
    /// Let an archive pass although anchors do not reach the end of every feed, so that it may have been cut short.
    #[arg(long)]
    pub(crate) allow_unanchored: bool,
    /// Let an archive pass although blobs are missing that the policy no longer keeps. Merges that took them are not computed
    /// again, and say so.
    #[arg(long)]
    pub(crate) allow_pruned: bool,
    /// Do not compute merges again. The verdict is then incomplete at best.
    #[arg(long)]
    pub(crate) no_recompute: bool,
    /// How many members other than a log's owner must have cosigned a checkpoint for it to count, if that is more than the
    /// network's policy asks for.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=63))]
    pub(crate) witnesses: Option<u8>,
    /// Fast and weaker: check of each run of records the newest signature only, which by the hashes in it vouches for those before.
    /// The verdict is then incomplete at best.
    #[arg(long)]
    pub(crate) heads_only: bool,
    /// Map large files into memory instead of reading them, which is faster. Nobody may change the archive meanwhile: if a file is
    /// cut short under it, the system ends the program with a bus error.
    #[arg(long)]
    pub(crate) mmap: bool,
    /// Threads; by default one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}
