//! Waiting for the others: who is drawn, who can be used, who is worth waiting for, and how long.

use std::sync::Arc;

use super::{Engine, Stage, index::Known, judge::Span};
use crate::{
    admit,
    base::{MemberId, Millis, RecordId, Round, Seq, limit},
    draw,
    feed::SkipReason,
};

/// What the engine knows of a member's pace.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// It published in time when last waited for.
    pub(super) in_step: bool,
    /// Its last sign of life.
    pub(super) heard: Option<Millis>,
    /// Its newest update whose payload is on disk.
    pub(super) ready: Option<Known>,
    /// Its last fetch was cut short for a newer one.
    pub(super) superseded: bool,
    /// The counter of its last presence.
    pub(super) counter: Option<u64>,
    /// The own round for which its lag was observed.
    lagged: Option<Round>,
}

/// What can be made of a drawn member.
enum Status {
    Ready(Known),
    Await,
    /// And which of its updates is meant.
    Skip(SkipReason, Option<RecordId>),
}

/// A drawn member that is not merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) member: MemberId,
    pub(super) reason: SkipReason,
    /// Its update that is meant, if the reason speaks of one.
    pub(super) record: Option<RecordId>,
}

/// What can be made of the draw.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// To be merged, in draw order.
    pub(super) voices: Vec<Known>,
    /// Waited for.
    pub(super) waiting: Vec<MemberId>,
    /// Passed over, in draw order.
    pub(super) skipped: Vec<Passed>,
}

impl Engine {
    /// The draw for our publication at `seq`.
    pub(super) fn draw_for(&mut self, seq: Seq) -> Arc<[MemberId]> {
        let key = (self.own.incarnation(), seq, self.chain.current().version);
        if let Some((known, order)) = &self.draws
            && *known == key
        {
            return Arc::clone(order);
        }
        let members = admit::drawable(self.chain.current());
        let order: Arc<[MemberId]> = draw::order(&self.chain.network(), &self.config.me, key.0, seq, &members).into();
        self.draws = Some((key, Arc::clone(&order)));
        order
    }

    /// How many members a merge takes at most.
    pub(super) fn draw_size(&self) -> u64 {
        self.chain.current().policy.draw
    }

    /// Whether a member is up and has kept pace.
    pub(super) fn is_waitable(&self, member: &MemberId) -> bool {
        let Some(standing) = self.standings.get(member) else { return false };
        standing.in_step && !self.index.is_closed(member) && self.is_alive(member)
    }

    /// Connected, or heard of lately.
    pub(super) fn is_alive(&self, member: &MemberId) -> bool {
        let heard = self.standings.get(member).and_then(|standing| standing.heard);
        heard.is_some_and(|heard| self.now.since(heard) <= self.silence_ms()) || self.is_connected(member)
    }

    /// Who was not heard of for so long is not there.
    pub(super) fn silence_ms(&self) -> u64 {
        self.config.presence_ms.saturating_mul(3)
    }

    pub(super) fn is_connected(&self, member: &MemberId) -> bool {
        self.chain.member(member).is_some_and(|member| member.transport.iter().any(|peer| self.peers.is_up(peer)))
    }

    pub(super) fn standing(&mut self, member: &MemberId) -> &mut Standing {
        self.standings.entry(*member).or_default()
    }

    /// Walks the draw until enough members can be used or are waited for, or as far as a record can account for. `last_call`:
    /// nobody is waited for.
    pub(super) fn survey(&mut self, last_call: bool) -> Survey {
        let order = self.draw_for(self.next_place().1);
        let draw = usize::try_from(self.draw_size()).unwrap_or(usize::MAX);
        let span = self.span();
        let own = usize::from(self.own_voice().is_some());
        let mut survey = Survey::default();
        for member in order.iter().take(limit::NAMED - own) {
            if survey.voices.len() + survey.waiting.len() >= draw {
                break;
            }
            match self.status(member, &span, last_call) {
                Status::Ready(known) => survey.voices.push(known),
                Status::Await => survey.waiting.push(*member),
                Status::Skip(reason, record) => survey.skipped.push(Passed { member: *member, reason, record }),
            }
        }
        survey
    }

    fn status(&self, member: &MemberId, span: &Span, last_call: bool) -> Status {
        if self.trust.is_barred(member) {
            return Status::Skip(SkipReason::Banned, None);
        }
        let waitable = !last_call && self.is_waitable(member);
        let own = self.own.last().map(|own| own.round);
        let Some(newest) = self.index.newest(member) else {
            // Who is new has nobody's pace to keep.
            return if waitable && own.is_some() { Status::Await } else { Status::Skip(SkipReason::Absent, None) };
        };
        let bad = self.fetches.is_bad(&newest.payload.hash);
        let ready = self.fetches.is_ready(&newest.payload.hash);
        let usable = self.is_in_span(span, newest) && !bad;
        let at_frontier = own.is_none_or(|own| newest.round >= own);
        if ready && usable && (at_frontier || !waitable) {
            return Status::Ready(newest.clone());
        }
        if waitable && !bad && (!at_frontier || (usable && !ready)) {
            return Status::Await;
        }
        let older = self.standings.get(member).and_then(|standing| standing.ready.as_ref());
        if let Some(older) = older.filter(|older| self.is_in_span(span, older) && !bad) {
            return Status::Ready(older.clone());
        }
        let reason = match (bad, usable) {
            (true, _) => SkipReason::Refused,
            (false, true) => SkipReason::Unreachable,
            (false, false) => SkipReason::Stale,
        };
        Status::Skip(reason, Some(newest.record))
    }

    /// Begins to gather for the next publication.
    pub(super) fn begin_gather(&mut self) {
        let guess = self.own.last_work_ms().unwrap_or(self.config.gather_max_ms);
        let wait = self.lags.deadline(guess, self.config.gather_min_ms, self.config.gather_max_ms);
        self.stage = Stage::Gathering { since: self.now, until: self.now.after(wait) };
        let ready: Vec<Known> = self.standings.values().filter_map(|standing| standing.ready.clone()).collect();
        for known in ready {
            self.observe_lag(&known);
        }
        self.fetches.touch();
    }

    /// A payload of a member's newest update is on disk.
    pub(super) fn payload_ready(&mut self, known: Known) {
        let standing = self.standing(&known.member);
        standing.superseded = false;
        standing.ready = Some(known.clone());
        self.observe_lag(&known);
    }

    /// Notes how long after our own announcement a member's publication of that round or a later one was ready.
    fn observe_lag(&mut self, known: &Known) {
        let (Some(own), Some(published)) = (self.own.last(), self.own.published()) else { return };
        let own = own.round;
        if known.round < own {
            return;
        }
        let lag = self.now.since(published).min(self.config.gather_max_ms);
        let standing = self.standing(&known.member);
        if standing.lagged != Some(own) {
            standing.lagged = Some(own);
            self.lags.observe(lag);
        }
    }

    /// A member published: whoever reaches our own round is in step.
    pub(super) fn catch_up_with(&mut self, member: &MemberId, round: Round) {
        if self.own.last().is_none_or(|own| round >= own.round) {
            self.standing(member).in_step = true;
        }
    }

    /// Ends the wait when everybody waited for is there, or the deadline passed.
    pub(super) fn run_gather(&mut self, since: Millis, until: Millis) {
        if self.now < self.patience_for_others(since) && self.is_ahead() {
            return;
        }
        let mut survey = self.survey(false);
        if !survey.waiting.is_empty() {
            if self.now < until {
                return;
            }
            for member in std::mem::take(&mut survey.waiting) {
                self.standing(&member).in_step = false;
            }
            survey = self.survey(true);
        }
        if survey.voices.is_empty() && self.own.last().is_some() {
            // Connections stand and nobody is heard: gossip may be broken, so that only questions bring anything.
            self.peers.ask_all();
        }
        let gather_ms = self.now.since(self.own.published().unwrap_or(since));
        self.order_round(survey, gather_ms);
    }
}
