//! Records that come in: checked, placed in their feed, judged by the rules, admitted.

use bytes::Bytes;

use super::{Engine, Event, Output, Reason, Ticket, Verdict, pending::Held};
use crate::{
    admit::{self, Parent},
    base::{MemberId, RecordId, Round, Seq, TransportId},
    feed::{Blame, Checked, Linked, Refusal, Spec, check},
};

impl Engine {
    /// A record came, by gossip or in a sync answer.
    pub(super) fn on_record(&mut self, bytes: Bytes, from: TransportId, ticket: Option<Ticket>) {
        let verdict = match check(bytes.clone(), &self.chain) {
            Ok(checked) => self.admit(checked, Some(from)),
            Err(refusal) => self.refused_at_check(bytes, &refusal, from),
        };
        if let Some(ticket) = ticket {
            self.emit(Output::Verdict { ticket, verdict });
        }
        self.retry_ready();
    }

    /// Judges again what waited for something that is known now.
    pub(super) fn retry_ready(&mut self) {
        while let Some(Held { checked, from }) = self.pending.pop_ready() {
            self.admit(checked, from);
        }
    }

    /// Whoever hands a record over has checked it by itself, or should have.
    fn refused_at_check(&mut self, bytes: Bytes, refusal: &Refusal, from: TransportId) -> Verdict {
        if let Some(version) = refusal.needs_version() {
            self.own.hold_unversioned(bytes, &from);
            self.peers.lacks_version(version, Some(from), self.now);
            return Verdict::Ignore;
        }
        let reason = Reason { code: refusal.code(), text: refusal.to_string() };
        self.emit(Output::Event(Event::Refused { from: Some(from.clone()), reason }));
        match refusal.blame() {
            Blame::Nobody => Verdict::Ignore,
            Blame::Sender | Blame::Author => {
                self.emit(Output::Penalise { peer: from, code: refusal.code() });
                Verdict::Reject
            }
        }
    }

    /// Places and judges a checked record.
    pub(super) fn admit(&mut self, checked: Checked, from: Option<TransportId>) -> Verdict {
        let id = checked.id();
        let (member, incarnation) = (checked.record().member, checked.record().incarnation);
        self.hear(&member);
        if self.index.contains(&id) || self.pending.contains(&id) || self.own.is_persisting(&id) {
            return Verdict::Ignore;
        }
        if self.trust.is_convicted(&member) {
            self.index.insert_stray(&checked);
            self.peers.found(&id);
            self.pending.release(&id);
            return Verdict::Ignore;
        }
        if self.trust.is_excluded(&member, incarnation) {
            self.peers.found(&id);
            return Verdict::Ignore;
        }
        if member == self.config.me {
            self.own_from_outside(&checked);
        }
        if let Some(missing) = self.missing_before(&checked) {
            self.peers.found(&id);
            self.peers.lacks(missing, from.clone(), true, self.now);
            self.pending.hold(Held { checked, from }, missing);
            return Verdict::Ignore;
        }
        self.place(&checked, from)
    }

    /// A record that must be known before this one can be judged: the one before it, or a parent.
    fn missing_before(&self, checked: &Checked) -> Option<RecordId> {
        let record = checked.record();
        let head = self.index.head(&record.member, record.incarnation);
        let next = head.map_or(Seq(0), |head| head.seq.next());
        if record.seq > next {
            return record.prev;
        }
        let follows = record.seq == next && (next == Seq(0) || record.prev == head.map(|head| head.id));
        if !follows || self.forgiven.contains(&checked.id()) {
            return None;
        }
        record.parents.iter().find(|parent| self.index.parent(parent).is_none()).copied()
    }

    fn place(&mut self, checked: &Checked, from: Option<TransportId>) -> Verdict {
        let record = checked.record();
        let head = self.index.head(&record.member, record.incarnation);
        let follows = match head {
            None => record.seq == Seq(0),
            Some(head) => record.seq == head.seq.next() && record.prev == Some(head.id),
        };
        if follows && let Err(reason) = self.judge(checked) {
            return self.broke_rule(checked, from, reason);
        }
        match self.index.offer(checked, &self.chain) {
            Ok(Linked::Appended) => {
                self.emit(Output::Store { id: checked.id(), bytes: checked.bytes().clone() });
                self.enter(checked);
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
                Verdict::Ignore
            }
            Err(refusal) if refusal.blame() == Blame::Nobody => Verdict::Ignore,
            Err(refusal) => {
                let reason = Reason { code: refusal.code(), text: refusal.to_string() };
                self.broke_rule(checked, from, reason)
            }
        }
    }

    /// The rules that need the records it builds on.
    fn judge(&self, checked: &Checked) -> Result<(), Reason> {
        let record = checked.record();
        if self.forgiven.contains(&checked.id()) {
            return self.judge_forgiven(checked);
        }
        let parents: Vec<Parent> = record.parents.iter().filter_map(|id| self.index.parent(id)).collect();
        let Some((manifest, _)) = self.chain.at(record.manifest_version) else {
            return Err(Reason { code: "MAN-000", text: "a manifest version that is not held".to_owned() });
        };
        let length = self.payload_len(record.manifest_version);
        admit::check(record, &parents, &manifest.policy, length)
            .map_err(|rule| Reason { code: rule.code(), text: rule.to_string() })
    }

    /// A parent will never come, and somebody's history has two branches or was cut off: the record may honestly build on what
    /// we cannot have. What it can do at most is to claim the next round.
    fn judge_forgiven(&self, checked: &Checked) -> Result<(), Reason> {
        let Spec::Update(update) = &checked.record().spec else { return Ok(()) };
        let limit = self.frontier().unwrap_or_default().next();
        if update.round <= limit {
            return Ok(());
        }
        let text = format!("round {}, at most {limit} may follow without its parents", update.round);
        Err(Reason { code: "RULE-012", text })
    }

    fn broke_rule(&mut self, checked: &Checked, from: Option<TransportId>, reason: Reason) -> Verdict {
        let record = checked.record();
        self.peers.found(&checked.id());
        self.exclude(record.member, record.incarnation, reason.code);
        self.emit(Output::Event(Event::Refused { from, reason }));
        Verdict::Reject
    }

    /// An appended record takes effect.
    pub(super) fn enter(&mut self, checked: &Checked) {
        let id = checked.id();
        let record = checked.record();
        self.index.insert(checked);
        self.forgiven.remove(&id);
        self.peers.found(&id);
        self.pending.release(&id);
        if record.incarnation.0 > 0 && record.seq == Seq(0) {
            self.trust.forgive(&record.member, record.incarnation);
        }
        match &record.spec {
            Spec::Update(update) if record.member != self.config.me => {
                let (member, round) = (record.member, update.round);
                self.catch_up_with(&member, round);
                self.emit(Output::Event(Event::Admitted { member, round, record: id }));
                self.fetches.touch();
            }
            Spec::Evidence(spec) => {
                if let Some(body) = record.body {
                    self.fetch_evidence(*spec, body, record.member);
                }
            }
            Spec::Update(_) | Spec::Release(_) | Spec::Close(_) => {}
        }
    }

    /// The largest round among all members that count, ourselves included.
    pub(super) fn frontier(&self) -> Option<Round> {
        let counted = self.index.all_newest().filter(|known| !self.trust.is_barred(&known.member));
        counted.map(|known| known.round).max()
    }

    /// Missing records that nobody could give: what waits for them is dropped or, where an equivocation or a cut explains it, forgiven.
    pub(super) fn give_up_missing(&mut self) {
        let excuse = self.trust.anyone_convicted() || !self.chain.current().cuts.is_empty();
        for missing in self.peers.give_up(self.now, excuse) {
            for held in self.pending.take_waiting(&missing) {
                let is_parent = held.checked.record().prev != Some(missing);
                if excuse && is_parent {
                    self.forgiven.insert(held.checked.id());
                    self.admit(held.checked, held.from);
                }
            }
        }
        self.retry_ready();
    }

    /// A sign of life of a member.
    pub(super) fn hear(&mut self, member: &MemberId) {
        let now = self.now;
        self.standing(member).heard = Some(now);
    }
}
