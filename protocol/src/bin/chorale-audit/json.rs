//! The report as JSON lines: one for each finding, then one summary. The schema's version is in every line.

use std::io::Write;

use chorale_protocol::{
    audit::{ArchiveDigest, Finding, MemberReport, Reach, Report, Severity, Tally, codes},
    base::MemberId,
    feed::Privacy,
};
use serde_json::{Value, json};

use crate::{escape, exit::Exit};

pub(crate) const SCHEMA: &str = "chorale-audit/1";

pub(crate) fn report(report: &Report, digest: Option<ArchiveDigest>) -> String {
    let label = |member: &MemberId| report.members.iter().find(|one| one.member == *member).map(|one| &one.label);
    let labelled = |one: &Finding| {
        let mut line = finding(one);
        line["label"] = json!(one.feed.and_then(|(member, _)| label(&member)));
        line
    };
    lines(report.findings.iter().map(labelled).chain([summary(report, digest)]))
}

/// Values, one a line.
pub(crate) fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| escape::json(&value.to_string()) + "\n").collect()
}

/// The only line if there is no report.
pub(crate) fn error(exit: Exit, text: &str) {
    let line = json!({ "schema": SCHEMA, "type": "error", "exit": exit as u8, "text": text });
    // Whoever closed stdout does not read this either.
    let _ = writeln!(std::io::stdout(), "{}", escape::json(&line.to_string()));
}

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Incomplete => "incomplete",
        Severity::Failure => "failure",
    }
}

pub(crate) fn finding(finding: &Finding) -> Value {
    let entry = codes::explain(finding.code);
    json!({
        "schema": SCHEMA,
        "type": "finding",
        "severity": severity(finding.severity),
        "code": finding.code,
        "file": finding.file,
        "offset": finding.offset,
        "member": finding.feed.map(|feed| feed.0.to_string()),
        "incarnation": finding.feed.map(|feed| feed.1.0),
        "seq": finding.seq.map(|seq| seq.0),
        "record": finding.record.map(|record| record.to_string()),
        "text": finding.text,
        "attested_by": finding.attested_by.as_ref().map(|members| members.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "bounded": finding.bounded,
        "meaning": entry.map(|entry| entry.meaning),
        "action": entry.map(|entry| entry.action),
    })
}

fn summary(report: &Report, digest: Option<ArchiveDigest>) -> Value {
    let (verdict, anchors) = (report.verdict(), &report.anchors);
    let counts = &report.counts;
    json!({
        "schema": SCHEMA,
        "type": "summary",
        "tool": concat!("chorale-audit ", env!("CARGO_PKG_VERSION")),
        "verdict": verdict.text(),
        "exit": Exit::from(verdict) as u8,
        "network": report.network.to_string(),
        "manifest_version": report.manifest_version,
        "archive_digest": digest.map(|digest| digest.to_string()),
        "anchored": anchors.is_complete(),
        "anchors": reach(anchors),
        "recomputed": report.recomputed,
        "signatures": if report.heads_only { "heads" } else { "all" },
        "findings": report.findings.len(),
        "counts": {
            "manifests": tally(counts.manifests),
            "feeds": tally(counts.feeds),
            "records": tally(counts.records),
            "merges": tally(counts.merges),
            "blobs": tally(counts.blobs),
            "evidence": tally(counts.evidence),
            "logs": tally(counts.logs),
            "witnessed": tally(counts.witnessed),
        },
        "witnesses": report.witnesses,
        "intervals": {
            "both": report.intervals.both,
            "not_after": report.intervals.not_after,
            "not_before": report.intervals.not_before,
            "none": report.intervals.none,
            "claimed_time_outside": report.intervals.outside,
        },
        "members": report.members.iter().map(member).collect::<Vec<_>>(),
    })
}

/// How far anchors reach.
pub(crate) fn reach(anchors: &Reach) -> Value {
    let Reach { given, missing, feeds, reached } = anchors;
    json!({ "given": given, "missing": missing, "feeds": feeds, "reached": reached })
}

fn tally(tally: Tally) -> Value {
    let Tally { ok, failed, missing, unverified, attested } = tally;
    json!({ "ok": ok, "failed": failed, "missing": missing, "unverified": unverified, "attested": attested })
}

fn member(member: &MemberReport) -> Value {
    let heads = member
        .heads
        .iter()
        .map(|head| json!({ "incarnation": head.incarnation.0, "seq": head.seq.0, "record": head.id.to_string() }));
    json!({
        "member": member.member.to_string(),
        "label": member.label,
        "heads": heads.collect::<Vec<_>>(),
        "feeds": member.feeds,
        "feeds_reached": member.reached,
        "lacks_feed": member.lacks_feed,
        "records": member.records,
        "updates": member.updates,
        "last_round": member.last_round.0,
        "newest_claimed_time_s": member.newest_time.map(|time| time.0),
        "merged_by_others": member.merged_by_others,
        "merged_others": member.merged_others,
        "merges": tally(member.merges),
        "equivocated": member.equivocated,
    })
}

/// A privacy claim.
pub(crate) fn privacy(claim: &Privacy) -> Value {
    json!({
        "sigma_milli": claim.sigma_milli,
        "clip_milli": claim.clip_milli,
        "rate_micro": claim.rate_micro,
        "steps": claim.steps,
        "epsilon_milli": claim.epsilon_milli,
        "delta_log10_milli": claim.delta_log10_milli,
    })
}
