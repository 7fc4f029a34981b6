//! The report for people: findings, failures first; what was counted; what each member did; what none of it proves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use chorale_protocol::audit::{ArchiveDigest, Finding, Intervals, MemberReport, Report, Severity, Tally, codes};

use crate::{args::Checks, escape::escape, json::severity, when::date};

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

pub(crate) fn report(report: &Report, digest: Option<ArchiveDigest>, args: &Checks) -> String {
    let mut out = String::new();
    findings(&mut out, report, args);
    counts(&mut out, report);
    members(&mut out, report);
    // Writing to a string does not fail.
    let _ = writeln!(out, "This does not prove:");
    for line in NOT_PROVED {
        let _ = writeln!(out, "  - {line}");
    }
    let _ = writeln!(out);
    if let Some(digest) = digest {
        let _ = writeln!(out, "Archive digest {digest}");
    }
    let _ = writeln!(out, "Verdict: {}", verdict(report));
    out
}

/// The verdict, and how far anchors reach: the same words wherever it is said.
pub(crate) fn verdict(report: &Report) -> String {
    format!("{} ({})", report.verdict().text(), report.anchors.text())
}

fn findings(out: &mut String, report: &Report, args: &Checks) {
    let mut shown: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    for finding in &report.findings {
        // Codes take turns where one record breaks several rules.
        let same = shown.entry((finding.severity, finding.code)).or_default();
        *same += 1;
        if *same == SHOWN + 1 {
            let _ = writeln!(out, "  ... more {} findings follow; --json shows all\n", finding.code);
        }
        if *same > SHOWN {
            continue;
        }
        let _ =
            writeln!(out, "{} {} {}", severity(finding.severity).to_uppercase(), finding.code, escape(&finding.text));
        if let Some(place) = place(report, finding) {
            let _ = writeln!(out, "  where    {place}");
        }
        if let Some(entry) = codes::explain(finding.code) {
            let _ = writeln!(out, "  meaning  {}", entry.meaning);
            let _ = writeln!(out, "  next     {}", entry.action);
        }
        if let Some(record) = finding.record.filter(|_| finding.offset.is_some()) {
            let archive = escape(&args.archive.display().to_string());
            let _ = writeln!(out, "  show     chorale-audit record '{archive}' {record}");
        }
        let _ = writeln!(out);
    }
}

fn place(report: &Report, finding: &Finding) -> Option<String> {
    let mut parts = Vec::new();
    if !finding.file.is_empty() {
        parts.push(escape(&finding.file));
    }
    let member = finding.feed.and_then(|feed| report.members.iter().find(|member| member.member == feed.0));
    parts.extend(member.map(|member| format!("of {}", escape(&member.label))));
    parts.extend(finding.offset.map(|offset| format!("byte {offset}")));
    parts.extend(finding.seq.map(|seq| format!("seq {seq}")));
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn counts(out: &mut String, report: &Report) {
    let counts = &report.counts;
    let _ = writeln!(out, "Network {}", report.network);
    if let Some(version) = report.manifest_version {
        let _ = writeln!(out, "Manifest version {version}");
    }
    let _ = writeln!(out, "\n{:<10} {:>10} {:>10} {:>10} {:>10}", "", "ok", "failed", "missing", "unverified");
    for (name, Tally { ok, failed, missing, unverified, .. }) in [
        ("manifests", counts.manifests),
        ("feeds", counts.feeds),
        ("records", counts.records),
        ("merges", counts.merges),
        ("blobs", counts.blobs),
        ("evidence", counts.evidence),
        ("logs", counts.logs),
        ("witnessed", counts.witnessed),
    ] {
        let _ = writeln!(out, "{name:<10} {ok:>10} {failed:>10} {missing:>10} {unverified:>10}");
    }
    let _ = writeln!(out, "\n{}\n\n{}", summed(report), times(report));
    if report.heads_only {
        let _ = writeln!(
            out,
            "\nHEADS ONLY: weaker than a full verification. Of each run of records one signature was checked, the newest;"
        );
        let _ = writeln!(
            out,
            "those before it are vouched for by the hashes in it. Their own signatures were not looked at."
        );
    }
    let Tally { ok, failed, missing, unverified, attested } = counts.merges;
    let _ = match (report.recomputed, failed, missing, unverified) {
        (false, ..) => writeln!(out, "\nMerges were not recomputed.\n"),
        (true, 0, 0, 0) if ok == 0 => writeln!(out, "\nThere was no merge to recompute.\n"),
        (true, 0, 0, 0) => writeln!(out, "\n{ok} merges recomputed, all equal.\n"),
        _ => writeln!(
            out,
            "\n{} merges recomputed, {ok} equal, {failed} not, {unverified} equal if their authors' checkpoints are right; {missing} not to \
             be recomputed. {}\n",
            ok + failed + unverified,
            live(unverified + missing, attested)
        ),
    };
}

/// Of the merges that are left to somebody's word, how many other members recomputed while the network ran, as they say.
pub(crate) fn live(unchecked: u64, attested: u64) -> String {
    format!(
        "Of the {unchecked} that are unverified or missing, {attested} were recomputed live by other members, as these say."
    )
}

/// How many findings there are of each severity, and of which codes: a row of the counts need not show each.
pub(crate) fn summed(report: &Report) -> String {
    let of = |severity: Severity, name: &str| {
        let found = || report.findings.iter().filter(|finding| finding.severity == severity);
        let codes: BTreeSet<&str> = found().map(|finding| finding.code).collect();
        let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
        let codes = if codes.is_empty() { codes } else { format!(" ({codes})") };
        format!("{} {name}{codes}", found().count())
    };
    format!(
        "Findings: {}; {}; {}.",
        of(Severity::Failure, "failed"),
        of(Severity::Incomplete, "incomplete"),
        of(Severity::Warning, "warnings")
    )
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

fn members(out: &mut String, report: &Report) {
    if report.members.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "{:<20} {:>9} {:>8} {:>10} {:>13} {:>10} {:>12} {:>11}  {:<20}  newest record",
        "member",
        "id",
        "updates",
        "last round",
        "merged others",
        "was merged",
        "merges equal",
        "ends known",
        "its claimed time"
    );
    for member in &report.members {
        let label: String = member.label.chars().take(20).collect();
        let Tally { ok, failed, missing, unverified, .. } = member.merges;
        let equal = format!("{ok} of {}", ok + failed + missing + unverified);
        let ends = format!("{} of {}", member.reached, member.feeds);
        let note = if member.equivocated { "  SIGNED TWO HISTORIES" } else { "" };
        let _ = writeln!(
            out,
            "{:<20} {:>9} {:>8} {:>10} {:>13} {:>10} {equal:>12} {ends:>11}  {:<20}  {}{note}",
            escape(&label),
            member.member.short(),
            member.updates,
            member.last_round,
            member.merged_others,
            member.merged_by_others,
            claimed(member),
            newest(member),
        );
    }
    let _ = writeln!(
        out,
        "\nEnds known: of so many of the member's feeds an anchor, a cut or a handover says where they end.\n"
    );
}

/// The time that a member's newest record claims.
pub(crate) fn claimed(member: &MemberReport) -> String {
    member.newest_time.map_or_else(|| "-".to_owned(), |time| date(time.0))
}

/// A member's newest record, or that it has none here.
pub(crate) fn newest(member: &MemberReport) -> String {
    match member.heads.last() {
        Some(head) => head.id.to_string(),
        None if member.lacks_feed => "no feed of it is here: it published nothing, or the feed was left out".to_owned(),
        None => "none".to_owned(),
    }
}
