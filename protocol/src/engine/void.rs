//! Void records: genuine headers that do not count (their author is convicted, their feed broke a rule, or the manifest ends the
//! feed before them), and that others may have built on before that was known.
//!
//! They are judged by the same rules as all records. What keeps them is remembered as a possible parent, stored as soon as a
//! record that counts names it, and handed out to whoever asks. What breaks one lends nobody its clock or round.

use super::{Engine, Output, Reason, Verdict, judge::Doubt, pending::Held};
use crate::{
    base::{Incarnation, MemberId, RecordId, Seq, TransportId},
    feed::{Checked, Record, Spec, stands},
};

impl Engine {
    /// Whether a record does not count, whatever it says.
    pub(super) fn is_void(&self, checked: &Checked) -> bool {
        let record = checked.record();
        let follows = record.prev.filter(|_| record.seq > Seq(0));
        self.trust.is_convicted(&record.member)
            || self.trust.is_excluded(&record.member, record.incarnation)
            || follows.is_some_and(|prev| self.index.is_void(&prev) || self.index.is_unlawful(&prev))
            || stands(&self.chain, record.standpoint(), || checked.id()).is_err()
    }

    /// Judges a void record. Unless something waits for it, it needs room.
    pub(super) fn take_void(&mut self, checked: Checked, from: Option<TransportId>) -> Verdict {
        let id = checked.id();
        if self.has(&id) || !(self.pending.awaits(&id) || self.index.has_room_for_void()) {
            return Verdict::Ignore;
        }
        self.peers.found(&id);
        if let Some(missing) = self.missing_around(&checked) {
            self.hold(Held { checked, from }, missing);
            return Verdict::Ignore;
        }
        match self.judge_void(checked.record()) {
            Ok(()) => {
                self.index.insert_void(&checked);
                self.pending.release_all_early();
                self.forgiven.remove(&id);
                self.news += 1;
            }
            Err(Doubt::Broken(_)) => self.index.note_unlawful(&checked),
            Err(Doubt::Early) if self.pending.awaits(&id) => {
                let until = self.too_early_until(checked.record());
                self.pending.hold_early(Held { checked, from }, until);
                return Verdict::Ignore;
            }
            Err(Doubt::Early) => return Verdict::Ignore,
        }
        self.pending.release(&id);
        let record = checked.record();
        self.take_named_branch(record.member, record.incarnation);
        Verdict::Ignore
    }

    /// A record that must be known before a void one can be judged.
    fn missing_around(&self, checked: &Checked) -> Option<RecordId> {
        let record = checked.record();
        if let Some(prev) = record.prev.filter(|prev| self.is_unknown(prev)) {
            return Some(prev);
        }
        let forgiven = self.forgiven.contains(&checked.id());
        record.parent_ids().find(|parent| !forgiven && self.is_unknown(parent))
    }

    /// Nothing is known of this record, not even that it breaks a rule.
    pub(super) fn is_unknown(&self, id: &RecordId) -> bool {
        self.index.parent(id).is_none() && !self.index.is_unlawful(id)
    }

    /// The rules of the feed, by the record that this one names as the one before it, and all others.
    fn judge_void(&self, record: &Record) -> Result<(), Doubt> {
        if record.seq > Seq(0) {
            let follows = record.prev.is_some_and(|prev| self.index.may_follow(&prev, record));
            if !follows {
                let text = format!("seq {} does not follow the record that it names as the one before", record.seq);
                return Err(Doubt::Broken(Reason { code: "LNK-003", text }));
            }
        }
        self.judge(record)
    }

    /// A record counts that names others: the void ones among them are kept for good, with those that they name in turn.
    pub(super) fn keep_named(&mut self, record: &Record) {
        let skipped = if let Spec::Update(update) = &record.spec { update.skipped.as_slice() } else { &[] };
        let skipped = skipped.iter().filter_map(|skip| skip.record);
        let named = record.prev.into_iter().chain(record.parent_ids()).chain(skipped).collect();
        for (id, bytes) in self.index.name_voids(named) {
            self.emit(Output::Store { id, bytes });
        }
    }

    /// If the manifest names a record as the last of this feed that stands, and that record came on another branch than the one
    /// that was taken: the branch that it ends stands, and the other one is void.
    pub(super) fn take_named_branch(&mut self, member: MemberId, incarnation: Incarnation) {
        let Some((_, last)) = self.chain.last_of(&member, incarnation) else { return };
        if !self.index.is_void(&last) {
            return;
        }
        for (id, bytes) in self.index.name_voids(vec![last]) {
            self.emit(Output::Store { id, bytes });
        }
        if self.index.raise(last, &self.chain) {
            self.forget_gone(&member);
            self.recount_frontier();
            self.pending.release_all_early();
        }
    }

    /// As [`Self::take_named_branch`], of every feed whose last record a manifest names.
    pub(super) fn take_named_branches(&mut self) {
        for (member, incarnation) in self.chain.ended() {
            self.take_named_branch(member, incarnation);
        }
    }
}
