//! What an audit found, with a stable code.

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
    /// The file it was found in.
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
}
