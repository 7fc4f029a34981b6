//! The replay: check, link, admit and merge again everything in an archive.

use super::{Archive, Finding};
use crate::base::{NetworkId, RecordId};

/// What to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// The network that the auditor was told of, out of band.
    pub network: NetworkId,
    /// Records that must be there: (the newest the auditor knows of). Without one the report is UNANCHORED.
    pub anchors: Vec<RecordId>,
    /// Recompute merges where the blobs are there.
    pub recompute: bool,
    /// Threads.
    pub threads: usize,
}

/// What was checked and what was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Sorted: failures first, then by file, offset, code.
    pub findings: Vec<Finding>,
}

/// Replays an archive. Never stops at the first finding. P4 owns the shape of the report.
///
/// # Errors
/// The medium failed.
pub fn replay(
    archive: &dyn Archive,
    options: &Options,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> std::io::Result<Report> {
    let _ = (archive, options, progress);
    todo!("P4")
}
