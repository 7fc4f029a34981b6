//! Records that are known to exist and are not here.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{MemberId, Millis, RecordId, TransportId};

/// How long a record may be missing before it is asked for: gossip reorders.
const GRACE_MS: u64 = 250;
/// How often a missing record is asked for before it is given up.
const TRIES: u32 = 7;
/// How often, where a good reason is known why nobody may have it.
const FEW_TRIES: u32 = 3;
/// Missing records remembered.
const MISSING: usize = 8192;
/// Of those that the held records of one author wait for.
const MISSING_OF_ONE: usize = 16;

/// Why a record is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// A held record of this author waits for it.
    Held(MemberId),
    /// This member says that it is its newest.
    Head(MemberId),
}

/// Something that we know exists and do not have.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) from: Option<TransportId>,
    pub(super) due: Millis,
    pub(super) tries: u32,
    want: Option<Want>,
}

impl Missing {
    /// Missing since now, to be asked for at once.
    pub(super) fn new(from: Option<TransportId>, now: Millis) -> Self {
        Self { from, due: now, tries: 0, want: None }
    }

    /// It was asked for.
    pub(super) fn postpone(&mut self, now: Millis) {
        self.tries += 1;
        self.due = now.after(500 << self.tries.min(7));
    }
}

/// Missing records, so many for each member at most: nobody can fill the list with what does not exist.
#[derive(Debug, Default)]
pub(super) struct List {
    missing: BTreeMap<RecordId, Missing>,
    wants: BTreeMap<Want, BTreeSet<RecordId>>,
}

impl List {
    /// Adds one, after a newer head of the same member took the place of an older.
    pub(super) fn insert(&mut self, id: RecordId, want: Want, from: Option<TransportId>, now: Millis) {
        if let Some(known) = self.missing.get(&id) {
            // What a record waits for does not go with the next head.
            if matches!((known.want, want), (Some(Want::Head(_)), Want::Held(_))) && self.has_room(want) {
                self.set_want(id, want);
            }
            return;
        }
        if matches!(want, Want::Head(_)) {
            for older in self.wants.get(&want).cloned().unwrap_or_default() {
                self.remove(&older);
            }
        }
        if self.missing.len() < MISSING && self.has_room(want) {
            self.missing.insert(id, Missing::new(from, now.after(GRACE_MS)));
            self.set_want(id, want);
        }
    }

    fn has_room(&self, want: Want) -> bool {
        self.wants.get(&want).is_none_or(|ids| ids.len() < MISSING_OF_ONE)
    }

    fn set_want(&mut self, id: RecordId, want: Want) {
        let Some(missing) = self.missing.get_mut(&id) else { return };
        if let Some(old) = missing.want.replace(want) {
            self.forget_want(&id, old);
        }
        self.wants.entry(want).or_default().insert(id);
    }

    fn forget_want(&mut self, id: &RecordId, want: Want) {
        if let Some(ids) = self.wants.get_mut(&want) {
            ids.remove(id);
            if ids.is_empty() {
                self.wants.remove(&want);
            }
        }
    }

    pub(super) fn remove(&mut self, id: &RecordId) {
        if let Some(want) = self.missing.remove(id).and_then(|missing| missing.want) {
            self.forget_want(id, want);
        }
    }

    /// What was asked for the fewest times, so many at most; ascending.
    pub(super) fn wants(&self, most: usize) -> Vec<RecordId> {
        let mut ids: Vec<(u32, RecordId)> = self.missing.iter().map(|(id, missing)| (missing.tries, *id)).collect();
        ids.sort_unstable();
        ids.truncate(most);
        let mut ids: Vec<RecordId> = ids.into_iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &RecordId> {
        self.missing.keys()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Missing> {
        self.missing.values()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Missing> {
        self.missing.values_mut()
    }

    /// Removes and returns what was asked for often enough. `soon`: what few tries are enough for.
    pub(super) fn give_up(&mut self, now: Millis, soon: &BTreeSet<RecordId>) -> Vec<RecordId> {
        let tries = |id| if soon.contains(id) { FEW_TRIES } else { TRIES };
        let lost = self.missing.iter().filter(|(id, missing)| missing.tries >= tries(*id) && missing.due <= now);
        let lost: Vec<RecordId> = lost.map(|(id, _)| *id).collect();
        lost.iter().for_each(|id| self.remove(id));
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_fills_the_list_with_what_does_not_exist() {
        let (one, other) = (MemberId([1; 32]), MemberId([2; 32]));
        let mut list = List::default();
        for n in 0..200 {
            list.insert(RecordId([n; 32]), Want::Head(one), None, Millis(0));
        }
        assert_eq!(list.values().count(), 1, "the newest head alone");
        for n in 0..200 {
            list.insert(RecordId([n; 32]), Want::Held(one), None, Millis(0));
        }
        assert_eq!(list.values().count(), MISSING_OF_ONE + 1);
        list.insert(RecordId([250; 32]), Want::Held(other), None, Millis(0));
        assert_eq!(list.values().count(), MISSING_OF_ONE + 2);
    }

    #[test]
    fn what_a_record_waits_for_does_not_go_with_the_next_head() {
        let one = MemberId([1; 32]);
        let mut list = List::default();
        list.insert(RecordId([1; 32]), Want::Head(one), None, Millis(0));
        list.insert(RecordId([1; 32]), Want::Held(one), None, Millis(0));
        list.insert(RecordId([2; 32]), Want::Head(one), None, Millis(0));
        assert_eq!(list.values().count(), 2);
    }
}
