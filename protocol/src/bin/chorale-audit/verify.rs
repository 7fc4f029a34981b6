//! `verify`: what to check, the check, and how it is shown.

use std::{path::Path, thread};

use anyhow::{Context, anyhow};
use chorale_protocol::{
    audit::{Archive, Options, Report, replay},
    base::RecordId,
};

use crate::{
    args::{Checks, Verify},
    exit::{Exit, OrExit, Trouble},
    file,
    folder::{self, Access},
    human, json, pin, progress,
};

/// Bytes of a file of anchors.
const ANCHOR_BYTES: u64 = 16 << 20;

pub(crate) fn verify(args: &Verify) -> Result<Exit, Trouble> {
    let (report, _) = check(&args.checks)?;
    let verdict = report.verdict();
    let shown = if args.json { json::report(&report, verdict) } else { human::report(&report, verdict, &args.checks) };
    shown.context("cannot write the report").or_io()?;
    Ok(verdict.into())
}

/// Replays an archive; gives it too.
pub(crate) fn check(args: &Checks) -> Result<(Report, Box<dyn Archive>), Trouble> {
    let options = options(args)?;
    let access = if args.mmap { Access::Map } else { Access::Read };
    let archive = folder::open_by(&args.archive, access).or_io()?;
    let bar = progress::bar();
    let report = replay(&*archive, &options, &progress::seen(&bar));
    bar.finish_and_clear();
    Ok((report.with_context(|| format!("cannot read {}", args.archive.display())).or_io()?, archive))
}

/// What to check.
pub(crate) fn options(args: &Checks) -> Result<Options, Trouble> {
    let mut anchors = Vec::new();
    for anchor in &args.anchor {
        anchors.extend(read_anchors(anchor)?);
    }
    anchors.sort_unstable();
    anchors.dedup();
    Ok(Options {
        network: pin::network(args.network.as_deref(), args.genesis.as_deref())?,
        anchors,
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

/// An id, or a file of ids, one in each line; empty lines and those that begin with # do not count.
fn read_anchors(text: &str) -> Result<Vec<RecordId>, Trouble> {
    if let Ok(id) = text.parse() {
        return Ok(vec![id]);
    }
    let path = Path::new(text);
    if !path.is_file() {
        let problem = anyhow!("--anchor {text:?} is neither 64 hexadecimal digits nor a file");
        return Err(Trouble { exit: Exit::Usage, error: problem });
    }
    let bytes = file::read(path, ANCHOR_BYTES).or_io()?;
    let content = String::from_utf8(bytes).with_context(|| format!("{text} is no text")).or_usage()?;
    let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let ids = lines.map(|line| line.parse().with_context(|| format!("in {text}"))).collect::<anyhow::Result<Vec<_>>>();
    let ids = ids.or_usage()?;
    if ids.is_empty() {
        return Err(Trouble { exit: Exit::Usage, error: anyhow!("{text} holds no anchor") });
    }
    Ok(ids)
}
