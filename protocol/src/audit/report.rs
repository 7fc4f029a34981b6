//! The report of an audit, and the one verdict that everything shown derives from.

use super::{Contribution, Finding, Reach, Severity};
use crate::{
    base::{MemberId, NetworkId, Round, UnixSeconds},
    feed::Head,
};

/// What an audit came to. Computed once; text and exit code derive from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every check ran and passed.
    Passed,
    /// A check failed.
    Failed,
    /// Nothing failed, but a check could not run.
    Incomplete,
}

impl Verdict {
    /// For people and machines.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Failed => "FAILED",
            Self::Incomplete => "INCOMPLETE",
        }
    }
}

/// How many of one kind of thing checked out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every check passed.
    pub ok: u64,
    /// A check failed.
    pub failed: u64,
    /// Known of, but not there, or not to be checked for lack of something else.
    pub missing: u64,
    /// Of merges: recomputed and equal, but from a momentum state that only its author vouches for.
    pub unverified: u64,
    /// Of merges missing or unverified: another member says that it had recomputed this one while the network ran.
    pub attested: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.missing += other.missing;
        self.unverified += other.unverified;
        self.attested += other.attested;
    }
}

/// What was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Manifest versions, genesis included.
    pub manifests: Tally,
    /// Feeds: without gap, damage or broken rule. Missing, too: those of members that have none here.
    pub feeds: Tally,
    /// Records.
    pub records: Tally,
    /// Merges, recomputed and compared bit for bit.
    pub merges: Tally,
    /// Blobs that records name: payloads, checkpoints, evidence.
    pub blobs: Tally,
    /// Evidence bundles in the archive.
    pub evidence: Tally,
    /// Logs: whose notes verify, and whose tiles give their roots.
    pub logs: Tally,
    /// Records that a checkpoint with enough cosigners covers.
    pub witnessed: Tally,
}

/// How many records lie in a time that cosigners bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intervals {
    /// On both sides.
    pub both: u64,
    /// Known only when they were there at the latest.
    pub not_after: u64,
    /// Known only since when they can be there at the earliest.
    pub not_before: u64,
    /// On neither side.
    pub none: u64,
    /// Whose claimed time lies outside.
    pub outside: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.manifests.add(other.manifests);
        self.feeds.add(other.feeds);
        self.records.add(other.records);
        self.merges.add(other.merges);
        self.blobs.add(other.blobs);
        self.evidence.add(other.evidence);
        self.logs.add(other.logs);
        self.witnessed.add(other.witnessed);
    }
}

/// What one member did, as far as the archive shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// Who.
    pub member: MemberId,
    /// Its label in the newest manifest version that names it.
    pub label: String,
    /// Its feeds' heads, by incarnation.
    pub heads: Vec<Head>,
    /// The time that its newest record claims.
    pub newest_time: Option<UnixSeconds>,
    /// Its feeds; one if it has none here, and nothing says that it published nothing.
    pub feeds: u64,
    /// Of these, those whose end is known by an anchor, a cut or a handover.
    pub reached: u64,
    /// It may publish, and no feed of it is here.
    pub lacks_feed: bool,
    /// Its records.
    pub records: u64,
    /// Its publications.
    pub updates: u64,
    /// The largest round among them.
    pub last_round: Round,
    /// How often others merged a publication of its.
    pub merged_by_others: u64,
    /// How many publications of others it merged.
    pub merged_others: u64,
    /// Its merges, recomputed and compared.
    pub merges: Tally,
    /// Whether it was proved to have equivocated.
    pub equivocated: bool,
}

/// What was checked and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The network that the auditor asked about.
    pub network: NetworkId,
    /// The newest manifest version that verifies, if any does.
    pub manifest_version: Option<u64>,
    /// How far the anchors given reach.
    pub anchors: Reach,
    /// Whether merges were recomputed.
    pub recomputed: bool,
    /// How many cosigners a checkpoint took to count: what the newest policy asks for, or the auditor if that is more.
    pub witnesses: u64,
    /// Of the records that count as verified.
    pub intervals: Intervals,
    /// Whether only the newest signature of each run of records was checked.
    pub heads_only: bool,
    /// How much was checked.
    pub counts: Counts,
    /// Everyone that any version lets publish, and everyone with a record here, by member id.
    pub members: Vec<MemberReport>,
    /// What everyone put in that any version allows to publish, by member id: who, under which label.
    pub contributions: Vec<(MemberId, String, Contribution)>,
    /// Sorted: failures first, then by file, offset, code.
    pub findings: Vec<Finding>,
}

impl Report {
    /// What it all comes to. A report on nothing never passes.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Failure) => Verdict::Failed,
            Some(Severity::Incomplete) => Verdict::Incomplete,
            _ if self.counts.records.ok == 0 => Verdict::Incomplete,
            _ => Verdict::Passed,
        }
    }
}
