//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

mod checkpoint;
mod checks;
mod export;
mod report;

pub(crate) use checkpoint::{CheckpointCommand, CheckpointConsistency, CheckpointInclusion, CheckpointVerify};
pub(crate) use checks::Checks;
pub(crate) use export::{DigestArgs, ExportArgs, Form};
pub(crate) use report::{KeyCommand, ReportArgs, ReportCommand, ReportVerify};

use crate::pin::Pin;

/// Checks an archive of a Chorale network, offline: signatures, feeds, rules, and every merge computed again.
#[derive(Debug, Parser)]
#[command(name = "chorale-audit", version, after_help = EXITS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

pub(crate) const EXITS: &str = "Exit codes: 0 every check ran and passed; 1 a check failed; 2 usage; 3 nothing failed, but incomplete, \
unsupported or unanchored; 4 the archive cannot be read.";

const SHOWN: &str = "Exit codes: 0 shown; 1 the archive's genesis does not verify; 2 usage, or there is no such feed or record; 3 the archive \
has no genesis; 4 it cannot be read.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks everything in an archive.
    Verify(Verify),
    /// Shows what each member put in: rounds, examples, bytes, movement, privacy claims, and what the others made of it.
    Contributions(Contributions),
    /// Shows what a release, a member's newest record or any record was made of.
    Lineage(LineageArgs),
    /// Shows who signed two histories, both of them, and whether a manifest version settled which one stands; and which
    /// governors voted for two manifests of one version.
    Forks(ForksArgs),
    /// Checks an evidence bundle, or a manifest against the one in force, by itself.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Shows, checks and compares versions of the network's manifest.
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Checks the heads of members' logs and who cosigned them, and proves what is in a log.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Says what two archives of one network do not share, and who showed them different histories.
    Diff(DiffArgs),
    /// Says what an archive is, byte for byte. Shows, does not verify.
    Digest(DigestArgs),
    /// Writes an archive's updates for other programs.
    Export(ExportArgs),
    /// Writes a report for people who read no JSON, and signs what it came to.
    Report(ReportArgs),
    /// Makes and shows the auditor's own signing key.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Says what a finding's code means and what to do about it; without a code, lists them all.
    Explain {
        /// Such as MRG-001.
        code: Option<String>,
    },
    /// Lists the feeds of an archive, or one feed's records. Shows, does not verify.
    #[command(after_help = SHOWN)]
    Feed {
        /// A folder or a tar of one.
        archive: PathBuf,
        /// A member's label, or its id or the beginning of it; without it, all feeds.
        feed: Option<String>,
    },
    /// Shows one record in full, and between which times it came to be if the archive has logs. Checks its signature, not its merge.
    #[command(after_help = SHOWN)]
    Record {
        /// A folder or a tar of one.
        archive: PathBuf,
        /// The record's id or the beginning of it, 4 digits or more.
        id: String,
        /// As one JSON line.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether results are wanted as JSON, errors among them.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Verify(args) => args.json,
            Self::Contributions(args) => args.json,
            Self::Lineage(args) => args.drawing == Drawing::Json,
            Self::Forks(args) => args.json,
            Self::Evidence(EvidenceCommand::Verify(args)) => args.json,
            Self::Manifest(ManifestCommand::Show(args)) => args.json,
            Self::Manifest(ManifestCommand::Verify(args)) => args.json,
            Self::Manifest(ManifestCommand::Diff(args)) => args.json,
            Self::Checkpoint(CheckpointCommand::Verify(args)) => args.json,
            Self::Checkpoint(CheckpointCommand::Consistency(args)) => args.json,
            Self::Checkpoint(CheckpointCommand::Inclusion(args)) => args.json,
            Self::Diff(args) => args.json,
            Self::Record { json, .. } => *json,
            Self::Report(_)
            | Self::Key(_)
            | Self::Digest(_)
            | Self::Export(_)
            | Self::Explain { .. }
            | Self::Feed { .. } => false,
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
#[command(after_help = EXITS)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) checks: Checks,
    /// Say the archive's digest, too: every byte is read and hashed once more before the audit, and once after it.
    #[arg(long)]
    pub(crate) digest: bool,
    /// Findings and summary as JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without `--of`, the lineage of every member's newest record is shown. Exit codes: 0 shown; 1 the archive is of \
another network or its genesis does not verify; 2 usage; 3 a record named in the lineage is not in the archive; 4 \
the archive cannot be read."
)]
pub(crate) struct LineageArgs {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// Of what: the beginning of a record's id (4 digits or more), a release's label, or a member's label or id for its newest record.
    #[arg(long, value_name = "RECORD|RELEASE|MEMBER")]
    pub(crate) of: Option<String>,
    /// How to show it.
    #[arg(long = "as", value_enum, default_value = "text")]
    pub(crate) drawing: Drawing,
    /// How many steps up.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub(crate) depth: u64,
}

/// How to show a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// A table, the newest record first.
    Text,
    /// For Graphviz.
    Dot,
    /// A JSON line for each record, then a summary.
    Json,
    /// A picture: one lane for each feed.
    Svg,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Signatures and links are checked. Exit codes: 0 no fork, or every one settled; 1 a fork that no manifest version \
settles, a governor that voted twice and governs still, or another network; 2 usage; 3 no unsettled fork, but something could not be read that may hide one; 4 the \
archive cannot be read."
)]
pub(crate) struct ForksArgs {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// One JSON line for each fork, then a summary.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Says whose key signed the two records of a bundle, and what they prove; or who voted for a manifest and for another of
    /// its version.
    Verify(EvidenceVerify),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys are those of the manifests: give the genesis, and later versions if the records name them; or an archive that \
holds them. Exit codes: 0 it is proof; 1 it proves nothing; 2 usage; 3 it cannot be judged yet: a manifest version that it names is \
not here, or it is of a newer version of the protocol; 4 a file cannot be read."
)]
pub(crate) struct EvidenceVerify {
    /// The bundle, such as a file in an archive's folder evidence/; or a signed manifest, such as one in conflicts/.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// An archive to take the manifests from.
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) archive: Option<PathBuf>,
    /// The file of the next manifest version; may be given more than once, in their order.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Vec<PathBuf>,
    /// The result as one JSON line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Shows a version: members, governors, votes, cuts, policy.
    Show(ManifestShow),
    /// Checks the chain from the genesis on: each version's votes, k of n, and what it may not change.
    Verify(ManifestVerify),
    /// Says in words what one version changes of another.
    Diff(ManifestDiff),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Of an archive, versions of the verified chain are shown. A file is shown by itself: its votes verify, but whether \
they are enough only `manifest verify` says. Exit codes: 0 shown; 1 it does not verify; 2 usage; 4 it cannot be \
read."
)]
pub(crate) struct ManifestShow {
    /// An archive, or manifest files.
    #[arg(required = true, value_name = "ARCHIVE|FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// Which version; the newest if absent.
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// As one JSON line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the whole chain verifies; 1 a version does not, or it is another network's; 2 usage; 3 a version is \
missing; 4 it cannot be read."
)]
pub(crate) struct ManifestVerify {
    /// An archive, or the genesis file and the files of the versions after it, in their order.
    #[arg(required = true, value_name = "ARCHIVE|FILE")]
    pub(crate) from: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// One JSON line for each version, then a summary.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 compared, whatever came of it; 1 a version does not verify; 2 usage; 4 a file cannot be read."
)]
pub(crate) struct ManifestDiff {
    /// An archive, or manifest files.
    #[arg(required = true, value_name = "ARCHIVE|FILE")]
    pub(crate) from: Vec<PathBuf>,
    /// The older version; the last but one if absent.
    #[arg(long, value_name = "N")]
    pub(crate) old: Option<u64>,
    /// The newer version; the newest if absent.
    #[arg(long, value_name = "N")]
    pub(crate) new: Option<u64>,
    /// One JSON line for each change, then a summary.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every byte of both is read. Exit codes: 0 compared, and no split view; 1 a split view: one feed \
shows two histories, or one manifest version has two forms; or the archives are of different networks; 2 usage; 3 no \
split view, but something could not be checked or is damaged; 4 an archive cannot be read."
)]
pub(crate) struct DiffArgs {
    /// A folder or a tar of one.
    #[arg(value_name = "ARCHIVE_A")]
    pub(crate) a: PathBuf,
    /// Another one.
    #[arg(value_name = "ARCHIVE_B")]
    pub(crate) b: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// Where to write the evidence of the first split view, if there is one; `evidence verify` reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence_out: Option<PathBuf>,
    /// JSON lines, with every id; then a summary.
    #[arg(long)]
    pub(crate) json: bool,
}
