//! `diff`: what two archives of one network do not share, and who showed them different histories.

use std::fmt::{Display, Write};

use chorale_protocol::{
    audit::{Comparison, LogSplit, Sides, Split},
    base::{MemberId, NetworkId},
    manifest::Chain,
};
use serde_json::{Value, json};

use crate::{
    archive,
    args::DiffArgs,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    file, forks, json, survey, words,
};

/// Of a kind of thing that one archive lacks, so many are named; the others are in the JSON.
const SHOWN: usize = 5;

pub(crate) fn diff(args: &DiffArgs) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let (a, b) = (archive::open(&args.a)?, archive::open(&args.b)?);
    let a = survey::open(&*a, &args.a, network)?;
    let b = survey::open(&*b, &args.b, Some(a.chain().network()))?;
    let comparison = survey::read(Comparison::of(&a, &b), &args.a)?;
    let exit = exit(&comparison);
    match (&args.evidence_out, comparison.splits.first()) {
        (Some(path), Some(split)) => file::write(path, &split.evidence.to_bytes()).or_io()?,
        (Some(path), None) => eprintln!("chorale-audit: no split view of a feed; {} was not written", path.display()),
        (None, _) => {}
    }
    let text = if args.json {
        lines(&comparison, a.chain().network(), exit)
    } else {
        survey::banner(a.chain().network(), network.is_some()) + &text(&comparison, a.chain())
    };
    file::print(&text).or_io()?;
    Ok(exit)
}

fn exit(comparison: &Comparison) -> Exit {
    match () {
        () if comparison.is_split() => Exit::Failed,
        () if !comparison.findings.is_empty() || comparison.all_records == 0 => Exit::Incomplete,
        () => Exit::Passed,
    }
}

fn text(comparison: &Comparison, chain: &Chain) -> String {
    let named = |member: &MemberId| words::labelled(chain, &member.to_string());
    let mut out = String::new();
    // Writing to a string does not fail.
    if let Some(version) = comparison.conflict {
        let _ = writeln!(
            out,
            "SPLIT VIEW of manifest version {version}: the governors signed two, one for each archive.\n"
        );
    }
    for split in &comparison.splits {
        out += &one(split);
    }
    for split in &comparison.log_splits {
        out += &log(split);
    }
    sides(&mut out, "manifest versions", &comparison.manifests, |(version, hash)| format!("version {version}, {hash}"));
    for ((member, incarnation), records) in &comparison.records {
        let what = format!("records of {}, incarnation {incarnation}", named(member));
        sides(&mut out, &what, records, |(seq, id)| format!("seq {seq}, {id}"));
    }
    sides(&mut out, "blobs", &comparison.blobs, ToString::to_string);
    sides(&mut out, "evidence bundles", &comparison.evidence, ToString::to_string);
    sides(&mut out, "log heads (by note)", &comparison.logs, |(member, size, note)| {
        format!("log of {}, {size} leaves, note {note}", named(member))
    });
    if comparison.is_empty() {
        out += &same(comparison);
    }
    for finding in comparison.findings.iter().take(SHOWN) {
        let severity = json::severity(finding.severity).to_uppercase();
        let _ = writeln!(out, "\n{severity} {} {}", finding.code, escape(&finding.text));
        let _ = writeln!(out, "  where {}", escape(&finding.file));
    }
    if comparison.findings.len() > SHOWN {
        let more = comparison.findings.len() - SHOWN;
        let _ = writeln!(
            out,
            "\n... and {more} more findings of what could not be checked; `chorale-audit verify` shows them."
        );
    }
    if let Some((a, b)) = comparison.digests {
        let _ = writeln!(out, "\nDigest of A {a}\nDigest of B {b}");
    }
    let _ = writeln!(out, "\n{} records in both together; {} split views.", comparison.all_records, splits(comparison));
    out
}

/// Of two archives that show the same: whether they do so in the same bytes.
fn same(comparison: &Comparison) -> String {
    if comparison.differing.is_empty() {
        return "Both hold the same, byte for byte.\n".to_owned();
    }
    let count = comparison.differing.len();
    let mut out = format!("Both show the same, in other bytes. {count} files differ:\n");
    for name in comparison.differing.iter().take(SHOWN) {
        let _ = writeln!(out, "  {}", escape(name));
    }
    if count > SHOWN {
        let _ = writeln!(out, "  ... and {} more; --json names all", count - SHOWN);
    }
    out
}

fn splits(comparison: &Comparison) -> usize {
    comparison.splits.len() + comparison.log_splits.len() + usize::from(comparison.conflict.is_some())
}

fn log(split: &LogSplit) -> String {
    let LogSplit { member, label, size, a, b } = split;
    let mut out = format!("SPLIT VIEW of the log of {} ({member}) at {size} leaves\n", escape(label));
    let _ = writeln!(out, "  A    root {}, by {}", a.0, a.1);
    let _ = writeln!(out, "  B    root {}, by {}", b.0, b.1);
    let _ = writeln!(out, "  next Keep both files: the member signed both. Show them to the governors.\n");
    out
}

fn one(split: &Split) -> String {
    let (member, incarnation, seq) = split.evidence.accused();
    let (a, b) = if split.first_in_a { ("A", "B") } else { ("B", "A") };
    let mut out = format!("SPLIT VIEW of {} ({member}) from place {incarnation}/{seq} on\n", escape(&split.label));
    let _ = writeln!(out, "  how  {}", forks::form(split.evidence.form));
    let _ = writeln!(out, "  {a}    {}", forks::record(&split.evidence.first));
    let _ = writeln!(out, "  {b}    {}", forks::record(&split.evidence.second));
    let _ = writeln!(out, "  next --evidence-out FILE makes the first such pair a bundle; show it to the governors.\n");
    out
}

fn sides<T>(out: &mut String, what: &str, sides: &Sides<T>, shown: impl Fn(&T) -> String) {
    for (name, only) in [("A", &sides.a), ("B", &sides.b)] {
        if only.is_empty() {
            continue;
        }
        let _ = writeln!(out, "Only {name} has {} {what}:", only.len());
        for item in only.iter().take(SHOWN) {
            let _ = writeln!(out, "  {}", shown(item));
        }
        if only.len() > SHOWN {
            let _ = writeln!(out, "  ... and {} more; --json names all", only.len() - SHOWN);
        }
    }
}

fn lines(comparison: &Comparison, network: NetworkId, exit: Exit) -> String {
    let mut all = Vec::new();
    for split in &comparison.splits {
        let (member, incarnation, seq) = split.evidence.accused();
        let (first, second) = (split.evidence.first.id(), split.evidence.second.id());
        let (a, b) = if split.first_in_a { (first, second) } else { (second, first) };
        all.push(json!({
            "schema": json::SCHEMA,
            "type": "split",
            "member": member.to_string(),
            "label": split.label,
            "incarnation": incarnation.0,
            "seq": seq.0,
            "a": a.to_string(),
            "b": b.to_string(),
        }));
    }
    for LogSplit { member, label, size, a, b } in &comparison.log_splits {
        let side = |(root, file): &(chorale_protocol::log::TreeHash, String)| json!({ "root": root.to_string(), "file": file });
        all.push(json!({
            "schema": json::SCHEMA,
            "type": "log_split",
            "member": member.to_string(),
            "label": label,
            "size": size,
            "a": side(a),
            "b": side(b),
        }));
    }
    for ((member, incarnation), records) in &comparison.records {
        all.push(json!({
            "schema": json::SCHEMA,
            "type": "records",
            "member": member.to_string(),
            "incarnation": incarnation.0,
            "only_a": ids(records.a.iter().map(|(_, id)| id)),
            "only_b": ids(records.b.iter().map(|(_, id)| id)),
        }));
    }
    all.extend(comparison.findings.iter().map(json::finding));
    all.push(json!({
        "schema": json::SCHEMA,
        "type": "summary",
        "network": network.to_string(),
        "same": comparison.is_empty(),
        "splits": splits(comparison),
        "manifest_conflict": comparison.conflict,
        "manifests": both(&comparison.manifests, |(_, hash)| hash.to_string()),
        "blobs": both(&comparison.blobs, ToString::to_string),
        "evidence": both(&comparison.evidence, ToString::to_string),
        "logs": both(&comparison.logs, |(_, _, note)| note.to_string()),
        "digest_a": comparison.digests.map(|digests| digests.0.to_string()),
        "digest_b": comparison.digests.map(|digests| digests.1.to_string()),
        "differing_files": comparison.differing,
        "unchecked": comparison.findings.len(),
        "records": comparison.all_records,
        "exit": exit as u8,
    }));
    json::lines(all.into_iter())
}

fn ids(all: impl Iterator<Item = impl Display>) -> Vec<String> {
    all.map(|id| id.to_string()).collect()
}

fn both<T>(sides: &Sides<T>, shown: impl Fn(&T) -> String) -> Value {
    let of = |only: &[T]| only.iter().map(&shown).collect::<Vec<_>>();
    json!({ "only_a": of(&sides.a), "only_b": of(&sides.b) })
}
