//! Author keys that change: our own and others', and governors that vote twice.

use bytes::Bytes;

use super::{Engine, Event, Output};
use crate::{base::MemberId, code::blob_hash, manifest::DoubleVote};

/// Manifests against ours that are kept.
const CONFLICTS: usize = 16;

impl Engine {
    /// Takes out of the index what the newest version's handovers leave behind them, and clears members of what they settle.
    pub(super) fn follow_handovers(&mut self) {
        let changed: Vec<MemberId> = self.chain.current().handovers.iter().map(|handover| handover.member).collect();
        for member in &changed {
            self.index.drop_fallen(member, &self.chain);
            for held in self.pending.take_member(member) {
                self.admit(held.checked, held.from);
            }
            self.forget_gone(member);
        }
        self.take_named_branches();
        for member in self.trust.clear_settled(&self.chain) {
            for peer in self.transports(&member) {
                self.emit(Output::Pardon { peer });
            }
        }
    }

    /// What is ready of a member may have lost its place.
    pub(super) fn forget_gone(&mut self, member: &MemberId) {
        let (index, standing) = (&self.index, self.standings.get_mut(member));
        if let Some(standing) = standing
            && standing.ready.as_ref().is_some_and(|known| !index.contains(&known.record))
        {
            standing.ready = None;
        }
    }

    /// Whether the newest version gives us another key: one of the spare ones is ours from now on, in a feed of its own. With
    /// none that fits we sign nothing any more.
    pub(super) fn review_keys(&mut self) {
        let Some(named) = self.chain.member(&self.config.me).map(|member| member.author_key) else { return };
        let version = self.chain.current().version;
        if named != self.config.key.public() {
            let Some(place) = self.config.spare.iter().position(|key| key.public() == named) else {
                self.keyless = true;
                self.presence_due = None;
                self.halt();
                self.emit(Output::Event(Event::KeyGone { version }));
                return;
            };
            self.config.key = self.config.spare.remove(place);
            self.emit(Output::Event(Event::NewKey { version }));
        }
        self.keyless = false;
        self.leave_old_feeds();
        self.go_on();
    }

    /// Opens the first incarnation of our newest key, unless we write under that key already. What earlier keys signed in it does
    /// not stand, however many of them others opened.
    pub(super) fn leave_old_feeds(&mut self) {
        let me = self.config.me;
        let Some(version) = self.chain.handovers(&me).last().map(|(version, _)| *version) else { return };
        self.own.forget_fallen(&self.index, &self.chain);
        if !self.own.enter_epoch(version) {
            return;
        }
        let (first, _) = self.chain.incarnations(&me, self.chain.current().version);
        let held = self.index.version_of(&me, self.own.incarnation());
        if self.own.incarnation() < first || held.is_none_or(|held| held < version) {
            self.open_incarnation(first);
        }
    }

    /// Keeps a manifest that contradicts ours if it convicts a governor. False: it proves nothing.
    pub(super) fn keep_conflict(&mut self, bytes: &Bytes) -> bool {
        let Ok(double) = DoubleVote::check(bytes, &self.chain) else { return false };
        if self.conflicts.len() < CONFLICTS && self.conflicts.insert(blob_hash(bytes)) {
            let (version, governors) = (double.version, double.governors);
            self.emit(Output::StoreConflict { bytes: bytes.clone() });
            self.emit(Output::Event(Event::DoubleVote { version, governors }));
        }
        true
    }
}
