//! Records that cannot be judged yet: one before them in the feed, or one that they build on, is not known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    base::{Lamport, MemberId, RecordId, Round, TransportId},
    feed::Checked,
};

/// Records held at once.
const HELD: usize = 2048;
/// Of one author.
const HELD_OF_ONE: usize = 256;
/// Records held at once for which it is too early.
const EARLY: usize = 64;

/// A checked record and who handed it over.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) checked: Checked,
    pub(super) from: Option<TransportId>,
}

impl Held {
    fn place(&self) -> (Lamport, RecordId) {
        (self.checked.record().clock, self.checked.id())
    }
}

/// What the engine must know before it is worthwhile to judge a record again that came too early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Until {
    /// The frontier.
    pub(super) round: Round,
    /// The largest clock.
    pub(super) clock: Lamport,
}

/// A record that had to go, and what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) id: RecordId,
    pub(super) missing: RecordId,
}

/// Records that wait for others.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// What is held, and what it waits for.
    held: BTreeMap<RecordId, (Held, RecordId)>,
    by_author: BTreeMap<MemberId, BTreeSet<(Lamport, RecordId)>>,
    waits: BTreeMap<RecordId, BTreeSet<RecordId>>,
    /// Without some of their parents, and ahead of what is known.
    early: BTreeMap<RecordId, (Held, Until)>,
    ready: VecDeque<Held>,
}

impl Pending {
    pub(super) fn contains(&self, id: &RecordId) -> bool {
        self.held.contains_key(id) || self.early.contains_key(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether something waits for `id`.
    pub(super) fn awaits(&self, id: &RecordId) -> bool {
        self.waits.contains_key(id)
    }

    /// Who wrote a held record, and what it waits for.
    pub(super) fn waits_for(&self, id: &RecordId) -> Option<(MemberId, RecordId)> {
        self.held.get(id).map(|(held, missing)| (held.checked.record().member, *missing))
    }

    /// Holds a record until `missing` is known. When there is no room, a record of the author goes that has most of it, the one
    /// with the largest clock: the others do not need it.
    pub(super) fn hold(&mut self, held: Held, missing: RecordId) -> Option<Gone> {
        let (id, author) = (held.checked.id(), held.checked.record().member);
        self.waits.entry(missing).or_default().insert(id);
        let of_author = self.by_author.entry(author).or_default();
        of_author.insert(held.place());
        let crowded = of_author.len() > HELD_OF_ONE;
        self.held.insert(id, (held, missing));
        let most = || self.by_author.iter().max_by_key(|(_, places)| places.len()).map(|(author, _)| *author);
        let whose = if crowded { Some(author) } else { (self.held.len() > HELD).then(most).flatten() };
        let (_, last) = *self.by_author.get(&whose?)?.last()?;
        let missing = self.remove(&last)?.1;
        Some(Gone { id: last, missing })
    }

    /// Holds a record until what is known reaches `until`; without room it is dropped, and will be handed over again.
    pub(super) fn hold_early(&mut self, held: Held, until: Until) {
        if self.early.len() < EARLY {
            self.early.insert(held.checked.id(), (held, until));
        }
    }

    /// A record came, and `known` is what is known now: what came too early for less, or builds on it, can be judged again.
    pub(super) fn release_early(&mut self, known: Until, came: &RecordId) {
        let builds_on = |held: &Held| {
            let record = held.checked.record();
            record.prev.as_ref() == Some(came) || record.parent_ids().any(|parent| parent == *came)
        };
        let is_due =
            |held: &Held, until: &Until| (until.round <= known.round && until.clock <= known.clock) || builds_on(held);
        let due = self.early.iter().filter(|(_, (held, until))| is_due(held, until));
        let due: Vec<RecordId> = due.map(|(id, _)| *id).collect();
        self.ready.extend(due.iter().filter_map(|id| self.early.remove(id)).map(|(held, _)| held));
    }

    /// All that came too early can be judged again.
    pub(super) fn release_all_early(&mut self) {
        self.ready.extend(std::mem::take(&mut self.early).into_values().map(|(held, _)| held));
    }

    fn remove(&mut self, id: &RecordId) -> Option<(Held, RecordId)> {
        let (held, missing) = self.held.remove(id)?;
        let author = held.checked.record().member;
        if let Some(places) = self.by_author.get_mut(&author) {
            places.remove(&held.place());
            if places.is_empty() {
                self.by_author.remove(&author);
            }
        }
        if let Some(waiting) = self.waits.get_mut(&missing) {
            waiting.remove(id);
            if waiting.is_empty() {
                self.waits.remove(&missing);
            }
        }
        Some((held, missing))
    }

    /// `id` became known: what waited for it can be judged again.
    pub(super) fn release(&mut self, id: &RecordId) {
        let mut released = self.take_waiting(id);
        released.sort_by_key(Held::place);
        self.ready.extend(released);
    }

    /// What waits for `id`.
    pub(super) fn waiting(&self, id: &RecordId) -> impl Iterator<Item = &Held> {
        let waiting = self.waits.get(id).into_iter().flatten();
        waiting.filter_map(|one| self.held.get(one)).map(|(held, _)| held)
    }

    /// Removes and returns what waits for `id`.
    pub(super) fn take_waiting(&mut self, id: &RecordId) -> Vec<Held> {
        let waiting = self.waits.get(id).cloned().unwrap_or_default();
        waiting.iter().filter_map(|one| self.remove(one)).map(|(held, _)| held).collect()
    }

    /// Drops what waits for a record that was dropped, and what waits for that.
    pub(super) fn drop_waiting(&mut self, id: RecordId) {
        let mut dropped = vec![id];
        while let Some(id) = dropped.pop() {
            dropped.extend(self.take_waiting(&id).iter().map(|held| held.checked.id()));
        }
    }

    /// Removes what a member wrote.
    pub(super) fn take_member(&mut self, member: &MemberId) -> Vec<Held> {
        let places = self.by_author.get(member).cloned().unwrap_or_default();
        let mut taken: Vec<Held> = places.iter().filter_map(|(_, id)| self.remove(id)).map(|(held, _)| held).collect();
        let theirs = self.early.iter().filter(|(_, (held, _))| held.checked.record().member == *member);
        let early: Vec<RecordId> = theirs.map(|(id, _)| *id).collect();
        taken.extend(early.iter().filter_map(|id| self.early.remove(id)).map(|(held, _)| held));
        taken
    }

    /// The next record that can be judged again.
    pub(super) fn pop_ready(&mut self) -> Option<Held> {
        self.ready.pop_front()
    }

    /// Takes everything, for another try under a new manifest.
    pub(super) fn retry_all(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.waits.clear();
        self.by_author.clear();
        let mut all: Vec<Held> = held.into_values().map(|(held, _)| held).collect();
        all.sort_by_key(Held::place);
        self.ready.extend(all);
        self.release_all_early();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Author};

    #[test]
    fn what_came_too_early_waits_until_enough_is_known_and_is_not_judged_again_before() {
        let chain = fixture::chain(4, fixture::policy());
        let mut authors = [1, 2, 3].map(Author::new);
        let base = authors[0].update(&chain, 1, &[]);
        let [first, second] = [1, 2].map(|n| authors[n].update(&chain, 1, &[]));
        let third = authors[1].update(&chain, 2, &[&base, &first]);
        let mut pending = Pending::default();
        let until = |round, clock| Until { round: Round(round), clock: Lamport(clock) };
        for (checked, until) in [(&first, until(5, 0)), (&second, until(0, 7)), (&third, until(90, 90))] {
            pending.hold_early(Held { checked: checked.clone(), from: None }, until);
        }
        let other = RecordId([9; 32]);
        let mut judged = |known, came: &RecordId| {
            pending.release_early(known, came);
            std::iter::from_fn(|| pending.pop_ready()).map(|held| held.checked.id()).collect::<Vec<_>>()
        };
        assert!(judged(until(4, 6), &other).is_empty(), "none");
        assert_eq!(judged(until(5, 6), &other), [first.id()], "the first");
        assert_eq!(judged(until(9, 9), &other), [second.id()], "the second, and none twice");
        assert_eq!(judged(until(9, 9), &base.id()), [third.id()], "what it builds on came");
    }
}
