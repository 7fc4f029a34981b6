//! When a record was there: between which times, by the word of cosigners.

use std::collections::BTreeMap;

use super::LogBook;
use crate::{
    base::{BlobHash, UnixSeconds, limit},
    code::blob_hash,
    log::TreeHash,
};

/// Bounds on when a record was written, in seconds since 1970. They hold if one cosigner of each bound is honest about its clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interval {
    /// It names a note whose earliest cosignature is of this time.
    pub not_before: Option<u64>,
    /// By this time as many cosigners as were asked for had signed a head of a log that it is in.
    pub not_after: Option<u64>,
}

impl Interval {
    /// Whether a claimed time, which is rounded down to a minute, lies outside.
    #[must_use]
    pub fn excludes(&self, claimed: UnixSeconds) -> bool {
        let latest = claimed.0.saturating_add(limit::CLAIMED_TIME_STEP_S - 1);
        self.not_before.is_some_and(|earliest| latest < earliest) || self.not_after.is_some_and(|end| claimed.0 > end)
    }
}

/// What the logs of an archive say about the times of some records.
#[derive(Debug)]
pub struct Witnessed {
    /// Cosigners that a note must have to count.
    wanted: usize,
    /// Each record's leaf with its latest time so far.
    leaves: BTreeMap<TreeHash, Option<u64>>,
    /// The earliest cosignature of each note that counts.
    notes: BTreeMap<BlobHash, u64>,
}

impl Witnessed {
    /// Of the records with these leaves ([`TreeHash::leaf`] of the envelope); a note counts with so many cosigners, at least 1.
    #[must_use]
    pub fn new(witnesses: u64, leaves: impl IntoIterator<Item = TreeHash>) -> Self {
        let wanted = usize::try_from(witnesses.max(1)).unwrap_or(usize::MAX);
        Self { wanted, leaves: leaves.into_iter().map(|leaf| (leaf, None)).collect(), notes: BTreeMap::new() }
    }

    /// Takes a log's word. Gives how many of its leaves are none of the records, and the first of them.
    pub fn add(&mut self, book: &LogBook) -> Option<(u64, u64)> {
        for note in book.all().filter(|note| note.verified.cosigners.len() >= self.wanted) {
            self.notes.extend(note.verified.seen_by(1).map(|time| (blob_hash(&note.bytes), time)));
        }
        let tree = book.tree.as_ref()?;
        let mut heads: Vec<(u64, u64)> = book
            .of_tree()
            .filter_map(|note| Some((note.verified.checkpoint.size, note.verified.seen_by(self.wanted)?)))
            .collect();
        heads.sort_unstable();
        // The earliest time of any head that is as large or larger.
        let mut earliest = u64::MAX;
        for head in heads.iter_mut().rev() {
            earliest = earliest.min(head.1);
            head.1 = earliest;
        }
        let (mut unknown, mut next) = (None, 0);
        for index in 0..tree.len() {
            while heads.get(next).is_some_and(|(size, _)| *size <= index) {
                next += 1;
            }
            let leaf = tree.node(0, index)?;
            match (self.leaves.get_mut(&leaf), heads.get(next)) {
                (Some(time), Some((_, head))) => *time = Some(time.map_or(*head, |time| time.min(*head))),
                (Some(_), None) => {}
                (None, _) => unknown = Some(unknown.map_or((1, index), |(count, first)| (count + 1, first))),
            }
        }
        unknown
    }

    /// The bounds of a record, by its leaf and the note that it names.
    #[must_use]
    pub fn interval(&self, leaf: &TreeHash, seen: Option<&BlobHash>) -> Interval {
        Interval {
            not_before: seen.and_then(|note| self.notes.get(note)).copied(),
            not_after: self.leaves.get(leaf).copied().flatten(),
        }
    }
}
