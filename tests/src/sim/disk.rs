//! What a node keeps when it crashes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, Incarnation, Lamport, MemberId, RecordId, Seq},
    engine::{Stored, Trained},
    feed::{Checked, check_despite_cut},
    manifest::Chain,
    merge,
    wire::SyncRequest,
};

/// The training state saved with a payload.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    /// What rounding lost.
    pub(super) residual: Vec<f32>,
    /// Outer momentum.
    pub(super) momentum: Option<merge::State>,
}

/// What a round's job leaves.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) payload: Bytes,
    pub(super) saved: Saved,
    pub(super) trained: Trained,
}

/// Records by place, and all that were signed for one.
type Feed = BTreeMap<(Seq, RecordId), (Lamport, Bytes)>;

/// Durable things, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    feeds: BTreeMap<(MemberId, Incarnation), Feed>,
    pub(super) blobs: BTreeMap<BlobHash, Bytes>,
    pub(super) saved: BTreeMap<BlobHash, Saved>,
    pub(super) evidence: Vec<Bytes>,
    pub(super) manifests: Vec<Bytes>,
}

impl Disk {
    pub(super) fn put(&mut self, bytes: &Bytes, chain: &Chain) {
        let checked = check_despite_cut(bytes.clone(), chain).expect("the engine stores checked records only");
        let record = checked.record();
        let feed = self.feeds.entry((record.member, record.incarnation)).or_default();
        feed.insert((record.seq, checked.id()), (record.clock, bytes.clone()));
    }

    /// A record that is kept here.
    pub(super) fn record(&self, id: &RecordId, chain: &Chain) -> Option<Checked> {
        let all = self.feeds.values().flat_map(BTreeMap::values);
        let mut checked = all.filter_map(|(_, bytes)| check_despite_cut(bytes.clone(), chain).ok());
        checked.find(|checked| checked.id() == *id)
    }

    /// Everything for an engine that starts.
    pub(super) fn stored(&self) -> Stored {
        Stored {
            records: self.feeds.values().flat_map(BTreeMap::values).map(|(_, bytes)| bytes.clone()).collect(),
            evidence: self.evidence.clone(),
            payloads: self.blobs.keys().copied().collect(),
        }
    }

    /// What somebody lacks, by clock.
    pub(super) fn lacking(&self, question: &SyncRequest) -> Vec<Bytes> {
        let mut lacking: Vec<(Lamport, RecordId, Bytes)> = Vec::new();
        for ((member, incarnation), feed) in &self.feeds {
            let held = question.have.iter().find(|have| (have.member, have.incarnation) == (*member, *incarnation));
            let next = held.map_or(Seq(0), |have| have.next);
            let mut places: BTreeSet<Seq> = feed.keys().map(|(seq, _)| *seq).filter(|seq| *seq >= next).collect();
            for (seq, _) in feed.keys().filter(|(_, id)| question.wants.contains(id)) {
                places.extend((seq.0.saturating_sub(SyncRequest::WITH_WANTED)..=seq.0).map(Seq));
            }
            let missing = feed.iter().filter(|((seq, _), _)| places.contains(seq));
            lacking.extend(missing.map(|((_, id), (clock, bytes))| (*clock, *id, bytes.clone())));
        }
        lacking.sort();
        lacking.into_iter().map(|(_, _, bytes)| bytes).collect()
    }
}
