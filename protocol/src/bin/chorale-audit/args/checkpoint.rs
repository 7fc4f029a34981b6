//! The command line of `checkpoint`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::pin::Pin;

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Checks a log's checkpoint, a proof that a record is in a log, or all logs of an archive.
    Verify(CheckpointVerify),
    /// Proves that a log's later head continues an earlier one.
    Consistency(CheckpointConsistency),
    /// Proves that a record is in a log that others cosigned.
    Inclusion(CheckpointInclusion),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For a file, keys are those of the manifests: give the genesis, and later versions if keys changed; or an archive \
that holds them. Exit codes: 0 it verifies; 1 it does not; 2 usage; 3 fewer cosigned it than were asked for, something is \
missing, or there is no log; 4 a file cannot be read."
)]
pub(crate) struct CheckpointVerify {
    /// A signed note, a file that `checkpoint inclusion` wrote, or an archive: a folder or a tar of one.
    #[arg(value_name = "NOTE|PROOF|ARCHIVE")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// For a file: an archive to take the manifests from.
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) archive: Option<PathBuf>,
    /// For a file: the file of the next manifest version; may be given more than once, in their order.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Vec<PathBuf>,
    /// For a file: how many must have cosigned it, if that is more than the network's policy asks for.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=63))]
    pub(crate) witnesses: Option<u8>,
    /// JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 proved; 1 the archive is of another network, or the log does not verify; 2 usage; 3 the archive has \
no tiles of that log; 4 it cannot be read."
)]
pub(crate) struct CheckpointConsistency {
    /// Leaves of the earlier head, which was signed.
    pub(crate) old: u64,
    /// Leaves of the later one, which was signed, too.
    pub(crate) new: u64,
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// Whose log: a member's label, or its id or the beginning of it. Not needed where the archive has the tiles of one log.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) log: Option<String>,
    /// As one JSON line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The earliest head with enough cosigners is taken. Exit codes: 0 proved; 1 the archive is of another network, or a log does \
not verify; 2 usage; 3 no log here has the record, or no head of it has enough cosigners; 4 a file cannot be read or written."
)]
pub(crate) struct CheckpointInclusion {
    /// The record's id or the beginning of it, 4 digits or more.
    pub(crate) record: String,
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// Whose log: a member's label, or its id or the beginning of it; else the first by member id that will do.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) log: Option<String>,
    /// How many must have cosigned the head, if that is more than the network's policy asks for.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=63))]
    pub(crate) witnesses: Option<u8>,
    /// Where to write the proof, as c2sp.org/tlog-proof lays it out; `checkpoint verify` reads it.
    #[arg(long, value_name = "FILE.tlog-proof")]
    pub(crate) out: Option<PathBuf>,
    /// As one JSON line.
    #[arg(long)]
    pub(crate) json: bool,
}
