//! What an archive holds, shown without a verdict; and what codes mean.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::anyhow;
use chorale_protocol::{
    audit::{
        Archive, Interval, Piece, Witnessed,
        codes::{self, Code},
        layout::{FEED_FILE_BYTES, Name},
        pieces,
    },
    base::{Incarnation, MemberId},
    feed::{Checked, Record, Spec, check_despite_cut},
    log::TreeHash,
    manifest::Chain,
};

use crate::{
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    folder, json, survey, when,
};
use serde_json::json;

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
pub(crate) fn record(path: &Path, prefix: &str, as_json: bool) -> Result<Exit, Trouble> {
    let archive = folder::open(path).or_io()?;
    let survey = survey::open(&*archive, path, None)?;
    let chain = survey.chain();
    let mut out = io::stdout().lock();
    let mut all = Vec::new();
    for (member, incarnation) in names(&*archive)? {
        let records = records(&*archive, member, incarnation, chain)?.0.into_iter();
        all.extend(records.filter(|checked| checked.id().to_string().starts_with(prefix)));
    }
    let (witnesses, intervals) = intervals(&*archive, path, &all)?;
    for (checked, interval) in all.iter().zip(intervals) {
        let record = checked.record();
        let claimed = record.claimed_time;
        if as_json {
            let line = json!({
                "schema": json::SCHEMA,
                "type": "record",
                "record": checked.id().to_string(),
                "member": record.member.to_string(),
                "incarnation": record.incarnation.0,
                "seq": record.seq.0,
                "clock": record.clock.0,
                "manifest_version": record.manifest_version,
                "body": record.body.map(|body| body.hash.to_string()),
                "parents": record.parent_ids().map(|id| id.to_string()).collect::<Vec<_>>(),
                "seen": record.seen.map(|note| note.to_string()),
                "claimed_time_s": claimed.0,
                "claimed_time_outside": interval.excludes(claimed),
                "interval": when::value(&interval),
                "witnesses": witnesses,
            });
            writeln!(out, "{line}").or_io()?;
            continue;
        }
        let text = format!("{record:#?}");
        let text: Vec<String> = text.lines().map(escape).collect();
        let outside = if interval.excludes(claimed) { ", which is outside" } else { "" };
        writeln!(out, "record {}\n{}", checked.id(), text.join("\n")).or_io()?;
        writeln!(out, "time by {witnesses} cosigners: {}", when::interval(&interval)).or_io()?;
        writeln!(out, "time claimed: {}{outside}", when::date(claimed.0)).or_io()?;
    }
    let any = !all.is_empty();
    if any { Ok(Exit::Passed) } else { Err(anyhow!("the archive has no such record")).or_usage() }
}

/// How many cosigners count, and between which times by their word these records came to be.
fn intervals(archive: &dyn Archive, path: &Path, records: &[Checked]) -> Result<(u64, Vec<Interval>), Trouble> {
    let survey = survey::open(archive, path, None)?;
    let witnesses = survey.chain().current().policy.witnesses.unwrap_or(1);
    let leaf = |checked: &Checked| TreeHash::leaf(checked.bytes());
    let mut witnessed = Witnessed::new(witnesses, records.iter().map(leaf));
    for member in survey.logs() {
        witnessed.add(&survey::read(survey.log_book(member), path)?.0);
    }
    let interval = |checked: &Checked| witnessed.interval(&leaf(checked), checked.record().seen.as_ref());
    Ok((witnesses, records.iter().map(interval).collect()))
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
        Spec::Other(other) => format!("record of unknown kind {}", other.kind),
    };
    escape(&format!("  seq {seq:<6} clock {clock:<6} manifest {manifest_version} {} {what}", checked.id()))
}
