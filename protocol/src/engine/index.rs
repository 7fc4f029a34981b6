//! Every record that was admitted, by id, by feed and by what it says.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;

use super::voids::Voids;
use crate::{
    admit::Parent,
    base::{BlobHash, Incarnation, Lamport, MemberId, RecordId, Round, Seq},
    feed::{Body, Checked, FaultSpec, Feed, Head, Linked, Record, Refusal, Spec, check_stored},
    manifest::Chain,
    wire::{Have, SyncRequest},
};

/// Bundles remembered that records name about one feed.
const BUNDLES: usize = 64;

/// An admitted update, as much of it as the engine plans with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) member: MemberId,
    pub(super) record: RecordId,
    pub(super) incarnation: Incarnation,
    pub(super) seq: Seq,
    pub(super) round: Round,
    pub(super) manifest_version: u64,
    pub(super) payload: Body,
    pub(super) state: Option<Body>,
}

impl Known {
    /// What an update of this id says; `None` for other kinds.
    pub(super) fn of(id: RecordId, record: &Record) -> Option<Self> {
        let Spec::Update(update) = &record.spec else { return None };
        Some(Self {
            member: record.member,
            record: id,
            incarnation: record.incarnation,
            seq: record.seq,
            round: update.round,
            manifest_version: record.manifest_version,
            payload: record.body?,
            state: update.state,
        })
    }

    fn place(&self) -> (Incarnation, Seq) {
        (self.incarnation, self.seq)
    }
}

/// What later records may need to know about one, and its bytes as evidence.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) parent: Parent,
    payload: Option<BlobHash>,
    pub(super) bytes: Bytes,
    manifest_version: u64,
    closes: bool,
}

impl Entry {
    fn of(checked: &Checked) -> Self {
        let record = checked.record();
        Self {
            parent: Parent::of(record),
            payload: record.body.map(|body| body.hash),
            bytes: checked.bytes().clone(),
            manifest_version: record.manifest_version,
            closes: matches!(record.spec, Spec::Close(_)),
        }
    }
}

/// The records that count.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<RecordId, Entry>,
    feeds: BTreeMap<(MemberId, Incarnation), Feed>,
    newest: BTreeMap<MemberId, Known>,
    closed: BTreeMap<MemberId, Incarnation>,
    pinned: BTreeSet<BlobHash>,
    rounds: BTreeMap<Round, Vec<Known>>,
    /// Bundles that records of evidence name, by the feed accused; a few of each.
    evidence: BTreeMap<(MemberId, Incarnation), BTreeSet<BlobHash>>,
    /// By the record accused and the member that accuses.
    faults: BTreeMap<RecordId, BTreeMap<MemberId, FaultSpec>>,
    /// Records that do not count but that others may build on.
    pub(super) voids: Voids,
    /// The largest clock of all that counts.
    clock: Lamport,
}

impl Index {
    pub(super) fn contains(&self, id: &RecordId) -> bool {
        self.entries.contains_key(id)
    }

    /// What a record that builds on `id` needs to know of it.
    pub(super) fn parent(&self, id: &RecordId) -> Option<Parent> {
        self.entry(id).map(|entry| entry.parent)
    }

    /// What is kept of a record; without a privacy claim of its own it carries the one before it on.
    pub(super) fn entry_of(&self, checked: &Checked) -> Entry {
        let mut entry = Entry::of(checked);
        let before = || self.entry(&checked.record().prev?)?.parent.claim;
        entry.parent.claim = entry.parent.claim.or_else(before);
        entry
    }

    fn entry(&self, id: &RecordId) -> Option<&Entry> {
        self.entries.get(id).or_else(|| self.voids.get(id))
    }

    /// Whether a record may stand right behind the one that it names, be that void or not.
    pub(super) fn may_follow(&self, prev: &RecordId, record: &Record) -> bool {
        self.entry(prev).is_some_and(|before| {
            let parent = &before.parent;
            (parent.member, parent.incarnation, parent.seq.next()) == (record.member, record.incarnation, record.seq)
                && before.manifest_version <= record.manifest_version
                && !before.closes
        })
    }

    pub(super) fn bytes(&self, id: &RecordId) -> Option<&Bytes> {
        self.entries.get(id).map(|entry| &entry.bytes)
    }

    pub(super) fn head(&self, member: &MemberId, incarnation: Incarnation) -> Option<Head> {
        self.feeds.get(&(*member, incarnation)).and_then(Feed::head)
    }

    /// The head of the newest feed of `member` below `incarnation`.
    pub(super) fn head_before(&self, member: &MemberId, incarnation: Incarnation) -> Option<Head> {
        let feeds = self.feeds.range((*member, Incarnation(0))..(*member, incarnation));
        feeds.rev().find_map(|(_, feed)| feed.head())
    }

    /// Offers a record to its feed; the caller inserts what was appended.
    pub(super) fn offer(&mut self, checked: &Checked, chain: &Chain) -> Result<Linked, Refusal> {
        let Self { entries, feeds, .. } = self;
        let record = checked.record();
        let key = (record.member, record.incarnation);
        let feed = feeds.entry(key).or_insert_with(|| Feed::new(record.member, record.incarnation));
        feed.offer(checked, |id| entries.get(id).and_then(|entry| check_stored(entry.bytes.clone(), chain).ok()))
    }

    /// Takes the records of `member` out that no longer stand; what stands beside them takes its place again.
    pub(super) fn drop_fallen(&mut self, member: &MemberId, chain: &Chain) {
        let own = self.entries.values().filter(|entry| entry.parent.member == *member);
        let fallen = own.filter(|entry| check_stored(entry.bytes.clone(), chain).is_err());
        if let Some(from) = fallen.map(|entry| entry.parent.incarnation).min() {
            self.link_again(member, from, &BTreeSet::new(), Vec::new(), chain);
        }
    }

    /// Puts the void branch that ends with `last` in the place of the one in its feed; `false` if that is no such branch.
    pub(super) fn raise(&mut self, last: RecordId, chain: &Chain) -> bool {
        let mut branch = Vec::new();
        let mut at = Some(last);
        while let Some((id, entry)) = at.and_then(|id| Some((id, self.voids.get(&id)?.clone()))) {
            let Ok(checked) = check_stored(entry.bytes.clone(), chain) else { return false };
            at = checked.record().prev.filter(|_| entry.parent.seq > Seq(0));
            branch.push((id, entry));
        }
        branch.reverse();
        let Some((_, first)) = branch.first() else { return false };
        let (member, incarnation, seq) = (first.parent.member, first.parent.incarnation, first.parent.seq);
        // Where it begins, the branch goes on from a record of the feed.
        let joins = seq == Seq(0) || at.is_some_and(|id| self.entries.contains_key(&id));
        if !joins {
            return false;
        }
        let feed = |entry: &Entry| (entry.parent.member, entry.parent.incarnation) == (member, incarnation);
        let displaced = self.entries.iter().filter(|(_, entry)| feed(entry) && entry.parent.seq >= seq);
        let displaced: BTreeSet<RecordId> = displaced.map(|(id, _)| *id).collect();
        branch.iter().for_each(|(id, _)| self.voids.remove(id));
        self.link_again(&member, incarnation, &displaced, branch, chain);
        true
    }

    /// Links the feeds of `member` from incarnation `from` on again, without those records that are displaced or no longer stand,
    /// with others beside them.
    fn link_again(
        &mut self,
        member: &MemberId,
        from: Incarnation,
        displaced: &BTreeSet<RecordId>,
        more: Vec<(RecordId, Entry)>,
        chain: &Chain,
    ) {
        let gone = |parent: &Parent| parent.member == *member && parent.incarnation >= from;
        let ids: Vec<RecordId> = self.entries.iter().filter(|(_, one)| gone(&one.parent)).map(|(id, _)| *id).collect();
        let mut taken: Vec<(RecordId, Entry)> =
            ids.into_iter().filter_map(|id| Some((id, self.entries.remove(&id)?))).collect();
        taken.extend(more);
        taken.sort_by_key(|(_, entry)| (entry.parent.incarnation, entry.parent.seq));
        self.feeds.retain(|(other, incarnation), _| other != member || *incarnation < from);
        for updates in self.rounds.values_mut() {
            updates.retain(|known| known.member != *member || known.incarnation < from);
        }
        let rest = self.rounds.values().flatten().filter(|known| known.member == *member);
        match rest.max_by_key(|known| known.place()).cloned() {
            Some(known) => drop(self.newest.insert(*member, known)),
            None => drop(self.newest.remove(member)),
        }
        if self.closed.get(member).is_some_and(|closed| *closed >= from) {
            self.closed.remove(member);
        }
        for (id, entry) in taken {
            let standing = check_stored(entry.bytes.clone(), chain).ok().filter(|_| !displaced.contains(&id));
            match standing {
                Some(checked) if matches!(self.offer(&checked, chain), Ok(Linked::Appended)) => self.insert(&checked),
                _ => self.voids.insert_fallen(id, entry),
            }
        }
    }

    /// A feed as it stands; `None` if nothing of it is known.
    pub(super) fn feed(&self, member: &MemberId, incarnation: Incarnation) -> Option<&Feed> {
        self.feeds.get(&(*member, incarnation))
    }

    /// The manifest version of the newest record of a feed; `None` for an empty one.
    pub(super) fn version_of(&self, member: &MemberId, incarnation: Incarnation) -> Option<u64> {
        let feed = self.feeds.get(&(*member, incarnation))?;
        feed.head().map(|_| feed.manifest_version())
    }

    /// Remembers an appended record.
    pub(super) fn insert(&mut self, checked: &Checked) {
        let record = checked.record();
        let entry = self.entry_of(checked);
        self.entries.insert(checked.id(), entry);
        self.clock = self.clock.max(record.clock);
        match &record.spec {
            Spec::Update(_) => self.insert_update(checked),
            Spec::Release(_) => {
                let parents = record.parent_ids().filter_map(|id| self.entries.get(&id));
                let payloads: Vec<BlobHash> = parents.filter_map(|entry| entry.payload).collect();
                self.pinned.extend(payloads);
            }
            Spec::Evidence(spec) => {
                let named = self.evidence.entry((spec.accused, spec.incarnation)).or_default();
                if named.len() < BUNDLES {
                    named.extend(record.body.map(|body| body.hash));
                }
            }
            Spec::Fault(spec) => {
                self.faults.entry(spec.record).or_default().insert(record.member, *spec);
            }
            Spec::Other(_) => {}
            Spec::Close(_) => {
                self.closed.insert(record.member, record.incarnation);
            }
        }
    }

    fn insert_update(&mut self, checked: &Checked) {
        let Some(known) = Known::of(checked.id(), checked.record()) else { return };
        self.rounds.entry(known.round).or_default().push(known.clone());
        let newer = self.newest.get(&known.member).is_none_or(|held| held.place() < known.place());
        if newer {
            self.newest.insert(known.member, known);
        }
    }

    /// The largest clock of all that counts.
    pub(super) const fn clock(&self) -> Lamport {
        self.clock
    }

    /// The newest update of a member.
    pub(super) fn newest(&self, member: &MemberId) -> Option<&Known> {
        self.newest.get(member)
    }

    /// Every member's newest update.
    pub(super) fn all_newest(&self) -> impl Iterator<Item = &Known> {
        self.newest.values()
    }

    /// Whether the member's newest feed has ended.
    pub(super) fn is_closed(&self, member: &MemberId) -> bool {
        let Some(closed) = self.closed.get(member) else { return false };
        self.feeds.range((*member, closed.next())..=(*member, Incarnation(u64::MAX))).next().is_none()
    }

    /// The bundles that evidence records about this feed name.
    pub(super) fn evidence_about(
        &self,
        member: &MemberId,
        incarnation: Incarnation,
    ) -> impl Iterator<Item = &BlobHash> {
        self.evidence.get(&(*member, incarnation)).into_iter().flatten()
    }

    /// How many members' records accuse of just this.
    pub(super) fn accusations(&self, spec: &FaultSpec) -> usize {
        let by = self.faults.get(&spec.record).into_iter().flatten();
        by.filter(|(_, said)| *said == spec).count()
    }

    /// The feeds that records of this member accuse of a fault.
    pub(super) fn own_accusations(&self, me: &MemberId) -> Vec<(MemberId, Incarnation)> {
        let own = self.faults.values().filter_map(|by| by.get(me));
        own.map(|spec| (spec.accused, spec.incarnation)).collect()
    }

    /// Whether something is known of the member in an incarnation above this one.
    pub(super) fn has_feed_above(&self, member: &MemberId, incarnation: Incarnation) -> bool {
        let above = (*member, incarnation.next())..=(*member, Incarnation(u64::MAX));
        self.feeds.range(above).any(|(_, feed)| feed.head().is_some())
    }

    /// The bytes of a record, void ones included.
    pub(super) fn bytes_of_any(&self, id: &RecordId) -> Option<&Bytes> {
        self.entry(id).map(|entry| &entry.bytes)
    }

    /// Whether a release record names this payload.
    pub(super) fn is_pinned(&self, payload: &BlobHash) -> bool {
        self.pinned.contains(payload)
    }

    /// Admitted updates of a round.
    pub(super) fn updates_of(&self, round: Round) -> impl Iterator<Item = &Known> {
        self.rounds.get(&round).into_iter().flatten()
    }

    /// Admitted updates of rounds below `round`, oldest first.
    pub(super) fn updates_below(&self, round: Round) -> impl Iterator<Item = &Known> {
        self.rounds.range(..round).flat_map(|(_, updates)| updates)
    }

    /// Forgets updates below `round` that `gone` says no longer matter for retention; records themselves stay.
    pub(super) fn forget_below(&mut self, round: Round, gone: impl Fn(&Known) -> bool) {
        for (_, updates) in self.rounds.range_mut(..round) {
            updates.retain(|known| !gone(known));
        }
        self.rounds.retain(|_, updates| !updates.is_empty());
    }

    /// How far every feed is held; ascending. If there are more than a question holds, each member's newest feed comes first,
    /// then the longest of the others: what is not named comes whole again, and the shortest cost the least.
    pub(super) fn have(&self) -> Vec<Have> {
        let heads = self.feeds.values().filter_map(Feed::head);
        let mut have: Vec<Have> = heads
            .map(|head| Have { member: head.member, incarnation: head.incarnation, next: head.seq.next() })
            .collect();
        if have.len() <= SyncRequest::HAVES {
            return have;
        }
        let newest: BTreeMap<MemberId, Incarnation> = have.iter().map(|one| (one.member, one.incarnation)).collect();
        have.sort_by_key(|one| (newest.get(&one.member) != Some(&one.incarnation), Reverse(one.next)));
        have.truncate(SyncRequest::HAVES);
        have.sort_unstable();
        have
    }
}
