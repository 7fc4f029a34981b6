//! Waiting for the others: who is drawn, who can be used, who is worth waiting for, and how long.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Engine, Stage,
    index::Known,
    judge::Span,
    pace::{Pace, Patience},
    presence::Quota,
};
use crate::{
    admit,
    base::{MemberId, Millis, RecordId, Seq, limit},
    draw,
    feed::{Reference, SkipReason},
};

/// What the engine knows of a member's doings.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// When it published, and how long it works.
    pub(super) pace: Pace,
    /// The wait for its last payload was in vain, and none came since: its record alone is no reason to wait again.
    pub(super) withheld: bool,
    /// Its last sign of life.
    pub(super) heard: Option<Millis>,
    /// Its newest update whose payload is on disk.
    pub(super) ready: Option<Known>,
    /// Its last fetch was cut short for a newer one.
    pub(super) superseded: bool,
    /// The counter of its last presence.
    pub(super) counter: Option<u64>,
    pub(super) presences: Quota,
}

/// What can be made of a drawn member.
enum Status {
    Ready(Known),
    /// Waited for until then.
    Await(Millis),
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
    /// Waited for, each until then.
    pub(super) waiting: Vec<(MemberId, Millis)>,
    /// Passed over, in draw order.
    pub(super) skipped: Vec<Passed>,
}

impl Passed {
    fn stale(member: MemberId, record: RecordId) -> Self {
        Self { member, reason: SkipReason::Stale, record: Some(record) }
    }
}

impl Survey {
    /// Passes over whoever cannot be used after all.
    pub(super) fn keep(&mut self, usable: impl Fn(&Known) -> bool) {
        let (used, others): (Vec<Known>, Vec<Known>) = std::mem::take(&mut self.voices).into_iter().partition(usable);
        self.voices = used;
        self.skipped.extend(others.iter().map(|known| Passed::stale(known.member, known.record)));
    }
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

    /// Whether a member can publish again.
    fn is_going_on(&self, member: &MemberId) -> bool {
        !self.index.is_closed(member) && self.is_alive(member)
    }

    /// What one gathering of ours may cost now.
    pub(super) fn patience(&self) -> Patience {
        let Self { own, config, fetch_times, .. } = self;
        Patience::new(
            own.work_ms(),
            config.wait_share,
            fetch_times.median(),
            config.gather_min_ms,
            config.gather_max_ms,
        )
    }

    /// Until when the next publication of a member is waited for in a gathering since `since`; `None`: not, or no more. At the
    /// start of a network, when nothing is known of anybody's pace, every member that is there is waited for once.
    pub(super) fn awaits(&self, member: &MemberId, since: Millis) -> Option<Millis> {
        if !self.is_going_on(member) {
            return None;
        }
        let patience = self.patience();
        let until = if self.index.newest(member).is_some() {
            let pace = self.standings.get(member).map(|standing| &standing.pace);
            let last = pace.and_then(Pace::last).unwrap_or(self.started);
            patience.awaits(last, pace.and_then(Pace::work_ms), since)?
        } else if self.own.is_first_published() {
            since.after(patience.budget_ms.max(self.config.gather_max_ms))
        } else {
            return None;
        };
        (until > self.now).then_some(until)
    }

    /// Until when the payload of a member's newest update is waited for.
    fn awaits_payload(&self, member: &MemberId, since: Millis) -> Option<Millis> {
        let withheld = self.standings.get(member).is_some_and(|standing| standing.withheld);
        let patience = self.patience();
        let until = since.after(patience.budget_ms).after(patience.fetch_ms);
        (!withheld && until > self.now && self.is_going_on(member)).then_some(until)
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

    /// What can be made of the draw without those who would carry us ahead of the others, in a gathering since `since`.
    pub(super) fn survey(&mut self, since: Millis) -> Survey {
        let mut ahead = BTreeMap::new();
        loop {
            let survey = self.survey_without(&ahead, since);
            match self.who_carries_us_ahead(&survey.voices) {
                Some(known) if ahead.insert(known.member, known.record).is_none() => {}
                _ => return survey,
            }
        }
    }

    /// Walks the draw until enough members can be used or are waited for, or as far as a record can account for.
    fn survey_without(&mut self, ahead: &BTreeMap<MemberId, RecordId>, since: Millis) -> Survey {
        let order = self.draw_for(self.next_place().1);
        let draw = usize::try_from(self.draw_size()).unwrap_or(usize::MAX);
        let span = self.span();
        let own = usize::from(self.own_voice().is_some());
        let mut survey = Survey::default();
        for member in order.iter().take(limit::NAMED - own) {
            if survey.voices.len() + survey.waiting.len() >= draw {
                break;
            }
            if let Some(record) = ahead.get(member) {
                survey.skipped.push(Passed::stale(*member, *record));
                continue;
            }
            match self.status(member, &span, since) {
                Status::Ready(known) => survey.voices.push(known),
                Status::Await(until) => survey.waiting.push((*member, until)),
                Status::Skip(reason, record) => survey.skipped.push(Passed { member: *member, reason, record }),
            }
        }
        survey
    }

    fn status(&self, member: &MemberId, span: &Span, since: Millis) -> Status {
        if self.trust.is_barred(member) {
            return Status::Skip(SkipReason::Banned, None);
        }
        let awaited = self.awaits(member, since);
        let Some(newest) = self.index.newest(member) else {
            return awaited.map_or(Status::Skip(SkipReason::Absent, None), Status::Await);
        };
        let bad = self.fetches.is_bad(&newest.payload.hash);
        let usable = self.is_in_span(span, newest) && !bad;
        if let Some(until) = awaited.filter(|_| !bad && self.is_behind(newest)) {
            return Status::Await(until);
        }
        if usable && self.fetches.is_ready(&newest.payload.hash) {
            return Status::Ready(newest.clone());
        }
        if let Some(until) = self.awaits_payload(member, since).filter(|_| usable) {
            return Status::Await(until);
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

    /// Whether a member has not published the round that we gather for: that of our own last publication, or the one under way.
    pub(super) fn is_behind(&self, newest: &Known) -> bool {
        let under_way = u64::from(self.is_round_under_way());
        self.own.last().is_some_and(|own| newest.round.0 < own.round.0.saturating_add(under_way))
    }

    /// Begins to gather for the next publication.
    pub(super) fn begin_gather(&mut self) {
        self.stage = Stage::Gathering { since: self.now, until: self.now };
        self.fetches.touch();
    }

    /// A payload of a member's newest update is on disk.
    pub(super) fn payload_ready(&mut self, known: Known) {
        let standing = self.standing(&known.member);
        standing.superseded = false;
        standing.withheld = false;
        standing.ready = Some(known);
    }

    /// A member published an update that builds on these.
    pub(super) fn note_published(&mut self, member: &MemberId, record: RecordId, parents: &[Reference]) {
        let came = |parent: &Reference| {
            let author = self.index.parent(&parent.record)?.member;
            self.standings.get(&author)?.pace.at(&parent.record)
        };
        let inputs = parents.iter().filter_map(came).max();
        let now = self.now;
        self.standing(member).pace.publish(record, now, inputs);
    }

    /// Ends the wait when everybody waited for is there, or nobody is worth waiting for any more.
    pub(super) fn run_gather(&mut self, since: Millis, until: Millis) {
        if self.now < self.patience_for_others(since) && self.is_ahead() {
            return;
        }
        let survey = self.survey(since);
        if self.now >= until {
            // Who is not waited for any more is used as it is: its payload may be wanted now.
            self.fetches.touch();
        }
        if let Some(until) = survey.waiting.iter().map(|(_, until)| *until).min() {
            self.stage = Stage::Gathering { since, until };
            return;
        }
        for passed in survey.skipped.iter().filter(|passed| passed.reason == SkipReason::Unreachable) {
            self.standing(&passed.member).withheld = true;
        }
        if survey.voices.is_empty() && self.own.last().is_some() {
            // Connections stand and nobody is heard: gossip may be broken, so that only questions bring anything.
            self.peers.ask_all();
        }
        let gather_ms = self.now.since(self.own.published().unwrap_or(since));
        self.order_round(survey, gather_ms);
    }
}
