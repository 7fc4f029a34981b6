//! What an audit promises: honest archives pass, and every deviation is found and laid at the right door.
#![allow(clippy::unwrap_used, reason = "tests")]

mod anchors;
mod attested;
mod bound;
mod contents;
mod deviations;
mod distance;
mod draws;
mod faults;
mod heads;
mod honest;
mod incomplete;
mod keys;
mod ledger;
mod log_keys;
mod logs;
mod momentum;
mod mutants;
mod privacy;
mod references;
mod surveys;
mod world;

use chorale_protocol::{
    audit::{Finding, Report, Severity, Verdict},
    base::MemberId,
};

const SEED: u64 = 20_261_122;

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn find<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code} in {:#?}", report.findings))
}

/// The report fails, with this code, at this member's door; nobody else's record fails.
fn blames(report: &Report, code: &str, member: MemberId) {
    assert_eq!(report.verdict(), Verdict::Failed, "{:#?}", report.findings);
    let finding = find(report, code);
    assert_eq!(finding.severity, Severity::Failure);
    assert_eq!(finding.feed.map(|feed| feed.0), Some(member), "{finding:?}");
    // An anchor whose record is refused is missing, whoever wrote it.
    let failures = report.findings.iter().filter(|finding| finding.severity == Severity::Failure);
    for other in failures.filter(|finding| finding.code != "ANC-002") {
        assert_eq!(other.feed.map(|feed| feed.0), Some(member), "{other:?}");
    }
}
