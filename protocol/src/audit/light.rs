//! What is kept of every record while others are checked against it, and how to find it.

use std::collections::BTreeMap;

use super::{finding::Place, layout::Name};
use crate::{
    admit::Parent,
    base::{BlobHash, Incarnation, Lamport, MemberId, RecordId, Round, Seq, UnixSeconds},
    feed::{Body, Checked, EvidenceSpec, Kind, Spec},
    log::TreeHash,
    manifest::Codec,
};

/// How a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// In its feed's chain.
    Linked,
    /// Genuine, but not in the chain: a fork's other branch, or a broken rule of the feed.
    Loose,
    /// Genuine when it was written; a later cut voids it.
    Void,
}

/// A genuine record, in short.
#[derive(Debug, Clone)]
pub(super) struct Light {
    pub(super) id: RecordId,
    pub(super) member: MemberId,
    pub(super) incarnation: Incarnation,
    pub(super) seq: Seq,
    pub(super) prev: Option<RecordId>,
    pub(super) clock: Lamport,
    pub(super) kind: Kind,
    pub(super) round: Option<Round>,
    pub(super) body: Option<Body>,
    pub(super) codec: Option<Codec>,
    pub(super) state: Option<Body>,
    pub(super) accused: Option<EvidenceSpec>,
    pub(super) stand: Stand,
    /// The frame's place in its feed file.
    pub(super) offset: u64,
    /// Of the envelope, in bytes.
    pub(super) length: usize,
    /// Of the envelope, in logs.
    pub(super) leaf: TreeHash,
    pub(super) seen: Option<BlobHash>,
    pub(super) claimed_time: UnixSeconds,
}

impl Light {
    pub(super) fn new(checked: &Checked, stand: Stand, offset: u64) -> Self {
        let record = checked.record();
        let (kind, round, state, accused) = match &record.spec {
            Spec::Update(update) => (Kind::Update, Some(update.round), update.state, None),
            Spec::Release(_) => (Kind::Release, None, None, None),
            Spec::Evidence(spec) => (Kind::Evidence, None, None, Some(*spec)),
            Spec::Close(_) => (Kind::Close, None, None, None),
        };
        Self {
            id: checked.id(),
            member: record.member,
            incarnation: record.incarnation,
            seq: record.seq,
            prev: record.prev,
            clock: record.clock,
            kind,
            round,
            body: record.body,
            codec: record.codec,
            state,
            accused,
            stand,
            offset,
            length: checked.bytes().len(),
            leaf: TreeHash::leaf(checked.bytes()),
            seen: record.seen,
            claimed_time: record.claimed_time,
        }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            file: Name::Feed(self.member, self.incarnation).to_string(),
            offset: Some(self.offset),
            feed: Some((self.member, self.incarnation)),
            seq: Some(self.seq),
            record: Some(self.id),
        }
    }

    pub(super) fn parent(&self) -> Parent {
        Parent {
            member: self.member,
            incarnation: self.incarnation,
            seq: self.seq,
            clock: self.clock,
            round: self.round,
        }
    }
}

/// Every genuine record of the archive.
pub(super) struct Index {
    lights: Vec<Light>,
    by_id: Vec<(RecordId, usize)>,
    members: BTreeMap<MemberId, Vec<usize>>,
}

impl Index {
    pub(super) fn new(mut lights: Vec<Light>) -> Self {
        lights.sort_by_key(|light| (light.member, light.incarnation, light.seq, light.offset));
        let mut by_id: Vec<_> = lights.iter().enumerate().map(|(at, light)| (light.id, at)).collect();
        by_id.sort_unstable();
        by_id.dedup_by_key(|(id, _)| *id);
        let mut members: BTreeMap<MemberId, Vec<usize>> = BTreeMap::new();
        for (at, light) in lights.iter().enumerate() {
            members.entry(light.member).or_default().push(at);
        }
        Self { lights, by_id, members }
    }

    /// By member, incarnation and place.
    pub(super) fn all(&self) -> &[Light] {
        &self.lights
    }

    pub(super) fn by_id(&self, id: &RecordId) -> Option<&Light> {
        let at = self.by_id.binary_search_by_key(id, |(id, _)| *id).ok()?;
        self.lights.get(self.by_id.get(at)?.1)
    }

    /// Everyone with a genuine record, ascending.
    pub(super) fn members(&self) -> Vec<MemberId> {
        self.members.keys().copied().collect()
    }

    /// A member's records, by incarnation and place.
    pub(super) fn of(&self, member: &MemberId) -> impl DoubleEndedIterator<Item = &Light> {
        self.members.get(member).into_iter().flatten().filter_map(|at| self.lights.get(*at))
    }
}
