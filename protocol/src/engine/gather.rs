//! Waiting for the others: who is drawn, who can be used, who is worth waiting for, and how long.

use std::collections::BTreeMap;

use super::{
    Engine, Stage,
    index::Known,
    judge::Span,
    pace::{Pace, Patience},
    presence::Quota,
};
use crate::{
    base::{MemberId, Millis, RecordId, Round},
    draw::{self, Look},
    feed::{Reference, SkipReason},
};

/// What the engine knows of a member's doings.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// When it published, and how long it works.
    pub(super) pace: Pace,
    /// The wait for its last payload was in vain, and none came since: its record alone is no reason to wait again.
    pub(super) withheld: bool,
    /// It was there since we started.
    pub(super) was_heard: bool,
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

impl Engine {
    /// Whether a member can publish again.
    fn is_going_on(&self, member: &MemberId) -> bool {
        !self.index.is_closed(member) && self.is_alive(member)
    }

    /// What one gathering of ours may cost now.
    pub(super) fn patience(&self) -> Patience {
        let Self { own, config, fetch_times, .. } = self;
        Patience::new(own.work_ms(), config.wait_share, fetch_times.usual(), config.gather_min_ms, config.gather_max_ms)
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
        let own = self.own_voice().cloned();
        self.survey_from(own.as_ref(), Some(since))
    }

    /// The same for a merge that goes on from `own`. Without `since` nobody is waited for.
    pub(super) fn survey_from(&mut self, own: Option<&Known>, since: Option<Millis>) -> Survey {
        let order = self.draw();
        let mut ahead = BTreeMap::new();
        loop {
            let survey = self.survey_without(&ahead, &order, own, since);
            match self.who_carries_us_ahead(&survey.voices) {
                Some(known) if ahead.insert(known.member, known.record).is_none() => {}
                _ => return survey,
            }
        }
    }

    /// Walks the draw until enough members can be used or are waited for, or as far as a record can account for.
    fn survey_without(
        &self,
        ahead: &BTreeMap<MemberId, RecordId>,
        order: &[MemberId],
        own: Option<&Known>,
        since: Option<Millis>,
    ) -> Survey {
        let span = self.span_from(own);
        let mut survey = Survey::default();
        draw::walk(order, self.draw_size(), own.is_some(), |member| {
            let status = match ahead.get(member) {
                Some(record) => Status::Skip(SkipReason::Stale, Some(*record)),
                None => self.status(member, &span, since),
            };
            match status {
                Status::Ready(known) => survey.voices.push(known),
                Status::Await(until) => survey.waiting.push((*member, until)),
                Status::Skip(reason, record) => {
                    survey.skipped.push(Passed { member: *member, reason, record });
                    return Some(Look::Passed);
                }
            }
            Some(Look::Fetched)
        });
        survey
    }

    fn status(&self, member: &MemberId, span: &Span, since: Option<Millis>) -> Status {
        if self.trust.is_barred(member) {
            return Status::Skip(SkipReason::Banned, None);
        }
        let awaited = since.and_then(|since| self.awaits(member, since));
        let Some(newest) = self.index.newest(member) else {
            // Others may have built on what counts for nothing here: who published that is not absent.
            let reason = if self.index.has_void_update(member) { SkipReason::Banned } else { SkipReason::Absent };
            return awaited.map_or(Status::Skip(reason, None), Status::Await);
        };
        let meant = self.meant(newest);
        let bad = self.fetches.is_bad(&meant.payload.hash);
        let usable = self.is_in_span(span, meant) && !bad;
        if let Some(until) = awaited.filter(|_| !bad && self.is_behind(newest)) {
            return Status::Await(until);
        }
        if usable && self.fetches.is_ready(&meant.payload.hash) {
            return Status::Ready(meant.clone());
        }
        if let Some(until) = since.and_then(|since| self.awaits_payload(member, since)).filter(|_| usable) {
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
        Status::Skip(reason, Some(meant.record))
    }

    /// The round that we gather for: that of our own last publication, or of the one under way.
    fn gathered_round(&self) -> Option<Round> {
        let under_way = u64::from(self.is_round_under_way());
        self.own.last().map(|own| Round(own.round.0.saturating_add(under_way)))
    }

    /// Whether a member has not published the round that we gather for.
    pub(super) fn is_behind(&self, newest: &Known) -> bool {
        self.gathered_round().is_some_and(|round| newest.round < round)
    }

    /// The update of a member that our next merge is meant to use: its newest, but of who is one round ahead that of the round
    /// that we gather for. So who is behind by less than a round publishes every round, and who is behind by more lands
    /// with the others.
    pub(super) fn meant<'a>(&'a self, newest: &'a Known) -> &'a Known {
        let Some(round) = self.gathered_round().filter(|round| newest.round == round.next()) else { return newest };
        let same = self.index.updates_of(round).find(|known| {
            known.member == newest.member
                && (known.incarnation, known.manifest_version) == (newest.incarnation, newest.manifest_version)
        });
        same.filter(|known| !self.fetches.is_bad(&known.payload.hash)).unwrap_or(newest)
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

    /// Whose payload was waited for in vain: nothing or an older update is used instead.
    fn withheld(&self, survey: &Survey) -> Vec<MemberId> {
        let unreachable = survey.skipped.iter().filter(|passed| passed.reason == SkipReason::Unreachable);
        let older = survey.voices.iter().filter(|voice| {
            let newest = self.index.newest(&voice.member);
            newest.is_some_and(|newest| self.meant(newest).record != voice.record)
        });
        unreachable.map(|passed| passed.member).chain(older.map(|voice| voice.member)).collect()
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
        for member in self.withheld(&survey) {
            self.standing(&member).withheld = true;
        }
        if survey.voices.is_empty() && self.own.last().is_some() {
            // Connections stand and nobody is heard: gossip may be broken, so that only questions bring anything.
            self.peers.ask_all();
        }
        let gather_ms = self.now.since(self.own.published().unwrap_or(since));
        self.order_round(survey, gather_ms);
    }
}
