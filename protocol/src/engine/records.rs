//! Records that come in: checked, placed in their feed, judged by the rules, admitted.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    Engine, Event, Output, Reason, Ticket, Verdict,
    judge::Doubt,
    missing::Want,
    pending::{Gone, Held, Until},
};
use crate::{
    base::{MemberId, RecordId, Seq, TransportId},
    feed::{Blame, Checked, Linked, Record, Reference, Refusal, Spec, check, check_despite_cut, peek_id},
};

/// What became of a record that came.
pub(super) enum Taken {
    /// It was understood.
    Judged(Verdict),
    /// No honest peer keeps or forwards it.
    Junk,
}

impl Engine {
    /// A record came, by gossip or in a sync answer.
    pub(super) fn on_record(&mut self, bytes: Bytes, from: TransportId, ticket: Option<Ticket>) {
        if ticket.is_none() && !self.peers.takes_answer(&from, bytes.len()) {
            return;
        }
        let before = self.news;
        let taken = self.take_record(bytes, &from);
        match (ticket, taken) {
            (Some(ticket), Taken::Judged(verdict)) => self.emit(Output::Verdict { ticket, verdict }),
            (Some(ticket), Taken::Junk) => self.emit(Output::Verdict { ticket, verdict: Verdict::Reject }),
            (None, Taken::Junk) => self.peers.brought_junk(&from),
            (None, Taken::Judged(_)) if self.news != before => self.peers.brought_news(&from),
            (None, Taken::Judged(_)) => {}
        }
        self.retry_ready();
    }

    /// Takes a record in. What is known by its id is not verified again.
    pub(super) fn take_record(&mut self, bytes: Bytes, from: &TransportId) -> Taken {
        if let Some(id) = peek_id(&bytes)
            && self.has(&id)
        {
            if let Some((author, missing)) = self.pending.waits_for(&id) {
                self.lacks_for(author, missing, Some(from.clone()));
            }
            return Taken::Judged(Verdict::Ignore);
        }
        match check(bytes.clone(), &self.chain) {
            Ok(checked) => Taken::Judged(self.admit(checked, Some(from.clone()))),
            Err(refusal) => self.refused_at_check(bytes, &refusal, from),
        }
    }

    pub(super) fn has(&self, id: &RecordId) -> bool {
        self.index.parent(id).is_some() || self.pending.contains(id) || self.own.is_persisting(id)
    }

    /// Judges again what waited for something that is known now.
    pub(super) fn retry_ready(&mut self) {
        while let Some(Held { checked, from }) = self.pending.pop_ready() {
            self.admit(checked, from);
        }
    }

    /// Whoever hands a record over has checked it by itself, or should have.
    fn refused_at_check(&mut self, bytes: Bytes, refusal: &Refusal, from: &TransportId) -> Taken {
        if let Some(version) = refusal.needs_version() {
            self.own.hold_unversioned(bytes, from);
            self.peers.lacks_version(version, from.clone(), from.clone(), self.now);
            return Taken::Judged(Verdict::Ignore);
        }
        // Others may have built on what no longer stands.
        let void = matches!(refusal, Refusal::Cut { .. } | Refusal::HandedOver { .. });
        if void && let Ok(checked) = check_despite_cut(bytes, &self.chain) {
            self.take_void(checked, Some(from.clone()));
        }
        let reason = Reason { code: refusal.code(), text: refusal.to_string() };
        self.emit(Output::Event(Event::Refused { from: Some(from.clone()), reason }));
        match refusal.blame() {
            Blame::Nobody => Taken::Judged(Verdict::Ignore),
            Blame::Sender | Blame::Author => {
                self.emit(Output::Penalise { peer: from.clone(), code: refusal.code() });
                Taken::Junk
            }
        }
    }

    /// Places and judges a checked record.
    pub(super) fn admit(&mut self, checked: Checked, from: Option<TransportId>) -> Verdict {
        let id = checked.id();
        let member = checked.record().member;
        self.hear(&member);
        if self.has(&id) {
            return Verdict::Ignore;
        }
        if self.is_void(&checked) {
            return self.take_void(checked, from);
        }
        if member == self.config.me {
            self.own_from_outside(&checked);
        }
        if let Some(missing) = self.missing_before(&checked) {
            self.peers.found(&id);
            self.hold(Held { checked, from }, missing);
            return Verdict::Ignore;
        }
        self.place(checked, from)
    }

    /// Holds a record until `missing` is known, and asks for that.
    pub(super) fn hold(&mut self, held: Held, missing: RecordId) {
        let (id, author, from) = (held.checked.id(), held.checked.record().member, held.from.clone());
        self.lacks_for(author, missing, from);
        let gone = self.pending.hold(held, missing);
        if let Some(Gone { id, missing }) = gone {
            if !self.pending.awaits(&missing) {
                self.peers.found(&missing);
            }
            if self.pending.awaits(&id) {
                self.lacks_for(author, id, None);
            }
        }
        self.news += u64::from(gone.is_none_or(|gone| gone.id != id));
    }

    /// A held record of `author` waits for `missing`; what is held itself is not asked for.
    fn lacks_for(&mut self, author: MemberId, missing: RecordId, from: Option<TransportId>) {
        if !self.pending.contains(&missing) {
            self.peers.lacks(missing, Want::Held(author), from, self.now);
        }
    }

    /// A record that must be known before this one can be judged: the one before it, or a parent.
    fn missing_before(&self, checked: &Checked) -> Option<RecordId> {
        let record = checked.record();
        let head = self.index.head(&record.member, record.incarnation);
        let next = head.map_or(Seq(0), |head| head.seq.next());
        if record.seq > next {
            return record.prev;
        }
        // Where an incarnation begins, the record before it stands in another feed.
        if let Some(prev) = record.prev.filter(|prev| head.is_none() && self.is_unknown(prev)) {
            return Some(prev);
        }
        let follows = record.seq == next && (next == Seq(0) || record.prev == head.map(|head| head.id));
        if !follows {
            return None;
        }
        let forgiven = self.forgiven.contains(&checked.id());
        let mut unknown = record.parents.iter().filter(|parent| self.is_unknown(&parent.record));
        unknown.find(|parent| !forgiven || !self.is_excused(record, parent)).map(|parent| parent.record)
    }

    /// Whether a record may honestly build on this one although nobody has it: its author has two histories, or one that was cut
    /// off or handed over since, and not every member holds the same part of them.
    pub(super) fn is_excused(&self, record: &Record, parent: &Reference) -> bool {
        let version = record.manifest_version;
        let Some((manifest, _)) = self.chain.at(version) else { return false };
        let Some(author) = manifest.member_at(parent.member) else { return false };
        let cut_since = self.chain.current().cut(&author).is_some() && manifest.cut(&author).is_none();
        let handed_over_since = self.chain.handovers(&author).iter().any(|(later, _)| *later > version);
        self.trust.is_convicted(&author) || cut_since || handed_over_since
    }

    /// Whether a held record may do without the one that it waits for.
    fn does_without(&self, held: &Held, missing: &RecordId) -> bool {
        let record = held.checked.record();
        let mut parents = record.parents.iter().filter(|parent| parent.record == *missing);
        record.prev != Some(*missing) && parents.any(|parent| self.is_excused(record, parent))
    }

    fn place(&mut self, checked: Checked, from: Option<TransportId>) -> Verdict {
        let record = checked.record();
        let head = self.index.head(&record.member, record.incarnation);
        let follows = match head {
            None => record.seq == Seq(0),
            Some(head) => record.seq == head.seq.next() && record.prev == Some(head.id),
        };
        if follows && let Err(doubt) = self.judge(record).and_then(|()| self.judge_draw(record)) {
            return match doubt {
                Doubt::Broken(reason) => self.broke_rule(&checked, from, reason),
                Doubt::Early => {
                    self.peers.found(&checked.id());
                    let until = self.too_early_until(record);
                    self.pending.hold_early(Held { checked, from }, until);
                    Verdict::Ignore
                }
            };
        }
        self.link(checked, from)
    }

    fn link(&mut self, checked: Checked, from: Option<TransportId>) -> Verdict {
        match self.index.offer(&checked, &self.chain) {
            Ok(Linked::Appended) => {
                self.emit(Output::Store { id: checked.id(), bytes: checked.bytes().clone() });
                self.news += 1;
                self.enter(&checked);
                Verdict::Accept
            }
            Ok(Linked::Duplicate) => Verdict::Ignore,
            Ok(Linked::Gap { .. }) => {
                self.peers.found(&checked.id());
                Verdict::Ignore
            }
            Ok(Linked::Fork(evidence)) => {
                self.peers.found(&checked.id());
                self.convict(&evidence);
                self.take_void(checked, from)
            }
            Err(refusal) if refusal.blame() == Blame::Nobody => Verdict::Ignore,
            Err(refusal) => {
                let reason = Reason { code: refusal.code(), text: refusal.to_string() };
                self.broke_rule(&checked, from, reason)
            }
        }
    }

    fn broke_rule(&mut self, checked: &Checked, from: Option<TransportId>, reason: Reason) -> Verdict {
        self.peers.found(&checked.id());
        self.bar_for_rule(checked, reason.code);
        self.index.note_unlawful(checked);
        self.pending.release(&checked.id());
        self.emit(Output::Event(Event::Refused { from, reason }));
        Verdict::Reject
    }

    /// An appended record takes effect.
    pub(super) fn enter(&mut self, checked: &Checked) {
        let id = checked.id();
        let record = checked.record();
        self.index.insert(checked);
        self.keep_named(record);
        self.forgiven.remove(&id);
        self.peers.found(&id);
        self.pending.release(&id);
        if record.incarnation.0 > 0 && record.seq == Seq(0) {
            self.trust.forgive(&record.member, record.incarnation);
            self.recount_frontier();
        }
        if matches!(record.spec, Spec::Update(_)) {
            self.note_published(&record.member, id, &record.parents);
            self.advance_frontier(&record.member);
            self.check_if_accused(&id);
        }
        let known = Until { round: self.frontier().unwrap_or_default(), clock: self.index.clock() };
        self.pending.release_early(known, &id);
        match &record.spec {
            Spec::Update(update) if record.member != self.config.me => {
                let (member, round) = (record.member, update.round);
                self.emit(Output::Event(Event::Admitted { member, round, record: id }));
                self.fetches.touch();
            }
            Spec::Evidence(spec) => {
                if let Some(body) = record.body {
                    self.fetch_bundle((*spec).into(), body, record.member);
                }
            }
            Spec::Fault(spec) if record.member != self.config.me => {
                self.on_accusation(*spec, record.body, record.member);
            }
            Spec::Fault(_) => {}
            Spec::Update(_) | Spec::Release(_) | Spec::Close(_) | Spec::Other(_) => {}
        }
    }

    /// Missing records that nobody could give: what waits for them is dropped or, where it names them as a barred member's,
    /// forgiven.
    pub(super) fn give_up_missing(&mut self) {
        let (pending, engine) = (&self.pending, &*self);
        let excused = |missing: &RecordId| pending.waiting(missing).any(|held| engine.does_without(held, missing));
        let soon: BTreeSet<RecordId> = self.peers.missing_ids().filter(|missing| excused(missing)).copied().collect();
        for missing in self.peers.give_up(self.now, &soon) {
            for held in self.pending.take_waiting(&missing) {
                if self.does_without(&held, &missing) {
                    self.forgiven.insert(held.checked.id());
                    self.admit(held.checked, held.from);
                } else {
                    // Who hears of what waits for it asks for all of it again.
                    self.pending.drop_waiting(held.checked.id());
                }
            }
        }
        self.retry_ready();
    }

    /// A sign of life of a member.
    pub(super) fn hear(&mut self, member: &MemberId) {
        let now = self.now;
        let is_new = !self.is_alive(member);
        let standing = self.standing(member);
        (standing.heard, standing.was_heard) = (Some(now), true);
        if is_new {
            self.gathered = now;
            self.recount_frontier();
        }
    }
}
