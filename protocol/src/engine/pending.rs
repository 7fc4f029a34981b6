//! Records that cannot be judged yet: one before them in the feed, or one that they build on, is not known.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    base::{Lamport, MemberId, RecordId, TransportId},
    feed::Checked,
};

/// Records held at once.
const HELD: usize = 1024;

/// A checked record and who handed it over.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) checked: Checked,
    pub(super) from: Option<TransportId>,
}

/// Records that wait for others.
#[derive(Debug, Default)]
pub(super) struct Pending {
    held: BTreeMap<RecordId, Held>,
    by_clock: BTreeMap<(Lamport, RecordId), RecordId>,
    waits: BTreeMap<RecordId, Vec<RecordId>>,
    ready: VecDeque<Held>,
}

impl Pending {
    pub(super) fn contains(&self, id: &RecordId) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Holds a record until `missing` is known. When full, the one with the largest clock goes: the others do not need it.
    pub(super) fn hold(&mut self, held: Held, missing: RecordId) {
        let id = held.checked.id();
        self.waits.entry(missing).or_default().push(id);
        self.by_clock.insert((held.checked.record().clock, id), missing);
        self.held.insert(id, held);
        if self.held.len() > HELD
            && let Some((&(_, last), _)) = self.by_clock.last_key_value()
        {
            self.remove(&last);
        }
    }

    fn remove(&mut self, id: &RecordId) -> Option<Held> {
        let held = self.held.remove(id)?;
        let missing = self.by_clock.remove(&(held.checked.record().clock, *id))?;
        if let Some(waiting) = self.waits.get_mut(&missing) {
            waiting.retain(|other| other != id);
            if waiting.is_empty() {
                self.waits.remove(&missing);
            }
        }
        Some(held)
    }

    /// `id` became known: what waited for it can be judged again.
    pub(super) fn release(&mut self, id: &RecordId) {
        let mut released = self.take_waiting(id);
        released.sort_by_key(|held| (held.checked.record().clock, held.checked.id()));
        self.ready.extend(released);
    }

    /// Removes and returns what waits for `id`.
    pub(super) fn take_waiting(&mut self, id: &RecordId) -> Vec<Held> {
        let waiting = self.waits.remove(id).unwrap_or_default();
        let mut taken = Vec::with_capacity(waiting.len());
        for one in waiting {
            if let Some(held) = self.held.remove(&one) {
                self.by_clock.remove(&(held.checked.record().clock, one));
                taken.push(held);
            }
        }
        taken
    }

    /// Removes what a member wrote.
    pub(super) fn take_member(&mut self, member: &MemberId) -> Vec<Held> {
        let theirs = self.held.values().filter(|held| held.checked.record().member == *member);
        let ids: Vec<RecordId> = theirs.map(|held| held.checked.id()).collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// The next record that can be judged again.
    pub(super) fn pop_ready(&mut self) -> Option<Held> {
        self.ready.pop_front()
    }

    /// Takes everything, for another try under a new manifest.
    pub(super) fn retry_all(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.waits.clear();
        self.by_clock.clear();
        let mut all: Vec<Held> = held.into_values().collect();
        all.sort_by_key(|held| (held.checked.record().clock, held.checked.id()));
        self.ready.extend(all);
    }
}
