//! What a node keeps when it crashes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chorale_protocol::{
    audit::ArchiveBuilder,
    base::{BlobHash, Incarnation, Lamport, MemberId, RecordId, Seq},
    engine::{Stored, Trained},
    feed::{Checked, Spec, check_despite_cut},
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
    #[must_use]
    pub fn record(&self, id: &RecordId, chain: &Chain) -> Option<Checked> {
        let all = self.feeds.values().flat_map(BTreeMap::values);
        let mut checked = all.filter_map(|(_, bytes)| check_despite_cut(bytes.clone(), chain).ok());
        checked.find(|checked| checked.id() == *id)
    }

    /// The newest update of a member that is kept here.
    #[must_use]
    pub fn newest(&self, member: &MemberId, chain: &Chain) -> Option<Checked> {
        let feeds = self.feeds.iter().filter(|((of, _), _)| of == member);
        let mut records = feeds.flat_map(|(_, feed)| feed.values()).rev();
        let mut checked = records.by_ref().filter_map(|(_, bytes)| check_despite_cut(bytes.clone(), chain).ok());
        checked.find(|checked| matches!(checked.record().spec, Spec::Update(_)))
    }

    /// A blob that is kept here.
    #[must_use]
    pub fn blob(&self, hash: &BlobHash) -> Option<Bytes> {
        self.blobs.get(hash).cloned()
    }

    /// What an auditor gets of it.
    #[must_use]
    pub fn archive(&self, chain: &Chain) -> ArchiveBuilder {
        let mut archive = ArchiveBuilder::new(chain.signed());
        for bytes in self.feeds.values().flat_map(BTreeMap::values).map(|(_, bytes)| bytes) {
            let checked = check_despite_cut(bytes.clone(), chain).expect("the engine stores checked records only");
            let record = checked.record();
            let state = if let Spec::Update(update) = &record.spec { update.state } else { None };
            for body in record.body.into_iter().chain(state) {
                if let Some(blob) = self.blobs.get(&body.hash).filter(|blob| !self.evidence.contains(blob)) {
                    archive.blob(blob.clone());
                }
            }
            archive.record(&checked);
        }
        for bundle in &self.evidence {
            archive.evidence(bundle.clone());
        }
        archive
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
