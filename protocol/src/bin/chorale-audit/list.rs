//! Feeds, shown without a verdict; and what codes mean.

use std::{fmt::Write, path::Path};

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
    archive,
    escape::escape,
    evidence::label,
    exit::{Exit, OrExit, Trouble},
    file, json, survey, when, words,
};

/// One code, or all.
pub(crate) fn explain(code: Option<&str>) -> Result<Exit, Trouble> {
    let text = match code {
        None => codes::all().map(|Code { code, meaning, .. }| format!("{code:<9} {meaning}\n")).collect(),
        Some(code) => {
            let unknown = || anyhow!("no finding has the code {code:?}; `chorale-audit explain` lists them all");
            let entry = codes::explain(&code.to_uppercase()).ok_or_else(unknown).or_usage()?;
            format!("{} ({})\n{}\n{}\n", entry.code, json::severity(entry.severity), entry.meaning, entry.action)
        }
    };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

/// All feeds, or the records of those of this member, by its label or the beginning of its id.
pub(crate) fn feeds(path: &Path, of: Option<&str>) -> Result<Exit, Trouble> {
    let archive = archive::open(path)?;
    let survey = survey::open(&*archive, path, None)?;
    let chain = survey.chain();
    let (mut out, mut any) = (String::new(), false);
    for (member, incarnation) in names(&*archive)? {
        let (name, label) = (format!("{member}.{incarnation}"), label(chain, &member));
        if of.is_some_and(|of| label != of && !name.starts_with(of)) {
            continue;
        }
        any = true;
        let (records, bad) = records(&*archive, member, incarnation, chain)?;
        let count = records.len();
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name} ({}): {count} records, {bad} unreadable", escape(&label));
        for checked in records.iter().filter(|_| of.is_some()) {
            let _ = writeln!(out, "{}", line(chain, checked));
        }
    }
    file::print(&out).or_io()?;
    if any { Ok(Exit::Passed) } else { Err(anyhow!("the archive has no such feed")).or_usage() }
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

fn line(chain: &Chain, checked: &Checked) -> String {
    let Record { seq, clock, manifest_version, parents, claimed_time, spec, .. } = checked.record();
    let what = words::labelled(chain, &words::spec(spec));
    let more = match spec {
        Spec::Update(update) => format!(", {} merged, {} steps", parents.len(), update.steps),
        Spec::Release(_) | Spec::Evidence(_) | Spec::Fault(_) | Spec::Close(_) | Spec::Other(_) => String::new(),
    };
    let (id, date) = (checked.id(), when::date(claimed_time.0));
    escape(&format!("  seq {seq:<6} clock {clock:<6} manifest {manifest_version} claimed {date} {id} {what}{more}"))
}
