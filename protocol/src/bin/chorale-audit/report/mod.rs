//! `report`: an audit for people who read no JSON, and a summary of it that the auditor signs.

mod chart;
mod page;

use anyhow::anyhow;
use chorale_protocol::audit::{Ancestry, Survey};

use crate::{
    args::{ReportArgs, ReportCommand},
    dsse,
    exit::{Exit, OrExit, Trouble},
    file, human, key, summary, survey, svg, verify,
};

/// Steps up, and records, that the picture of where the releases come from shows.
const DEPTH: u64 = 6;
const NODES: usize = 150;

pub(crate) fn report(args: &ReportArgs) -> Result<Exit, Trouble> {
    if let Some(ReportCommand::Verify(args)) = &args.command {
        return summary::verify(args);
    }
    let (Some(checks), Some(out)) = (&args.checks, &args.out) else {
        return Err(Trouble { exit: Exit::Usage, error: anyhow!("give an archive, its network, and --out") });
    };
    if let Some(time) = args.time.as_deref().filter(|time| !is_time(time)) {
        let error = anyhow!("--time {time:?} is not like 2026-01-31T12:00:00Z");
        return Err(Trouble { exit: Exit::Usage, error });
    }
    // Before the work: a key that cannot be used would be found after it.
    let key = args.sign.as_deref().map(key::read).transpose().or_io()?;
    let verify::Checked { report, archive, digest } = verify::check(checks, true)?;
    let digest = digest.ok_or_else(|| anyhow!("no digest was taken")).or_io()?;
    let survey = Survey::open(&*archive, Some(report.network)).ok();
    let picture = match &survey {
        Some(survey) => lineage(&survey::read(Ancestry::of(survey), &checks.archive)?),
        None => String::new(),
    };
    let page = page::Page {
        report: &report,
        digest,
        chain: survey.as_ref().map(Survey::chain),
        anchors: &verify::options(checks)?.anchors,
        lineage: &picture,
        time: args.time.as_deref(),
    };
    let html = page.html();
    let sealed = key.zip(args.time.as_deref()).map(|(key, time)| {
        let summed = summary::Summed { report: &report, digest, survey: survey.as_ref(), path: &checks.archive };
        Ok(dsse::seal(&summed.statement(&key.public(), time)?, &key))
    });
    let sealed = sealed.transpose()?;
    // The verdict is of what was read first; the pictures and the summary's subjects were read after it.
    verify::unchanged(&*archive, checks, digest)?;
    file::write(out, html.as_bytes()).or_io()?;
    if let Some(sealed) = sealed {
        let mut beside = out.clone().into_os_string();
        beside.push(".dsse.json");
        file::write(beside.as_ref(), sealed.as_bytes()).or_io()?;
    }
    file::print(&format!("Archive digest {digest}\nVerdict: {}\n", human::verdict(&report))).or_io()?;
    Ok(report.verdict().into())
}

/// Of the releases; of the heads where nothing was released.
fn lineage(ancestry: &Ancestry) -> String {
    let releases: Vec<_> = ancestry.releases().into_iter().map(|node| node.id).collect();
    let of = if releases.is_empty() { ancestry.heads() } else { releases };
    if of.is_empty() {
        return String::new();
    }
    svg::lineage(ancestry, &ancestry.lineage(&of, DEPTH, NODES))
}

/// Whether a text is a UTC time as RFC 3339 writes it, to the second.
fn is_time(text: &str) -> bool {
    let shape = b"0000-00-00T00:00:00Z";
    let fits = |(byte, shape): (u8, u8)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    text.len() == shape.len() && text.bytes().zip(*shape).all(fits)
}
