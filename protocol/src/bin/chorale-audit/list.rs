//! What an archive holds, shown without a verdict; and what codes mean.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::anyhow;
use chorale_protocol::{
    audit::{
        Archive, Piece,
        codes::{self, Code},
        layout::{FEED_FILE_BYTES, Name},
        pieces,
    },
    base::{Incarnation, MemberId},
    feed::{Checked, Record, Spec, check_despite_cut},
    manifest::Chain,
};

use crate::{
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    folder, json, survey,
};

/// One code, or all.
pub(crate) fn explain(code: Option<&str>) -> Result<Exit, Trouble> {
    let mut out = io::stdout().lock();
    let Some(code) = code else {
        for Code { code, meaning, .. } in codes::all() {
            writeln!(out, "{code:<9} {meaning}").or_io()?;
        }
        return Ok(Exit::Passed);
    };
    let unknown = || anyhow!("no finding has the code {code:?}; `chorale-audit explain` lists them all");
    let entry = codes::explain(&code.to_uppercase()).ok_or_else(unknown).or_usage()?;
    writeln!(out, "{} ({})\n{}\n{}", entry.code, json::severity(entry.severity), entry.meaning, entry.action)
        .or_io()?;
    Ok(Exit::Passed)
}

/// All feeds, or the records of those whose name begins with `prefix`.
pub(crate) fn feeds(path: &Path, prefix: Option<&str>) -> Result<Exit, Trouble> {
    let archive = folder::open(path).or_io()?;
    let survey = survey::open(&*archive, path, None)?;
    let chain = survey.chain();
    let mut out = io::stdout().lock();
    let mut any = false;
    for (member, incarnation) in names(&*archive)? {
        let name = format!("{member}.{incarnation}");
        if prefix.is_some_and(|prefix| !name.starts_with(prefix)) {
            continue;
        }
        any = true;
        let (records, bad) = records(&*archive, member, incarnation, chain)?;
        writeln!(out, "{name}: {} records, {bad} unreadable", records.len()).or_io()?;
        for checked in records.iter().filter(|_| prefix.is_some()) {
            writeln!(out, "{}", line(checked)).or_io()?;
        }
    }
    if any { Ok(Exit::Passed) } else { Err(anyhow!("the archive has no such feed")).or_usage() }
}

/// The records whose id begins with `prefix`.
pub(crate) fn record(path: &Path, prefix: &str) -> Result<Exit, Trouble> {
    let archive = folder::open(path).or_io()?;
    let survey = survey::open(&*archive, path, None)?;
    let chain = survey.chain();
    let mut out = io::stdout().lock();
    let mut any = false;
    for (member, incarnation) in names(&*archive)? {
        for checked in records(&*archive, member, incarnation, chain)?.0 {
            if checked.id().to_string().starts_with(prefix) {
                any = true;
                let text = format!("{:#?}", checked.record());
                let text: Vec<String> = text.lines().map(escape).collect();
                writeln!(out, "record {}\n{}", checked.id(), text.join("\n")).or_io()?;
            }
        }
    }
    if any { Ok(Exit::Passed) } else { Err(anyhow!("the archive has no such record")).or_usage() }
}

fn names(archive: &dyn Archive) -> Result<Vec<(MemberId, Incarnation)>, Trouble> {
    let files = archive.files().or_io()?;
    let feed = |(name, _): &(String, u64)| match Name::parse(name) {
        Some(Name::Feed(member, incarnation)) => Some((member, incarnation)),
        _ => None,
    };
    Ok(files.iter().filter_map(feed).collect())
}

fn records(
    archive: &dyn Archive,
    member: MemberId,
    incarnation: Incarnation,
    chain: &Chain,
) -> Result<(Vec<Checked>, u64), Trouble> {
    let file = archive.read(&Name::Feed(member, incarnation).to_string(), FEED_FILE_BYTES).or_io()?;
    let (mut records, mut bad) = (Vec::new(), 0);
    for piece in pieces(&file) {
        match piece {
            Piece::Frame { envelope, .. } => match check_despite_cut(envelope, chain) {
                Ok(checked) => records.push(checked),
                Err(_) => bad += 1,
            },
            Piece::Damage { .. } => bad += 1,
        }
    }
    Ok((records, bad))
}

fn line(checked: &Checked) -> String {
    let Record { seq, clock, manifest_version, parents, spec, .. } = checked.record();
    let what = match spec {
        Spec::Update(update) => {
            format!("update of round {}, {} merged, {} steps", update.round, parents.len(), update.steps)
        }
        Spec::Release(release) => format!("release {} of round {}", release.label, release.round),
        Spec::Evidence(evidence) => format!("evidence against {}", evidence.accused),
        Spec::Close(why) => format!("close: {why:?}"),
    };
    escape(&format!("  seq {seq:<6} clock {clock:<6} manifest {manifest_version} {} {what}", checked.id()))
}
