//! Whom not to believe: members proved to have equivocated, and feeds that broke a rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use bytes::Bytes;

use super::{Engine, Event, Output, Reason, side::Side};
use crate::{
    admit::{Bundle, FaultProof},
    base::{BlobHash, Incarnation, MemberId, RecordId, TransportId},
    code::blob_hash,
    feed::{Accusation, Body, Evidence, EvidenceSpec, Head},
    manifest::Chain,
};

/// Who is out, and since when.
#[derive(Debug, Default)]
pub(super) struct Trust {
    convicted: BTreeMap<MemberId, Evidence>,
    excluded: BTreeSet<(MemberId, Incarnation)>,
    /// Feeds that broke a rule and that their members did not go on with.
    made_good: BTreeSet<(MemberId, Incarnation)>,
    /// The bundles held about each member.
    bundles: BTreeMap<MemberId, Bundles>,
}

/// What is held about one member. Faults take no room from contradictions, and count for none.
#[derive(Debug, Default)]
struct Bundles {
    /// With the feed that each convicts.
    contradictions: BTreeMap<BlobHash, Incarnation>,
    faults: BTreeSet<BlobHash>,
}

/// Bundles of a kind kept about one member: one convicts, the others are there for the audits of records that name them.
const BUNDLES: usize = 64;

impl Trust {
    pub(super) fn is_convicted(&self, member: &MemberId) -> bool {
        self.convicted.contains_key(member)
    }

    pub(super) fn is_excluded(&self, member: &MemberId, incarnation: Incarnation) -> bool {
        self.excluded.contains(&(*member, incarnation)) || self.made_good.contains(&(*member, incarnation))
    }

    /// Leaves a feed out; `false` if it was before.
    pub(super) fn exclude(&mut self, member: MemberId, incarnation: Incarnation) -> bool {
        self.excluded.insert((member, incarnation))
    }

    /// Leaves a feed out, and not its author, which has begun a later one.
    pub(super) fn exclude_made_good(&mut self, member: MemberId, incarnation: Incarnation) {
        self.made_good.insert((member, incarnation));
    }

    /// Whether this bundle is held and shows that the member signed two histories of this feed.
    pub(super) fn holds_contradiction(&self, accused: &MemberId, feed: Incarnation, bundle: &BlobHash) -> bool {
        self.bundles.get(accused).is_some_and(|held| held.contradictions.get(bundle) == Some(&feed))
    }

    /// Whether a member is left out of draws: it equivocated, or its newest feed broke a rule.
    pub(super) fn is_barred(&self, member: &MemberId) -> bool {
        let feeds = (*member, Incarnation(0))..=(*member, Incarnation(u64::MAX));
        self.is_convicted(member) || self.excluded.range(feeds).next().is_some()
    }

    /// Whether a bundle of this kind about the member is held, or would be one too many.
    pub(super) fn has_bundle(&self, accusation: &Accusation, bundle: &BlobHash) -> bool {
        let (accused, ..) = accusation.place();
        self.bundles.get(&accused).is_some_and(|held| match accusation {
            Accusation::Evidence(_) => held.contradictions.contains_key(bundle) || held.contradictions.len() >= BUNDLES,
            Accusation::Fault(_) => held.faults.contains(bundle) || held.faults.len() >= BUNDLES,
        })
    }

    /// Notes a bundle; `false` if it was held, or is one too many.
    fn note_bundle(&mut self, accused: MemberId, shows: Shows, bundle: BlobHash) -> bool {
        let held = self.bundles.entry(accused).or_default();
        match shows {
            Shows::Contradiction(feed) if held.contradictions.len() < BUNDLES => {
                held.contradictions.insert(bundle, feed).is_none()
            }
            Shows::Fault if held.faults.len() < BUNDLES => held.faults.insert(bundle),
            Shows::Contradiction(_) | Shows::Fault => false,
        }
    }

    /// Whether a proof convicts a member that was not convicted before.
    fn convict(&mut self, evidence: &Evidence, chain: &Chain) -> bool {
        let (member, ..) = evidence.accused();
        let settled = evidence.is_settled(chain) && chain.current().cut(&member).is_none();
        if settled || self.is_convicted(&member) {
            return false;
        }
        self.convicted.insert(member, evidence.clone());
        true
    }

    /// A handover says which history stands, so it was a key that failed, and the member has another one. A cut says so, too,
    /// but takes the member out. Gives those whom it clears.
    pub(super) fn clear_settled(&mut self, chain: &Chain) -> Vec<MemberId> {
        let (settled, convicted) = mem::take(&mut self.convicted)
            .into_iter()
            .partition(|(member, evidence)| chain.current().cut(member).is_none() && evidence.is_settled(chain));
        self.convicted = convicted;
        let settled: BTreeMap<MemberId, Evidence> = settled;
        settled.into_keys().collect()
    }

    /// A new incarnation makes good a broken rule, not an equivocation.
    pub(super) fn forgive(&mut self, member: &MemberId, incarnation: Incarnation) {
        self.excluded.retain(|(other, broken)| other != member || *broken >= incarnation);
    }
}

/// What a bundle shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shows {
    /// Two histories of this feed.
    Contradiction(Incarnation),
    /// A broken rule.
    Fault,
}

fn body_of(bundle: &Bytes) -> Body {
    Body { hash: blob_hash(bundle), length: bundle.len() as u64 }
}

impl Engine {
    /// Takes up a proof that somebody signed two histories.
    pub(super) fn convict(&mut self, evidence: &Evidence) {
        let (member, incarnation, seq) = evidence.accused();
        if self.trust.convict(evidence, &self.chain) {
            let body = self.keep_bundle(member, Shows::Contradiction(incarnation), evidence.to_bytes());
            self.emit(Output::Event(Event::Convicted { member, incarnation, seq }));
            if member == self.config.me {
                // Nobody accepts our records any more: writing on would only add to the proof.
                self.halt();
            } else {
                self.publish_conviction(EvidenceSpec { accused: member, incarnation, seq }, body);
            }
            self.recount_frontier();
            for held in self.pending.take_member(&member) {
                self.take_void(held.checked, held.from);
            }
            self.fetches.touch();
        }
        self.take_proof(evidence);
    }

    /// Shuts a convicted member out, and queues our word about it.
    fn publish_conviction(&mut self, spec: EvidenceSpec, body: Body) {
        for peer in self.transports(&spec.accused) {
            self.emit(Output::Ban { peer, code: "FORK-001" });
        }
        self.own.push_side(Side::Evidence { spec, body });
    }

    /// Others may have built on either record of a proof.
    pub(super) fn take_proof(&mut self, evidence: &Evidence) {
        for checked in [&evidence.first, &evidence.second] {
            if self.is_void(checked) {
                self.take_void(checked.clone(), None);
            }
        }
    }

    /// Takes up the bundles that the store holds. What it tells comes with [`Self::publish_stored`].
    pub(super) fn restore_bundles(&mut self, bundles: &[Bytes]) -> Result<(Vec<Evidence>, Vec<FaultProof>), String> {
        let (mut contradictions, mut faults) = (Vec::new(), Vec::new());
        for bytes in bundles {
            let bundle = Bundle::parse(bytes, &self.chain)
                .map_err(|refusal| format!("a stored evidence bundle: {} ({})", refusal, refusal.code()))?;
            let (accused, feed, _) = bundle.accused();
            match bundle {
                Bundle::Evidence(evidence) => {
                    self.keep_bundle(accused, Shows::Contradiction(feed), bytes.clone());
                    self.trust.convict(&evidence, &self.chain);
                    contradictions.push(*evidence);
                }
                Bundle::Fault(proof) => {
                    self.keep_bundle(accused, Shows::Fault, bytes.clone());
                    faults.push(*proof);
                }
            }
        }
        Ok((contradictions, faults))
    }

    /// After a start: who is convicted stays out, and what was not published before the program ended is published now.
    pub(super) fn publish_stored(&mut self) {
        let convicted: Vec<Evidence> = self.trust.convicted.values().cloned().collect();
        for evidence in convicted {
            let (accused, incarnation, seq) = evidence.accused();
            if accused != self.config.me {
                let body = body_of(&evidence.to_bytes());
                self.publish_conviction(EvidenceSpec { accused, incarnation, seq }, body);
            }
        }
    }

    /// Keeps a bundle that verified: others' records name theirs, and an archive holds every bundle that is named.
    pub(super) fn keep_bundle(&mut self, accused: MemberId, shows: Shows, bytes: Bytes) -> Body {
        let body = body_of(&bytes);
        if self.trust.note_bundle(accused, shows, body.hash) {
            self.emit(Output::StoreEvidence { bytes });
        }
        body
    }

    /// A record of accusation names a bundle: fetch it, to judge for ourselves, or to keep it beside the one that convicted.
    pub(super) fn fetch_bundle(&mut self, accusation: Accusation, body: Body, author: MemberId) {
        if !self.trust.has_bundle(&accusation, &body.hash) {
            self.fetches.want_bundle(body, accusation, author);
        }
    }

    /// A blob came that is no payload: a bundle, or the checkpoint for a merge that is recomputed.
    pub(super) fn on_blob(&mut self, hash: BlobHash, bytes: &Bytes) {
        if self.checks.take_state(&hash, bytes) {
            self.fetches.ended(&hash);
            return;
        }
        let Some((accusation, author)) = self.fetches.bundle_arrived(&hash) else { return };
        let reason = match Bundle::parse(bytes, &self.chain) {
            Ok(bundle) => {
                let supports = match (&bundle, &accusation) {
                    (Bundle::Evidence(evidence), Accusation::Evidence(spec)) => evidence.supports(spec).is_ok(),
                    (Bundle::Fault(proof), Accusation::Fault(spec)) => proof.supports(spec).is_ok(),
                    (Bundle::Evidence(_), Accusation::Fault(_)) | (Bundle::Fault(_), Accusation::Evidence(_)) => false,
                };
                // What a bundle shows is true, whatever whoever named it first called it.
                self.take_bundle(bundle);
                if supports {
                    return;
                }
                let text = "a record of accusation whose bundle accuses somebody else".to_owned();
                Reason { code: "EVD-003", text }
            }
            Err(refusal) => Reason { code: refusal.code(), text: refusal.to_string() },
        };
        self.refuse_author(&author, reason);
    }

    /// Takes up what a bundle shows.
    fn take_bundle(&mut self, bundle: Bundle) {
        match bundle {
            Bundle::Evidence(evidence) => {
                let (accused, feed, _) = evidence.accused();
                self.convict(&evidence);
                self.keep_bundle(accused, Shows::Contradiction(feed), evidence.to_bytes());
            }
            Bundle::Fault(proof) => self.take_fault(&proof),
        }
        self.retry_ready();
    }

    pub(super) fn refuse_author(&mut self, author: &MemberId, reason: Reason) {
        for peer in self.transports(author) {
            self.emit(Output::Penalise { peer, code: reason.code });
        }
        self.emit(Output::Event(Event::Refused { from: None, reason }));
    }

    /// A member's transport keys, none if it is no participant.
    pub(super) fn transports(&self, member: &MemberId) -> Vec<TransportId> {
        self.chain.member(member).map(|member| member.transport.clone()).unwrap_or_default()
    }

    /// Whether a head that somebody announced is one that we should have.
    pub(super) fn is_news(&self, head: &Head) -> bool {
        let id: &RecordId = &head.id;
        !(self.index.parent(id).is_some()
            || self.pending.contains(id)
            || self.own.is_persisting(id)
            || self.trust.is_convicted(&head.member)
            || self.trust.is_excluded(&head.member, head.incarnation))
    }
}
