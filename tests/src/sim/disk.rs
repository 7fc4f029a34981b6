//! What a node keeps when it crashes.

use std::collections::BTreeMap;

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, Incarnation, Lamport, MemberId, RecordId, Seq},
    engine::{Stored, Trained},
    feed::{Checked, check_stored},
    manifest::Chain,
    merge,
    wire::Have,
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

/// Durable things, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    feeds: BTreeMap<(MemberId, Incarnation), BTreeMap<Seq, (Lamport, Bytes)>>,
    pub(super) blobs: BTreeMap<BlobHash, Bytes>,
    pub(super) saved: BTreeMap<BlobHash, Saved>,
    pub(super) evidence: Vec<Bytes>,
    pub(super) manifests: Vec<Bytes>,
}

impl Disk {
    pub(super) fn put(&mut self, bytes: &Bytes, chain: &Chain) {
        let checked = check_stored(bytes.clone(), chain).expect("the engine stores checked records only");
        let record = checked.record();
        let feed = self.feeds.entry((record.member, record.incarnation)).or_default();
        let before = feed.insert(record.seq, (record.clock, bytes.clone()));
        assert!(before.is_none_or(|(_, held)| held == *bytes), "a stored place is overwritten");
    }

    /// A record that is kept here.
    pub(super) fn record(&self, id: &RecordId, chain: &Chain) -> Option<Checked> {
        let all = self.feeds.values().flat_map(BTreeMap::values);
        let mut checked = all.filter_map(|(_, bytes)| check_stored(bytes.clone(), chain).ok());
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
    pub(super) fn lacking(&self, have: &[Have]) -> Vec<Bytes> {
        let mut lacking: Vec<(Lamport, RecordPlace, Bytes)> = Vec::new();
        for ((member, incarnation), feed) in &self.feeds {
            let held = have.iter().find(|have| have.member == *member && have.incarnation == *incarnation);
            let next = held.map_or(Seq(0), |have| have.next);
            let missing = feed.range(next..);
            lacking.extend(missing.map(|(seq, (clock, bytes))| (*clock, (*member, *incarnation, *seq), bytes.clone())));
        }
        lacking.sort();
        lacking.into_iter().map(|(_, _, bytes)| bytes).collect()
    }
}

type RecordPlace = (MemberId, Incarnation, Seq);
