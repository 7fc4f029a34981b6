//! `verify`: what to check, the check, and how it is shown.

use std::thread;

use anyhow::{Context, anyhow};
use chorale_protocol::audit::{Archive, ArchiveDigest, Options, Report, replay};

use crate::{
    anchors, archive,
    args::{Checks, Verify},
    digest,
    exit::{Exit, OrExit, Trouble},
    file,
    folder::Access,
    human, json, pin, progress,
};

pub(crate) fn verify(args: &Verify) -> Result<Exit, Trouble> {
    let Checked { report, archive, digest } = check(&args.checks, args.digest)?;
    if let Some(digest) = digest {
        unchanged(&*archive, &args.checks, digest)?;
    }
    let shown = if args.json { json::report(&report, digest) } else { human::report(&report, digest, &args.checks) };
    file::print(&shown).or_io()?;
    Ok(report.verdict().into())
}

/// An archive that was replayed.
pub(crate) struct Checked {
    pub(crate) report: Report,
    pub(crate) archive: Box<dyn Archive>,
    /// What it was before, if that was wanted.
    pub(crate) digest: Option<ArchiveDigest>,
}

/// Replays an archive, and says what it was before if `digest` is wanted.
pub(crate) fn check(args: &Checks, digest: bool) -> Result<Checked, Trouble> {
    let options = options(args)?;
    let access = if args.mmap { Access::Map } else { Access::Read };
    let archive = archive::open_by(&args.archive, access)?;
    let of = |archive: &dyn Archive| Ok(digest::of(archive, &args.archive, args.threads)?.digest());
    let digest = digest.then(|| of(&*archive)).transpose()?;
    let report = audited(&*archive, args, &options)?;
    Ok(Checked { report, archive, digest })
}

/// The verdict is of what was read: an archive that changed meanwhile has none.
pub(crate) fn unchanged(archive: &dyn Archive, args: &Checks, before: ArchiveDigest) -> Result<(), Trouble> {
    if digest::of(archive, &args.archive, args.threads)?.digest() == before {
        return Ok(());
    }
    let error = anyhow!("{} changed while it was audited", args.archive.display());
    Err(Trouble { exit: Exit::Io, error })
}

fn audited(archive: &dyn Archive, args: &Checks, options: &Options) -> Result<Report, Trouble> {
    let bar = progress::bar();
    let report = replay(archive, options, &progress::seen(&bar));
    bar.finish_and_clear();
    report.with_context(|| format!("cannot read {}", args.archive.display())).or_io()
}

/// What to check.
pub(crate) fn options(args: &Checks) -> Result<Options, Trouble> {
    let network = pin::network(args.network.as_deref(), args.genesis.as_deref())?;
    Ok(Options {
        network,
        anchors: anchors::all(&args.anchor, network)?,
        allow_unanchored: args.allow_unanchored,
        allow_pruned: args.allow_pruned,
        recompute: !args.no_recompute,
        witnesses: args.witnesses.map_or(0, u64::from),
        heads_only: args.heads_only,
        threads: threads(args.threads),
    })
}

/// As many threads as were asked for; by default one for each processor.
pub(crate) fn threads(wanted: Option<u16>) -> usize {
    wanted.map_or_else(|| thread::available_parallelism().map_or(1, Into::into), usize::from)
}
