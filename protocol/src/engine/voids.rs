//! Headers that do not count: known by id, so that what builds on them can be judged.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::index::{Entry, Index};
use crate::{
    admit::Parent,
    base::{MemberId, RecordId},
    feed::Checked,
};

/// Void headers that nothing names yet.
const UNNAMED: usize = 4_096;
/// Of them, those that nothing waits for.
const UNASKED: usize = 1_024;
/// Ids remembered of records that break a rule.
const UNLAWFUL: usize = 16_384;

/// A header that keeps the rules and does not count.
#[derive(Debug, Clone)]
pub(super) struct Void {
    /// The records that it names.
    links: Vec<RecordId>,
    entry: Entry,
}

/// Headers that do not count.
#[derive(Debug, Default)]
pub(super) struct Voids {
    held: BTreeMap<RecordId, Void>,
    /// Those that no record names which counts, or is named itself. The others are stored.
    unnamed: BTreeSet<RecordId>,
    /// Headers that break a rule: what builds on one builds on nothing.
    unlawful: BTreeMap<RecordId, Parent>,
}

impl Voids {
    pub(super) fn get(&self, id: &RecordId) -> Option<&Entry> {
        self.held.get(id).map(|void| &void.entry)
    }

    pub(super) fn remove(&mut self, id: &RecordId) {
        self.held.remove(id);
        self.unnamed.remove(id);
    }

    /// Remembers one that counted.
    pub(super) fn insert_fallen(&mut self, id: RecordId, entry: Entry) {
        self.held.insert(id, Void { links: Vec::new(), entry });
    }

    /// Remembers one that nothing names. They go together when they become too many: each of them may need the others.
    fn insert_unnamed(&mut self, id: RecordId, void: Void) {
        if self.unnamed.len() >= UNNAMED {
            for old in std::mem::take(&mut self.unnamed) {
                self.held.remove(&old);
            }
        }
        self.unnamed.insert(id);
        self.held.insert(id, void);
    }
}

impl Index {
    /// Whether a record is known that does not count.
    pub(super) fn is_void(&self, id: &RecordId) -> bool {
        self.voids.held.contains_key(id)
    }

    /// Whether an update of this member is known that does not count.
    pub(super) fn has_void_update(&self, member: &MemberId) -> bool {
        self.voids.held.values().any(|void| void.entry.parent.member == *member && void.entry.parent.round.is_some())
    }

    /// Whether a record is known to break a rule.
    pub(super) fn is_unlawful(&self, id: &RecordId) -> bool {
        self.voids.unlawful.contains_key(id)
    }

    /// Whose record it is that breaks a rule, and where it stands.
    pub(super) fn unlawful(&self, id: &RecordId) -> Option<&Parent> {
        self.voids.unlawful.get(id)
    }

    /// Whether a void header is remembered that nothing waits for.
    pub(super) fn has_room_for_void(&self) -> bool {
        self.voids.unnamed.len() < UNASKED
    }

    /// Remembers a header that keeps the rules and does not count.
    pub(super) fn insert_void(&mut self, checked: &Checked) {
        let record = checked.record();
        let links = record.prev.into_iter().chain(record.parent_ids()).collect();
        self.voids.insert_unnamed(checked.id(), Void { links, entry: self.entry_of(checked) });
    }

    /// As [`Self::insert_void`], of one that the store holds: it was judged before.
    pub(super) fn restore_void(&mut self, checked: &Checked) {
        self.voids.insert_fallen(checked.id(), self.entry_of(checked));
    }

    /// Remembers that a header breaks a rule.
    pub(super) fn note_unlawful(&mut self, checked: &Checked) {
        if self.voids.unlawful.len() >= UNLAWFUL {
            self.voids.unlawful.clear();
        }
        self.voids.unlawful.insert(checked.id(), self.entry_of(checked).parent);
    }

    /// Marks void headers as named, and those that they name in turn. Gives those that were not, by clock.
    pub(super) fn name_voids(&mut self, mut named: Vec<RecordId>) -> Vec<(RecordId, Bytes)> {
        let mut new = Vec::new();
        while let Some(id) = named.pop() {
            if !self.voids.unnamed.remove(&id) {
                continue;
            }
            if let Some(void) = self.voids.held.get_mut(&id) {
                named.extend(&void.links);
                new.push((void.entry.parent.clock, id, void.entry.bytes.clone()));
            }
        }
        new.sort_unstable_by_key(|(clock, id, _)| (*clock, *id));
        new.into_iter().map(|(_, id, bytes)| (id, bytes)).collect()
    }
}
