//! What is kept of every record while others are checked against it, and how to find it.

use std::{collections::BTreeMap, ops::Range};

use super::{
    attested::Attested,
    finding::{Place, Where},
    layout::Name,
};
use crate::{
    admit::Parent,
    base::{BlobHash, Incarnation, Lamport, MemberId, RecordId, Round, Seq, UnixSeconds, limit},
    feed::{Accusation, Body, Checked, Kind, Spec, Step},
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
    /// Genuine when it was written; a later cut voids it. Or behind a handover of the key that signed it.
    Void,
}

/// A genuine record, in short.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    pub(super) id: RecordId,
    pub(super) member: MemberId,
    pub(super) incarnation: Incarnation,
    pub(super) seq: Seq,
    /// Of the first record of a later incarnation; of others the feed's chain says it.
    pub(super) prev: Option<RecordId>,
    pub(super) clock: Lamport,
    pub(super) manifest_version: u64,
    pub(super) kind: Kind,
    pub(super) round: Option<Round>,
    pub(super) body: Option<Body>,
    pub(super) codec: Option<Codec>,
    pub(super) state: Option<Body>,
    pub(super) accused: Option<Accusation>,
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
    pub(super) fn place(&self) -> Place {
        Place {
            file: Where::File(Name::Feed(self.member, self.incarnation)),
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
            manifest_version: self.manifest_version,
            round: self.round,
            // The walk knows it.
            claim: None,
        }
    }
}

/// What the index holds of each record, 184 bytes: whose it is, its feed says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    pub(super) id: RecordId,
    pub(super) seq: Seq,
    pub(super) clock: Lamport,
    /// 0 for what has none.
    round: Round,
    body: BlobHash,
    /// 0 for what has none.
    body_length: u64,
    leaf: TreeHash,
    /// Zeros for what names none.
    seen: BlobHash,
    claimed_time: UnixSeconds,
    /// No feed file is longer than [`FEED_FILE_BYTES`](super::layout::FEED_FILE_BYTES).
    pub(super) offset: u32,
    /// The chain holds every version in memory: there are fewer.
    pub(super) manifest_version: u32,
    /// No envelope is longer than [`RECORD_BYTES`](crate::base::limit::RECORD_BYTES).
    pub(super) length: u16,
    kind: Kind,
    codec: Option<Codec>,
    pub(super) stand: Stand,
}

/// In the place of a hash that is not there.
const NONE: BlobHash = BlobHash([0; 32]);

const _: () = assert!(size_of::<Packed>() == 184);
const _: () = assert!(super::layout::FEED_FILE_BYTES <= u32::MAX as u64 && limit::RECORD_BYTES <= u16::MAX as usize);

/// What few records have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra {
    state: Option<Body>,
    accused: Option<Accusation>,
    /// Of the first record of a later incarnation.
    prev: Option<RecordId>,
    /// By a release.
    released: Option<RecordId>,
}

impl Packed {
    /// A record whose frame stands at `offset`; and what only few have.
    pub(super) fn new(checked: &Checked, offset: u32) -> (Self, Option<Extra>) {
        let record = checked.record();
        let (round, state, accused) = match &record.spec {
            Spec::Update(update) => (update.round, update.state, None),
            Spec::Evidence(spec) => (Round(0), None, Some(Accusation::Evidence(*spec))),
            Spec::Fault(spec) => (Round(0), None, Some(Accusation::Fault(*spec))),
            Spec::Release(_) | Spec::Close(_) | Spec::Other(_) => (Round(0), None, None),
        };
        let packed = Self {
            id: checked.id(),
            seq: record.seq,
            clock: record.clock,
            round,
            body: record.body.map_or(NONE, |body| body.hash),
            body_length: record.body.map_or(0, |body| body.length),
            leaf: TreeHash::leaf(checked.bytes()),
            seen: record.seen.unwrap_or(NONE),
            claimed_time: record.claimed_time,
            offset,
            manifest_version: u32::try_from(record.manifest_version).unwrap_or(u32::MAX),
            length: u16::try_from(checked.bytes().len()).unwrap_or(u16::MAX),
            kind: record.spec.kind(),
            codec: record.codec,
            stand: Stand::Loose,
        };
        let prev = record.prev.filter(|_| record.seq == Seq(0));
        let released = record.parents.first().map(|parent| parent.record).filter(|_| packed.kind == Kind::Release);
        let extra = Extra { state, accused, prev, released };
        let some = state.is_some() || accused.is_some() || prev.is_some() || released.is_some();
        (packed, some.then_some(extra))
    }

    /// The same, standing so.
    pub(super) fn standing(self, stand: Stand) -> Self {
        Self { stand, ..self }
    }

    /// What it does to its feed.
    pub(super) fn step(&self, extra: Option<&Extra>) -> Step {
        match self.kind {
            Kind::Update => Step::Update(self.round),
            Kind::Release => Step::Release(extra.and_then(|extra| extra.released).unwrap_or(RecordId([0; 32]))),
            Kind::Evidence => Step::Evidence,
            Kind::Fault => Step::Fault,
            Kind::Close => Step::Close,
            Kind::Other => Step::Other,
        }
    }
}

/// The genuine records of one feed file, by place and byte.
#[derive(Debug)]
pub(super) struct Lights {
    pub(super) feed: (MemberId, Incarnation),
    pub(super) records: Vec<Packed>,
    /// By offset.
    pub(super) extras: BTreeMap<u32, Extra>,
    /// By offset: the merges that a record says were recomputed.
    pub(super) checked: Vec<(u32, RecordId)>,
}

impl Lights {
    fn light(&self, packed: &Packed) -> Light {
        let extra = self.extras.get(&packed.offset);
        let (hash, length) = (packed.body, packed.body_length);
        Light {
            id: packed.id,
            member: self.feed.0,
            incarnation: self.feed.1,
            seq: packed.seq,
            prev: extra.and_then(|extra| extra.prev),
            clock: packed.clock,
            manifest_version: packed.manifest_version.into(),
            kind: packed.kind,
            round: Some(packed.round).filter(|round| round.0 > 0),
            body: (length > 0).then_some(Body { hash, length }),
            codec: packed.codec,
            state: extra.and_then(|extra| extra.state),
            accused: extra.and_then(|extra| extra.accused),
            stand: packed.stand,
            offset: packed.offset.into(),
            length: packed.length.into(),
            leaf: packed.leaf,
            seen: Some(packed.seen).filter(|seen| *seen != NONE),
            claimed_time: packed.claimed_time,
        }
    }

    fn all(&self) -> impl Iterator<Item = Light> {
        self.records.iter().map(|packed| self.light(packed))
    }
}

/// Where in the index a record is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spot {
    feed: u32,
    at: u32,
}

/// How many places are looked at before a record is looked for by its id.
const NEAR: usize = 4;

/// Every genuine record of the archive.
pub(super) struct Index {
    /// By member and incarnation.
    feeds: Vec<Lights>,
    by_id: ById,
    attested: Attested,
}

/// Where the records are, by id: 18 to 20 bytes a record.
///
/// Ids are hashes, so their first bits spread them evenly over the buckets; who grinds for ids that begin alike makes one
/// bucket long, which is searched by halves.
struct ById {
    /// Ascending: the beginning of an id, and where the record is in `feeds`.
    entries: Vec<(u64, u32, u32)>,
    /// Where in `entries` each bucket begins, and where the last one ends.
    starts: Vec<usize>,
    /// By how much a beginning is shifted to give its bucket.
    shift: u32,
}

impl ById {
    fn new(mut entries: Vec<(u64, u32, u32)>) -> Self {
        entries.sort_unstable();
        // Two to four records a bucket.
        let bits = (entries.len() / 2).max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut at = 0;
        for bucket in 0..=1_u64 << bits {
            while entries.get(at).is_some_and(|(begin, ..)| begin >> shift < bucket) {
                at += 1;
            }
            starts.push(at);
        }
        Self { entries, starts, shift }
    }

    /// Where records are whose ids begin so.
    fn find(&self, begin: u64) -> impl Iterator<Item = (u32, u32)> {
        let bucket = usize::try_from(begin >> self.shift).unwrap_or(usize::MAX);
        let end = |at: Option<usize>| at.and_then(|at| self.starts.get(at)).copied().unwrap_or_default();
        let entries = self.entries.get(end(Some(bucket))..end(bucket.checked_add(1))).unwrap_or_default();
        let first = entries.partition_point(|(other, ..)| *other < begin);
        let same = entries.get(first..).unwrap_or_default().iter().take_while(move |(other, ..)| *other == begin);
        same.map(|(_, feed, at)| (*feed, *at))
    }
}

impl Index {
    /// `feeds` by member and incarnation.
    pub(super) fn new(mut feeds: Vec<Lights>) -> Self {
        let mut by_id = Vec::with_capacity(feeds.iter().map(|feed| feed.records.len()).sum());
        for (feed, lights) in (0..).zip(&mut feeds) {
            lights.records.sort_by_key(|packed| (packed.seq, packed.offset));
            by_id.extend((0..).zip(&lights.records).map(|(at, packed)| (begin(&packed.id), feed, at)));
        }
        let attested = Attested::new(&mut feeds);
        Self { feeds, by_id: ById::new(by_id), attested }
    }

    /// The linked updates that say that their authors recomputed this one's merge and found it right, by member, incarnation and place.
    pub(super) fn attesting(&self, update: &RecordId) -> impl Iterator<Item = Light> {
        self.attested.of(update).filter_map(|(feed, at)| self.at(feed, at))
    }

    fn at(&self, feed: u32, at: u32) -> Option<Light> {
        let lights = self.feeds.get(usize::try_from(feed).ok()?)?;
        Some(lights.light(lights.records.get(usize::try_from(at).ok()?)?))
    }

    /// By member, incarnation and place.
    pub(super) fn all(&self) -> impl Iterator<Item = Light> {
        self.feeds.iter().flat_map(Lights::all)
    }

    pub(super) fn by_id(&self, id: &RecordId) -> Option<Light> {
        self.find(id).and_then(|spot| self.at(spot.feed, spot.at))
    }

    /// The same, looked for first at `near` and in the places behind it, where a member's next record mostly is; `near` is then
    /// where it was found.
    pub(super) fn by_id_near(&self, id: &RecordId, near: &mut Spot) -> Option<Light> {
        let lights = self.feeds.get(usize::try_from(near.feed).ok()?);
        let from = usize::try_from(near.at).ok()?;
        let mut ahead = lights.and_then(|lights| lights.records.get(from..)).unwrap_or_default().iter().take(NEAR);
        match ahead.position(|packed| packed.id == *id) {
            Some(ahead) => near.at = near.at.saturating_add(u32::try_from(ahead).ok()?),
            None => *near = self.find(id)?,
        }
        self.at(near.feed, near.at)
    }

    fn find(&self, id: &RecordId) -> Option<Spot> {
        let has = |lights: &Lights, at: u32| {
            usize::try_from(at).ok().and_then(|at| lights.records.get(at)).is_some_and(|packed| packed.id == *id)
        };
        let mut found = self.by_id.find(begin(id)).filter(|(feed, at)| {
            usize::try_from(*feed).ok().and_then(|feed| self.feeds.get(feed)).is_some_and(|lights| has(lights, *at))
        });
        found.next().map(|(feed, at)| Spot { feed, at })
    }

    /// Everyone with a genuine record, ascending.
    pub(super) fn members(&self) -> Vec<MemberId> {
        let filled = self.feeds.iter().filter(|feed| !feed.records.is_empty());
        let mut members: Vec<MemberId> = filled.map(|lights| lights.feed.0).collect();
        members.dedup();
        members
    }

    /// A member's records, by incarnation and place.
    pub(super) fn of(&self, member: &MemberId) -> impl Iterator<Item = Light> {
        let Range { start, end } = self.range(member);
        self.feeds.get(start..end).into_iter().flatten().flat_map(Lights::all)
    }

    fn range(&self, member: &MemberId) -> Range<usize> {
        let before = |lights: &Lights| lights.feed.0 < *member;
        let within = |lights: &Lights| lights.feed.0 <= *member;
        self.feeds.partition_point(before)..self.feeds.partition_point(within)
    }
}

/// The first eight bytes: enough to find an id by, but for a few that begin alike.
fn begin(id: &RecordId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_where_it_is_however_many_there_are_and_however_alike_they_begin() {
        for count in [0_u32, 1, 2, 3, 4, 5, 63, 64, 65, 1000] {
            // Spread, all in the last bucket, all in the first, and four of each beginning.
            let spreads: [fn(u32) -> u64; 4] = [
                |at| u64::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                |at| u64::MAX - u64::from(at),
                |at| u64::from(at),
                |at| u64::from(at / 4) << 61,
            ];
            for (spread, begin) in spreads.into_iter().enumerate() {
                let by_id = ById::new((0..count).map(|at| (begin(at), at, at + 1)).collect());
                for at in 0..count {
                    let found: Vec<_> = by_id.find(begin(at)).collect();
                    let expected: Vec<_> =
                        (0..count).filter(|other| begin(*other) == begin(at)).map(|at| (at, at + 1)).collect();
                    assert_eq!(found, expected, "{count} ids, spread {spread}, number {at}");
                }
                for absent in [0x5555_5555_5555_5555, u64::MAX - 5000, 5000] {
                    assert_eq!(by_id.find(absent).count(), 0, "{count} ids, spread {spread}");
                }
            }
        }
    }
}
