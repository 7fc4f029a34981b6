//! The report for people: findings, failures first; what was counted; what each member did; what none of it proves.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use chorale_protocol::audit::{Finding, Intervals, Report, Severity, Tally, Verdict, codes};

use crate::{args::Checks, escape::escape, json::severity};

/// Findings of one severity and code that are shown in full; the others are in the JSON report.
const SHOWN: usize = 10;

pub(crate) const NOT_PROVED: &[&str] = &[
    "that training ran as described, on the data or with the loss, steps or noise that records claim",
    "that a member who was skipped as absent, stale, unreachable or refused was so",
    "that nothing was withheld: only that what is here, up to the anchors, hangs together",
    "that the archive is fresh: an anchor says how new it is at least",
    "wall-clock time: claimed times are claims, bounds are the word of those who cosigned; the order of records is proved",
    "that two keys belong to two people, or who used a key",
    "that a model is safe or good",
];

pub(crate) fn report(report: &Report, verdict: Verdict, args: &Checks) -> io::Result<()> {
    let mut out = io::stdout().lock();
    findings(&mut out, report, args)?;
    counts(&mut out, report)?;
    members(&mut out, report)?;
    writeln!(out, "This does not prove:")?;
    for line in NOT_PROVED {
        writeln!(out, "  - {line}")?;
    }
    writeln!(out)?;
    writeln!(out, "Archive digest {}", hex::encode(report.digest))?;
    writeln!(out, "Verdict: {}{}", verdict.text(), if report.anchored { "" } else { " (UNANCHORED)" })?;
    out.flush()
}

fn findings(out: &mut impl Write, report: &Report, args: &Checks) -> io::Result<()> {
    let mut shown: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    for finding in &report.findings {
        // Codes take turns where one record breaks several rules.
        let same = shown.entry((finding.severity, finding.code)).or_default();
        *same += 1;
        if *same == SHOWN + 1 {
            writeln!(out, "  ... more {} findings follow; --json shows all\n", finding.code)?;
        }
        if *same > SHOWN {
            continue;
        }
        writeln!(out, "{} {} {}", severity(finding.severity).to_uppercase(), finding.code, escape(&finding.text))?;
        if let Some(place) = place(finding) {
            writeln!(out, "  where    {place}")?;
        }
        if let Some(entry) = codes::explain(finding.code) {
            writeln!(out, "  meaning  {}", entry.meaning)?;
            writeln!(out, "  next     {}", entry.action)?;
        }
        if let Some(record) = finding.record.filter(|_| finding.offset.is_some()) {
            let archive = escape(&args.archive.display().to_string());
            writeln!(out, "  show     chorale-audit record '{archive}' {record}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn place(finding: &Finding) -> Option<String> {
    let mut parts = Vec::new();
    if !finding.file.is_empty() {
        parts.push(escape(&finding.file));
    }
    parts.extend(finding.offset.map(|offset| format!("byte {offset}")));
    parts.extend(finding.seq.map(|seq| format!("seq {seq}")));
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn counts(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let counts = &report.counts;
    writeln!(out, "Network {}", report.network)?;
    if let Some(version) = report.manifest_version {
        writeln!(out, "Manifest version {version}")?;
    }
    writeln!(out, "\n{:<10} {:>10} {:>10} {:>10} {:>10}", "", "ok", "failed", "missing", "unverified")?;
    for (name, Tally { ok, failed, missing, unverified }) in [
        ("manifests", counts.manifests),
        ("feeds", counts.feeds),
        ("records", counts.records),
        ("merges", counts.merges),
        ("blobs", counts.blobs),
        ("evidence", counts.evidence),
        ("witnessed", counts.witnessed),
    ] {
        writeln!(out, "{name:<10} {ok:>10} {failed:>10} {missing:>10} {unverified:>10}")?;
    }
    writeln!(out, "\n{}", times(report))?;
    if report.heads_only {
        writeln!(
            out,
            "\nHEADS ONLY: weaker than a full verification. Of each run of records one signature was checked, the newest;"
        )?;
        writeln!(out, "those before it are vouched for by the hashes in it. Their own signatures were not looked at.")?;
    }
    let Tally { ok, failed, missing, unverified } = counts.merges;
    match (report.recomputed, failed, missing, unverified) {
        (false, ..) => writeln!(out, "\nMerges were not recomputed.\n"),
        (true, 0, 0, 0) if ok == 0 => writeln!(out, "\nThere was no merge to recompute.\n"),
        (true, 0, 0, 0) => writeln!(out, "\n{ok} merges recomputed, all equal.\n"),
        _ => writeln!(
            out,
            "\n{} merges recomputed, {ok} equal, {failed} not, {unverified} equal if their authors' checkpoints are right; {missing} not to \
             be recomputed.\n",
            ok + failed + unverified
        ),
    }
}

/// What cosigners say about times.
pub(crate) fn times(report: &Report) -> String {
    let Intervals { both, not_after, not_before, none, outside } = report.intervals;
    if report.witnesses == 0 && both + not_after + not_before == 0 {
        return "No cosigned log bounds any record in time, and none was asked for.".to_owned();
    }
    format!(
        "By checkpoints with {} or more cosigners, {both} records are bounded on both sides in time, {not_after} only not after, \
         {not_before} only not before, {none} not at all; {outside} claim a time outside.",
        report.witnesses.max(1)
    )
}

fn members(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.members.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "{:<20} {:>9} {:>8} {:>6} {:>13} {:>10} {:>13}  newest record",
        "member", "id", "updates", "round", "merged others", "was merged", "merges equal"
    )?;
    for member in &report.members {
        let label: String = member.label.chars().take(20).collect();
        let Tally { ok, failed, missing, unverified } = member.merges;
        let equal = format!("{ok} of {}", ok + failed + missing + unverified);
        let head = member.heads.last().map(|head| head.id.to_string()).unwrap_or_default();
        let note = if member.equivocated { "  SIGNED TWO HISTORIES" } else { "" };
        writeln!(
            out,
            "{:<20} {:>9} {:>8} {:>6} {:>13} {:>10} {equal:>13}  {head}{note}",
            escape(&label),
            member.member.short(),
            member.updates,
            member.last_round,
            member.merged_others,
            member.merged_by_others,
        )?;
    }
    writeln!(out)
}
