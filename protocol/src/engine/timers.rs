//! What time alone brings about.

use super::{Engine, Output, Stage, side::Side};
use crate::{
    admit,
    base::{Incarnation, Millis, Seq, TransportId},
    feed::Close,
};

/// A member that has published waits so many times as long as a new one before it acts alone.
const RETURN_WAITS: u64 = 12;

impl Engine {
    /// How long a question to a peer may take.
    fn patience_ms(&self) -> u64 {
        self.config.fetch_ms.saturating_mul(2).max(1)
    }

    pub(super) fn run_timers(&mut self) {
        self.give_up_missing();
        self.run_stage();
        self.run_fetches();
        self.run_checks();
        for peer in self.peers.questions(self.now, self.patience_ms()) {
            let (have, wants) = (self.have(), self.peers.wants());
            self.emit(Output::Sync { peer, have, wants, manifest_version: self.chain.current().version });
        }
        if self.presence_due.is_some_and(|due| due <= self.now) {
            self.announce_presence();
        }
    }

    /// When to call [`Engine::handle`] with [`super::Input::Tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let stage = match &self.stage {
            _ if !self.own.is_acting() => None,
            Stage::Starting { since } => Some(self.start_until(*since)),
            // Past that only because the others are far behind.
            Stage::Gathering { since, until } if !self.own.is_writing() => {
                Some(if *until > self.now { *until } else { self.patience_for_others(*since) })
            }
            Stage::Resting { until } => Some(*until),
            Stage::Gathering { .. } | Stage::Working(_) | Stage::Idle => None,
        };
        let peers = self.peers.deadline(self.now, self.patience_ms());
        let fetches = self.fetches.deadline(self.config.fetch_ms, self.config.fetches.max(1));
        [stage, peers, fetches, self.presence_due].into_iter().flatten().min()
    }

    /// A question ended; what it brought was handed in before.
    pub(super) fn on_synced(&mut self, peer: &TransportId, complete: bool) {
        self.peers.ended(peer, complete, self.now);
    }

    fn run_stage(&mut self) {
        if self.own.is_writing() || !self.own.is_acting() {
            return;
        }
        match self.stage {
            Stage::Starting { since } if self.may_start(since) => self.begin_gather(),
            Stage::Resting { until } if until <= self.now => self.begin_gather(),
            _ => {}
        }
        let Stage::Gathering { since, until } = self.stage else { return };
        if self.is_done() && !self.is_closing() {
            self.own.push_side(Side::Close(Close::Finished));
        }
        if !self.run_side() && !self.is_closing() {
            self.run_gather(since, until);
        }
    }

    /// Whether the last round of the policy is published.
    fn is_done(&self) -> bool {
        let rounds = self.chain.current().policy.rounds;
        rounds > 0 && self.own.last().is_some_and(|own| own.round.0 >= rounds)
    }

    /// Until when to wait for peers before acting alone, in a start since `since`: as long as others still come up, they are
    /// waited for, too, but not for ever.
    fn start_until(&self, since: Millis) -> Millis {
        let wait = self.start_wait_ms();
        since
            .max(self.gathered)
            .after(wait)
            .min(since.after(self.config.start_wait_ms.saturating_mul(RETURN_WAITS).max(wait)))
    }

    /// How long to wait for a peer before acting alone. Who has published waits longer for the first answer: a home that was
    /// restored from a backup learns from peers only that its next place is taken, and signing it again would convict it.
    fn start_wait_ms(&self) -> u64 {
        let published = self.next_place() != (Incarnation(0), Seq(0));
        self.config.start_wait_ms.saturating_mul(if published && !self.peers.synced() { RETURN_WAITS } else { 1 })
    }

    /// A member acts when it knows what its peers know of its own feed and, where nothing was published yet, when the others
    /// are up too; after a while it acts alone.
    fn may_start(&self, since: Millis) -> bool {
        if self.now >= self.start_until(since) {
            return true;
        }
        let others = admit::drawable(self.chain.current());
        let mut others = others.iter().filter(|member| **member != self.config.me).peekable();
        if others.peek().is_none() {
            return true;
        }
        let synced = self.peers.synced() && self.peers.all_answered() && self.pending.is_empty();
        let running = self.index.all_newest().next().is_some();
        synced && (running || others.all(|member| self.is_alive(member)))
    }
}
