//! Broken rules: how a record that breaks one is proved to others, and what others' accusations lead to.
//!
//! A feed in which a rule was broken counts no more from there on; a new incarnation makes it good, for it may be a mistake. Nobody
//! is left out on somebody's word: each member checks for itself what it hears of.

use super::{Engine, Event, Output, Reason, index::Known, judge::Doubt, side::Side, trust::Shows};
use crate::{
    admit::{self, Called, FaultProof, Parent, Present},
    base::{BlobHash, Incarnation, MemberId, RecordId, Round, Seq, limit},
    draw::Seed,
    feed::{Body, Checked, FaultSpec, Flaw, Record, Spec, check_unsigned, read_again},
};

impl Engine {
    /// The rules of an update's draw, which need the update before it in its feed.
    pub(super) fn judge_draw(&self, record: &Record) -> Result<(), Doubt> {
        let Spec::Update(_) = &record.spec else { return Ok(()) };
        let Some((manifest, _)) = self.chain.at(record.manifest_version) else { return Err(Doubt::Early) };
        let last = self.last_update_of(&record.member, record.incarnation);
        let seed = match &last {
            Some(last) => self.chain.at(last.manifest_version).and_then(|(manifest, _)| Seed::after(last, manifest)),
            None => Some(Seed::default()),
        };
        let members = admit::drawable(manifest);
        admit::check_draw(&self.chain.network(), record, seed.as_ref(), (manifest, &members))
            .map_err(|error| Doubt::Broken(Reason { code: error.code(), text: error.to_string() }))?;
        let parents: Vec<Parent> = record.parent_ids().filter_map(|id| self.index.parent(&id)).collect();
        let Some(called) = Called::of(record, manifest, &parents) else { return Ok(()) };
        match self.present(record, last.as_ref(), &called) {
            Some(present) => Err(Doubt::Broken(Reason { code: Present::CODE, text: present.to_string() })),
            None => Ok(()),
        }
    }

    /// The last update of a feed: of an older feed, too, for records may come after those of a later one.
    fn last_update_of(&self, member: &MemberId, incarnation: Incarnation) -> Option<Record> {
        if let Some(newest) = self.index.newest(member).filter(|newest| newest.incarnation == incarnation) {
            return self.read(&newest.record);
        }
        let mut at = self.index.head(member, incarnation)?.id;
        loop {
            let record = self.read(&at)?;
            if matches!(record.spec, Spec::Update(_)) {
                return Some(record);
            }
            at = record.prev.filter(|_| record.seq > Seq(0))?;
        }
    }

    /// An update of a member called absent that the author's last update, or one that this one merges, builds on.
    fn present(&self, record: &Record, last: Option<&Record>, called: &Called<'_>) -> Option<Present> {
        // Mostly none of them has such an update, and nothing need be read.
        if !called.members().any(|member| self.index.newest(member).is_some()) {
            return None;
        }
        let built_on = record.parent_ids().filter_map(|id| self.read(&id));
        let ids = record.parent_ids().chain(last.into_iter().flat_map(Record::parent_ids));
        let ids: Vec<RecordId> = ids.chain(built_on.flat_map(|one| one.parent_ids().collect::<Vec<_>>())).collect();
        ids.into_iter().find_map(|record| {
            let known = self.index.parent(&record).filter(|known| called.speaks_of(known))?;
            let present = Present { member: known.member, record, round: known.round.unwrap_or_default() };
            self.index.contains(&record).then_some(present)
        })
    }

    /// A record that counts, decoded again.
    pub(super) fn read(&self, id: &RecordId) -> Option<Record> {
        read_again(self.index.bytes(id)?, *id, &self.chain)
    }

    /// What shows others that a record breaks a rule; `None` if that takes more than a bundle holds.
    fn prove(&self, checked: &Checked) -> Option<FaultProof> {
        let record = checked.record();
        let skipped = if let Spec::Update(update) = &record.spec { update.skipped.as_slice() } else { &[] };
        let named = record.parent_ids().chain(skipped.iter().filter_map(|skip| skip.record));
        let mut ids: Vec<RecordId> = named.collect();
        let mut at = record.clone();
        while let Some(prev) = at.prev.filter(|_| ids.len() < limit::FAULT_RECORDS) {
            ids.push(prev);
            match self.known(&prev) {
                Some(before) if at.seq > Seq(0) && !matches!(before.record().spec, Spec::Update(_)) => {
                    at = before.record().clone();
                }
                _ => break,
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let others = ids.iter().filter_map(|id| self.known(id)).collect();
        FaultProof::of(checked.clone(), others, &self.chain)
    }

    /// A record that counts, or a void one.
    fn known(&self, id: &RecordId) -> Option<Checked> {
        check_unsigned(self.index.bytes_of_any(id)?.clone(), &self.chain).ok()
    }

    /// A record broke a rule: nothing of its feed counts from here on, and others are told if that can be shown.
    pub(super) fn bar_for_rule(&mut self, checked: &Checked, code: &'static str) {
        let record = checked.record();
        let is_new = !self.trust.is_excluded(&record.member, record.incarnation);
        let proof = if is_new && record.member != self.config.me { self.prove(checked) } else { None };
        self.exclude(record.member, record.incarnation, record.seq, code);
        if let Some(proof) = proof {
            let body = self.keep_bundle(record.member, Shows::Fault, proof.to_bytes());
            self.accuse(checked.id(), record, Flaw::Rule, Some(body));
        }
    }

    /// An update that was admitted has a flaw that we found ourselves.
    pub(super) fn bar_for_flaw(&mut self, known: &Known, code: &'static str, flaw: Flaw) {
        let (member, incarnation, seq) = (known.member, known.incarnation, known.seq);
        if self.trust.is_excluded(&member, incarnation) || member == self.config.me {
            return;
        }
        self.exclude(member, incarnation, seq, code);
        let spec = FaultSpec { accused: member, incarnation, seq, record: known.record, flaw };
        self.own.push_side(Side::Fault { spec, body: None });
    }

    fn accuse(&mut self, id: RecordId, record: &Record, flaw: Flaw, body: Option<Body>) {
        let (accused, incarnation, seq) = (record.member, record.incarnation, record.seq);
        let spec = FaultSpec { accused, incarnation, seq, record: id, flaw };
        self.own.push_side(Side::Fault { spec, body });
    }

    /// Another member accuses one: what that takes is fetched, or done, to see for ourselves.
    pub(super) fn on_accusation(&mut self, spec: FaultSpec, body: Option<Body>, accuser: MemberId) {
        if self.trust.is_excluded(&spec.accused, spec.incarnation) || spec.accused == self.config.me {
            return;
        }
        match (spec.flaw, body) {
            (Flaw::Rule, Some(body)) => self.fetch_bundle(spec.into(), body, accuser),
            (Flaw::Rule, None) => {}
            (Flaw::Payload | Flaw::Merge, _) => self.check_accused(spec, accuser),
        }
    }

    /// A bundle shows that a record breaks a rule.
    pub(super) fn take_fault(&mut self, proof: &FaultProof) {
        let (member, incarnation, seq) = proof.accused();
        self.keep_bundle(member, Shows::Fault, proof.to_bytes());
        // Where it follows what is known here it is refused by itself; beside another record in its place it convicts.
        self.admit(proof.record().clone(), None);
        let made_good = self.index.has_feed_above(&member, incarnation);
        if !made_good && !self.trust.is_excluded(&member, incarnation) {
            self.index.note_unlawful(proof.record());
            self.exclude(member, incarnation, seq, proof.code());
        }
    }

    /// Leaves a feed out that broke a rule: no further record of it counts. Its connections stay, it may be a mistake. Whoever has
    /// begun a later one has made it good.
    pub(super) fn exclude(&mut self, member: MemberId, incarnation: Incarnation, seq: Seq, code: &'static str) {
        if self.index.has_feed_above(&member, incarnation) {
            self.trust.exclude_made_good(member, incarnation);
            return;
        }
        if self.trust.exclude(member, incarnation) {
            self.emit(Output::Event(Event::Barred { member, incarnation, seq, code }));
        }
        self.recount_frontier();
        for held in self.pending.take_member(&member) {
            self.peers.found(&held.checked.id());
        }
        for peer in self.transports(&member) {
            self.emit(Output::Penalise { peer, code });
        }
        self.fetches.touch();
    }

    /// After a start: feeds that we had left out, by our own records and by the bundles held.
    pub(super) fn restore_exclusions(&mut self, proofs: &[FaultProof]) {
        let mut barred: Vec<(MemberId, Incarnation)> =
            proofs.iter().map(|proof| proof.accused()).map(|(member, incarnation, _)| (member, incarnation)).collect();
        barred.extend(self.index.own_accusations(&self.config.me));
        for (member, incarnation) in barred {
            if !self.index.has_feed_above(&member, incarnation) && member != self.config.me {
                self.trust.exclude(member, incarnation);
            }
        }
    }

    /// The update of a member with this payload.
    pub(super) fn update_with(&self, member: &MemberId, payload: &BlobHash) -> Option<Known> {
        let mut all = self.index.updates_below(Round(u64::MAX));
        all.find(|known| known.member == *member && known.payload.hash == *payload).cloned()
    }
}
