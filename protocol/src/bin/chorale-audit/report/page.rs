//! The report as one HTML page: no script, nothing from elsewhere, the same bytes for the same archive and anchors.

use std::{collections::BTreeMap, fmt::Write};

use chorale_protocol::{
    audit::{Anchor, ArchiveDigest, Finding, MemberReport, Report, Severity, Tally, Verdict, codes, words},
    manifest::Chain,
};

use super::chart;
use crate::{
    anchors, contributions,
    escape::markup,
    human::{self, NOT_PROVED},
    json,
    words::labelled,
};

/// Findings of one severity and code that are shown.
const SHOWN: usize = 20;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;color:#123;max-width:62em;margin:2em auto;padding:0 1em}\
h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px solid #ccc}\
table{border-collapse:collapse;margin:.6em 0;font-size:.9em}th,td{text-align:left;padding:.2em .8em .2em 0;vertical-align:top}\
td.n,th.n{text-align:right}th{overflow-wrap:anywhere}pre{white-space:pre-wrap;overflow-wrap:anywhere}code{font-size:.85em;overflow-wrap:anywhere}.wide{overflow-x:auto}.wide table{font-size:.8em}.wide th,.wide td{padding-right:.5em}\
.verdict{padding:.8em 1em;font-size:1.3em;font-weight:bold;border:2px solid}\
.PASSED{color:#174;border-color:#174}.FAILED{color:#a12;border-color:#a12}.INCOMPLETE{color:#850;border-color:#850}\
.finding{margin:1em 0;padding-left:.8em;border-left:4px solid #ccc;break-inside:avoid}\
.failure{border-color:#a12}.incomplete{border-color:#c80}svg{max-width:100%;height:auto}\
@media print{body{margin:0;max-width:none;font-size:11px}.wide{overflow:visible}h2{break-after:avoid}tr{break-inside:avoid}}";

/// What stands on the page.
pub(super) struct Page<'a> {
    pub(super) report: &'a Report,
    pub(super) digest: ArchiveDigest,
    /// The chain, if it verifies.
    pub(super) chain: Option<&'a Chain>,
    pub(super) anchors: &'a [Anchor],
    /// A picture of where releases, or heads, come from; may be empty.
    pub(super) lineage: &'a str,
    /// When the check was made, as the auditor says.
    pub(super) time: Option<&'a str>,
}

impl Page<'_> {
    pub(super) fn html(&self) -> String {
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Audit of network {}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n",
            self.report.network.short()
        );
        self.verdict(&mut out);
        self.proved(&mut out);
        self.members(&mut out);
        self.findings(&mut out);
        self.charts(&mut out);
        self.policy(&mut out);
        self.again(&mut out);
        out + "</body>\n</html>\n"
    }

    fn verdict(&self, out: &mut String) {
        let report = self.report;
        let verdict = report.verdict();
        let anchored = report.anchors.text();
        let meaning = match verdict {
            Verdict::Passed => "Every check ran, and every check passed.",
            Verdict::Failed => "At least one check failed. The findings below say which, and who is named.",
            Verdict::Incomplete => "No check failed, but something could not be checked: this is no clean bill.",
        };
        // Writing to a string does not fail.
        let _ = writeln!(out, "<h1>Audit of a Chorale archive</h1>");
        let _ = writeln!(out, "<p class=\"verdict {0}\">{0} &middot; {anchored}</p>\n<p>{meaning}</p>", verdict.text());
        let version = report.manifest_version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        let rows = [
            ("Network", format!("<code>{}</code>", report.network)),
            ("Archive digest", format!("<code>{}</code>", self.digest)),
            ("Newest manifest version", version),
            ("Anchors", self.anchors_text()),
            (
                "Signatures",
                if report.heads_only { "the newest of each run of records only, as asked" } else { "all" }.to_owned(),
            ),
            ("Merges computed again", if report.recomputed { "yes" } else { "no, as asked" }.to_owned()),
            ("Time", human::times(report)),
            ("Checked with", concat!("chorale-audit ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("Checked at", self.time.map_or_else(|| "not stated".to_owned(), markup)),
        ];
        let _ = writeln!(out, "<table>");
        for (name, value) in rows {
            let _ = writeln!(out, "<tr><th>{name}</th><td>{value}</td></tr>");
        }
        let _ = writeln!(out, "</table>");
    }

    fn anchors_text(&self) -> String {
        match self.anchors {
            [] => "none given: an archive cut short would look the same".to_owned(),
            anchors => format!("{} given: {}", anchors.len(), self.report.anchors.text()),
        }
    }

    fn proved(&self, out: &mut String) {
        let counts = &self.report.counts;
        let heading = if self.report.verdict() == Verdict::Passed {
            "What was proved"
        } else {
            "What was checked, and how it went"
        };
        let _ = writeln!(out, "<h2>{heading}</h2>\n<table>");
        let _ = writeln!(
            out,
            "<tr><th></th><th class=\"n\">in order</th><th class=\"n\">failed</th><th class=\"n\">not to be checked</th><th class=\"n\">on an author's word</th><th></th></tr>"
        );
        for (name, Tally { ok, failed, missing, unverified, .. }, what) in [
            ("Manifests", counts.manifests, "each voted for by as many governors as it takes"),
            ("Feeds", counts.feeds, "each record follows the one before it; none is missing"),
            ("Records", counts.records, "each signed by a member's key, under this network's rules"),
            ("Merges", counts.merges, "computed again, equal bit for bit; draw, weights, reach and norm bound obeyed"),
            ("Blobs", counts.blobs, "each has the bytes that its author signed"),
            ("Evidence", counts.evidence, "each proves that a member signed two histories, or a governor voted twice"),
            ("Logs", counts.logs, "signed by their owners; what is in them gives the root that was signed"),
            ("Witnessed", counts.witnessed, "records that a cosigned checkpoint covers"),
        ] {
            let _ = writeln!(
                out,
                "<tr><th>{name}</th><td class=\"n\">{ok}</td><td class=\"n\">{failed}</td><td class=\"n\">{missing}</td><td class=\"n\">{unverified}</td><td>{what}</td></tr>"
            );
        }
        let Tally { missing, unverified, attested, .. } = counts.merges;
        let live = if missing + unverified > 0 { human::live(missing + unverified, attested) } else { String::new() };
        let _ = writeln!(
            out,
            "</table>\n<p>{} {live}</p>\n<h2>What this does not prove</h2>\n<ul>",
            human::summed(self.report)
        );
        for line in NOT_PROVED {
            let _ = writeln!(out, "<li>{line}</li>");
        }
        let _ = writeln!(out, "</ul>");
    }

    fn members(&self, out: &mut String) {
        if self.report.contributions.is_empty() {
            return;
        }
        let _ = writeln!(out, "<h2>Members</h2>\n<div class=\"wide\">");
        let rows = contributions::table(&self.report.contributions);
        html_table(out, rows.rows(), 2);
        let _ = writeln!(
            out,
            "</div>\n<p>Examples, epsilon and sigma are claims. How far training moved the merge was measured where payloads are there.</p>"
        );
        let equivocated: Vec<&MemberReport> = self.report.members.iter().filter(|member| member.equivocated).collect();
        for member in equivocated {
            let _ = writeln!(
                out,
                "<p><strong>{} signed two histories.</strong> <code>{}</code></p>",
                markup(&member.label),
                member.member
            );
        }
        let _ = writeln!(
            out,
            "<table>\n<tr><th>member</th><th class=\"n\">merges in order</th><th class=\"n\">ends known</th><th>newest record</th><th>its claimed time</th></tr>"
        );
        for member in &self.report.members {
            let head = human::newest(member);
            let Tally { ok, failed, missing, unverified, .. } = member.merges;
            let label = markup(&member.label);
            let _ = writeln!(
                out,
                "<tr><td>{label}</td><td class=\"n\">{ok} of {}</td><td class=\"n\">{} of {}</td><td><code>{head}</code></td><td>{}</td></tr>",
                ok + failed + missing + unverified,
                member.reached,
                member.feeds,
                human::claimed(member)
            );
        }
        let _ = writeln!(out, "</table>");
    }

    fn findings(&self, out: &mut String) {
        let _ = writeln!(out, "<h2>Findings</h2>");
        if self.report.findings.is_empty() {
            let _ = writeln!(out, "<p>None.</p>");
        }
        let mut shown: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
        for found in &self.report.findings {
            let same = shown.entry((found.severity, found.code)).or_default();
            *same += 1;
            if *same == SHOWN + 1 {
                let more = "follow; <code>chorale-audit verify --json</code> shows all";
                let _ = writeln!(out, "<p>More findings {} {more}.</p>", found.code);
            }
            if *same <= SHOWN {
                finding(out, found);
            }
        }
    }

    fn charts(&self, out: &mut String) {
        let contributions = &self.report.contributions;
        for (title, svg) in [
            ("Publications over rounds", chart::publications(contributions)),
            ("How far training moved the merge", chart::moved(contributions)),
            ("Where releases, or the newest records, come from", self.lineage.to_owned()),
        ] {
            if !svg.is_empty() {
                let _ = writeln!(out, "<h2>{title}</h2>\n<div class=\"wide\">\n{svg}</div>");
            }
        }
    }

    fn policy(&self, out: &mut String) {
        let Some(manifest) = self.chain.map(Chain::current) else { return };
        let (governors, threshold) = (manifest.governors.len(), manifest.threshold);
        let _ = writeln!(out, "<h2>Rules of the network</h2>\n<p>{threshold} of {governors} governors decide.</p>");
        for cut in &manifest.cuts {
            let _ = writeln!(out, "<p>Cut: {}.</p>", markup(&self.labelled(&words::cut(cut))));
        }
        let chain = self.chain.into_iter();
        for event in chain.flat_map(|chain| (1..=chain.current().version).flat_map(|version| chain.key_events(version)))
        {
            let _ = writeln!(out, "<p>Key: {}.</p>", markup(&self.labelled(&words::key_event(event))));
        }
        let _ = writeln!(out, "<table>");
        for (name, value) in words::policy(&manifest.policy) {
            let _ = writeln!(out, "<tr><th>{name}</th><td><code>{}</code></td></tr>", markup(&value));
        }
        let _ = writeln!(out, "</table>");
    }

    fn labelled(&self, text: &str) -> String {
        self.chain.map_or_else(|| text.to_owned(), |chain| labelled(chain, text))
    }

    fn again(&self, out: &mut String) {
        let mut command = format!("chorale-audit verify ARCHIVE --network {}", self.report.network);
        for anchor in self.anchors.iter().take(SHOWN) {
            let _ = write!(command, " \\\n    --anchor {}", anchors::text(anchor));
        }
        let _ = writeln!(
            out,
            "<h2>How to check this again</h2>\n<pre>{}</pre>\n<p>Anyone who has the archive can; the result is the same on every machine. \
             The archive's digest is over the bytes of all its files: <code>chorale-audit digest ARCHIVE</code>, or in its folder \
             <code>find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum</code>, which prints it in hexadecimal digits: \
             <code>{}</code></p>",
            markup_lines(&command),
            hex::encode(self.digest.0)
        );
    }
}

fn markup_lines(text: &str) -> String {
    text.lines().map(markup).collect::<Vec<_>>().join("\n")
}

/// Rows of text; the first is the heading, and columns from `left` on hold numbers.
fn html_table(out: &mut String, rows: &[Vec<String>], left: usize) {
    let _ = writeln!(out, "<table>");
    for (number, row) in rows.iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        let _ = write!(out, "<tr>");
        for (column, cell) in row.iter().enumerate() {
            let class = if column < left { "" } else { " class=\"n\"" };
            let _ = write!(out, "<{tag}{class}>{}</{tag}>", markup(cell));
        }
        let _ = writeln!(out, "</tr>");
    }
    let _ = writeln!(out, "</table>");
}

fn finding(out: &mut String, finding: &Finding) {
    let severity = json::severity(finding.severity);
    let _ = writeln!(
        out,
        "<div class=\"finding {severity}\"><strong>{severity} {}</strong> {}<br>",
        finding.code,
        markup(&finding.text)
    );
    if let Some(entry) = codes::explain(finding.code) {
        let _ = writeln!(out, "{}<br>{}<br>", markup(entry.meaning), markup(entry.action));
    }
    if !finding.file.is_empty() {
        let offset = finding.offset.map_or_else(String::new, |offset| format!(", byte {offset}"));
        let _ = writeln!(out, "<code>{}{offset}</code><br>", markup(&finding.file));
    }
    if let Some(record) = finding.record {
        let _ = writeln!(out, "<code>record {record}</code>");
    }
    let _ = writeln!(out, "</div>");
}
