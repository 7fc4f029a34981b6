//! What an audit found, with a stable code.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use super::{attested::Attesters, codes, layout::Name};
use crate::base::{Incarnation, MemberId, RecordId, Seq};

/// What a finding does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the verdict stands.
    Warning,
    /// A check could not run: incomplete, unsupported, pruned, unanchored.
    Incomplete,
    /// A check failed.
    Failure,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it does to the verdict.
    pub severity: Severity,
    /// Stable, such as `SIG-003`.
    pub code: &'static str,
    /// The file it was found in; empty if it is about the archive as a whole.
    pub file: String,
    /// The byte in that file, when known.
    pub offset: Option<u64>,
    /// Whose feed, when known.
    pub feed: Option<(MemberId, Incarnation)>,
    /// The place in that feed, when known.
    pub seq: Option<Seq>,
    /// The record, when known.
    pub record: Option<RecordId>,
    /// What came and what was wanted. May hold foreign text: escape it before showing it.
    pub text: String,
    /// Of a merge that could not be recomputed, or only from its author's word: the other members that say, in updates that count, that
    /// they had recomputed it while the network ran. Those of the record that the finding names.
    pub attested_by: Option<Vec<MemberId>>,
    /// Of such a merge: whether it misses payloads, and what its author made of it lies within the bound that reach gives for them.
    pub bounded: Option<bool>,
}

/// The file that something was found in. Its name is written out only for a finding that stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Where {
    /// The archive as a whole.
    #[default]
    Archive,
    /// A file of the layout.
    File(Name),
    /// A file whose name says nothing.
    Foreign(String),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive => Ok(()),
            Self::File(name) => name.fmt(f),
            Self::Foreign(name) => f.write_str(name),
        }
    }
}

/// Where something was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) file: Where,
    pub(super) offset: Option<u64>,
    pub(super) feed: Option<(MemberId, Incarnation)>,
    pub(super) seq: Option<Seq>,
    pub(super) record: Option<RecordId>,
}

impl Place {
    /// A file as a whole.
    pub(super) fn file(name: Name) -> Self {
        Self { file: Where::File(name), ..Self::default() }
    }
}

/// Findings as they are gathered, bounded: of one code and file at most [`Notes::EACH`] stand alone, the others are counted;
/// and what concerns run after run of records is one finding.
#[derive(Debug, Default)]
pub(super) struct Notes {
    findings: Vec<Finding>,
    counted: BTreeMap<(&'static str, Where), u64>,
    runs: BTreeMap<(&'static str, Where), Run>,
}

#[derive(Debug)]
struct Run {
    first: Place,
    /// The record that was counted last, and its place.
    counted: Option<RecordId>,
    last: Option<Seq>,
    count: u64,
    words: Words,
    severity: Severity,
}

/// What a finding says beside its code and place.
#[derive(Debug)]
struct Words {
    text: String,
    /// Of a merge: see [`Finding`].
    merge: Option<(Vec<MemberId>, bool)>,
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self { text, merge: None }
    }
}

/// Of a merge that keeps the bound.
const BOUNDED: &str = "; what its author made of it keeps the bound that reach gives for the missing payloads";

impl Notes {
    const EACH: u64 = 200;

    /// Adds a finding with the severity that belongs to its code.
    pub(super) fn add(&mut self, code: &'static str, place: &Place, text: impl Into<String>) {
        self.add_as(codes::severity(code), code, place, text);
    }

    /// Adds a finding whose severity depends on the circumstances.
    pub(super) fn add_as(&mut self, severity: Severity, code: &'static str, place: &Place, text: impl Into<String>) {
        let count = self.counted.entry((code, place.file.clone())).or_default();
        *count += 1;
        if *count <= Self::EACH {
            self.findings.push(finding(severity, code, place, text.into().into()));
        }
    }

    /// Adds one record to the run of records for which the same is to be said, in the words of the first. A record of which it is
    /// said more than once, such as for each of its blobs, counts once.
    pub(super) fn run(&mut self, code: &'static str, place: &Place, text: impl fmt::Display) {
        self.run_as(codes::severity(code), code, place, text);
    }

    /// As [`run`](Self::run), with a severity that depends on the circumstances, the same for all of the run.
    pub(super) fn run_as(&mut self, severity: Severity, code: &'static str, place: &Place, text: impl fmt::Display) {
        self.run_with(severity, code, place, || text.to_string().into());
    }

    /// As [`run`](Self::run), of merges that could not be recomputed, or only from their authors' word: `attesters` are those of this one,
    /// and `bounded` is whether it keeps its bound.
    pub(super) fn run_merge(
        &mut self,
        code: &'static str,
        place: &Place,
        text: impl fmt::Display,
        bounded: bool,
        attesters: impl FnOnce() -> Attesters,
    ) {
        self.run_with(codes::severity(code), code, place, || {
            let (attesters, bound) = (attesters(), if bounded { BOUNDED } else { "" });
            Words { text: format!("{text}{bound}; {attesters}"), merge: Some((attesters.members, bounded)) }
        });
    }

    fn run_with(&mut self, severity: Severity, code: &'static str, place: &Place, words: impl FnOnce() -> Words) {
        let key = (code, place.file.clone());
        let run = self.runs.entry(key).or_insert_with(|| {
            let words = words();
            Run { first: place.clone(), counted: None, last: None, count: 0, words, severity }
        });
        if place.record.is_none() || place.record != run.counted {
            run.count += 1;
        }
        run.counted = place.record;
        run.last = run.last.max(place.seq);
    }

    /// The gravest of what was added by itself.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Takes another's findings over.
    pub(super) fn absorb(&mut self, other: Self) {
        self.findings.extend(other.into_findings());
    }

    /// The findings: failures first, then by file, offset, code.
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        for ((code, file), count) in self.counted {
            if count > Self::EACH {
                let text = format!("{} more findings of this code in this file", count - Self::EACH);
                self.findings.push(finding(
                    codes::severity(code),
                    code,
                    &Place { file, ..Place::default() },
                    text.into(),
                ));
            }
        }
        for ((code, _), mut run) in self.runs {
            if let Some(last) = run.last.filter(|_| run.count > 1) {
                run.words.text += &format!(" (and so on: {} records up to seq {last})", run.count);
            }
            self.findings.push(finding(run.severity, code, &run.first, run.words));
        }
        let mut findings = self.findings;
        findings.sort_by(|one, other| order(one).cmp(&order(other)).then_with(|| one.cmp(other)));
        findings
    }
}

fn order(finding: &Finding) -> (Reverse<Severity>, &str, Option<u64>, &str) {
    (Reverse(finding.severity), &finding.file, finding.offset, finding.code)
}

fn finding(severity: Severity, code: &'static str, place: &Place, Words { text, merge }: Words) -> Finding {
    let Place { file, offset, feed, seq, record } = place.clone();
    let (attested_by, bounded) = merge.unzip();
    Finding { severity, code, file: file.to_string(), offset, feed, seq, record, text, attested_by, bounded }
}
