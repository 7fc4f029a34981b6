//! `verify`: what to check, the check, and how it is shown.

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::Path,
    thread,
};

use anyhow::{Context, anyhow, ensure};
use chorale_protocol::{
    audit::{Options, replay},
    base::{NetworkId, RecordId, limit},
    manifest::Chain,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    args::Verify,
    exit::{Exit, OrExit, Trouble},
    folder, human, json,
};

/// Bytes of a file of anchors.
const ANCHOR_BYTES: u64 = 16 << 20;

pub(crate) fn verify(args: &Verify) -> Result<Exit, Trouble> {
    let options = options(args)?;
    let archive = folder::open(&args.archive).or_io()?;
    let bar = progress_bar();
    let report = replay(&*archive, &options, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report.with_context(|| format!("cannot read {}", args.archive.display())).or_io()?;
    let verdict = report.verdict();
    let shown = if args.json { json::report(&report, verdict) } else { human::report(&report, verdict, args) };
    shown.context("cannot write the report").or_io()?;
    Ok(verdict.into())
}

fn options(args: &Verify) -> Result<Options, Trouble> {
    let mut anchors = Vec::new();
    for anchor in &args.anchor {
        anchors.extend(read_anchors(anchor)?);
    }
    anchors.sort_unstable();
    anchors.dedup();
    let threads = args.threads.map_or_else(|| thread::available_parallelism().map_or(1, Into::into), usize::from);
    Ok(Options {
        network: network(args)?,
        anchors,
        allow_unanchored: args.allow_unanchored,
        recompute: !args.no_recompute,
        threads,
    })
}

fn network(args: &Verify) -> Result<NetworkId, Trouble> {
    if let Some(path) = &args.genesis {
        let bytes = read(path, limit::MANIFEST_BYTES as u64).or_io()?;
        let chain = Chain::genesis(bytes.into()).with_context(|| format!("{} is no genesis", path.display()));
        return Ok(chain.or_usage()?.network());
    }
    let text = args.network.as_deref().unwrap_or_default();
    text.parse().context("--network").or_usage()
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
    let bytes = read(path, ANCHOR_BYTES).or_io()?;
    let content = String::from_utf8(bytes).with_context(|| format!("{text} is no text")).or_usage()?;
    let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let ids = lines.map(|line| line.parse().with_context(|| format!("in {text}"))).collect::<anyhow::Result<Vec<_>>>();
    let ids = ids.or_usage()?;
    if ids.is_empty() {
        return Err(Trouble { exit: Exit::Usage, error: anyhow!("{text} holds no anchor") });
    }
    Ok(ids)
}

fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let context = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(context)?;
    file.take(limit + 1).read_to_end(&mut bytes).with_context(context)?;
    ensure!(bytes.len() as u64 <= limit, "{} has more than {limit} bytes", path.display());
    Ok(bytes)
}

/// On stderr, and only if that is a terminal.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template("checking {wide_bar} {percent}% {eta}") {
        bar.set_style(style);
    }
    bar
}
