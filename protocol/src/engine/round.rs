//! One round: its order to the hands, and the record that its end becomes.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use super::{
    Engine, Event, Output, PlannedVoice, RoundPlan, RoundReport, Stage, Trained,
    gather::{Passed, Survey},
    index::Known,
};
use crate::{
    base::{MemberId, Millis, RecordId, Round, limit},
    draw::Seed,
    feed::{Reference, Skip, SkipReason, Spec, Update},
    merge,
};

/// Between tries of a round that failed: this, doubling, at most [`RETRY_MAX_MS`].
const RETRY_MS: u64 = 1_000;
const RETRY_MAX_MS: u64 = 60_000;

/// A round that the hands work on.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    pub(super) plan: RoundPlan,
    skipped: Vec<Passed>,
    order: Arc<[MemberId]>,
    /// What the draw after it is made from, if all of the plan is merged.
    pub(super) seed: Seed,
    since: Millis,
    gather_ms: u64,
}

/// What [`RoundReport`] says of a record that is being persisted.
#[derive(Debug)]
pub(super) struct Report(RoundReport);

impl Report {
    pub(super) fn into_event(self, record: RecordId) -> Event {
        Event::RoundDone(Box::new(RoundReport { record, ..self.0 }))
    }
}

fn voice(known: &Known) -> PlannedVoice {
    PlannedVoice { member: known.member, record: known.record, round: known.round, payload: known.payload }
}

impl Engine {
    /// Our own last publication, if the next round goes on from it: not if its training state is gone, nor after an absence
    /// that outlasted the window. A partition is no absence: whoever publishes is not away.
    pub(super) fn own_voice(&self) -> Option<&Known> {
        let own = self.own.last().filter(|own| self.fetches.is_ready(&own.payload.hash))?;
        if !self.own.was_away(self.now, self.window()) {
            return Some(own);
        }
        let frontier = self.frontier().unwrap_or_default();
        (frontier.0.saturating_sub(own.round.0) <= self.window()).then_some(own)
    }

    /// Rounds back that still count.
    pub(super) fn window(&self) -> u64 {
        (self.chain.current().policy.ages.len() as u64).saturating_sub(1)
    }

    /// The round of a merge of these.
    fn round_with(&self, own: Option<&Known>, survey: &Survey) -> Round {
        let policy = &self.chain.current().policy;
        let rounds = own.into_iter().chain(&survey.voices).map(|known| known.round);
        merge::round_published(policy, own.map(|own| own.round), merge::common_round(policy, rounds))
    }

    /// Whether a merge without our own publication would publish a round that this feed has reached: rounds of a feed rise.
    fn would_fall_back(&self, survey: &Survey) -> bool {
        let here = |own: &&Known| own.incarnation == self.own.incarnation();
        self.own.last().filter(here).is_some_and(|own| self.round_with(None, survey) <= own.round)
    }

    /// Whether a round or its record is under way.
    pub(super) fn is_round_under_way(&self) -> bool {
        matches!(self.stage, Stage::Working(_)) || self.own.writing_update().is_some()
    }

    /// Orders a round from what was gathered.
    pub(super) fn order_round(&mut self, mut survey: Survey, gather_ms: u64) {
        let mut own = self.own_voice().cloned();
        if let Some(last) = self.own.last().filter(|_| own.is_none() && self.would_fall_back(&survey)).cloned() {
            if !self.fetches.is_ready(&last.payload.hash) {
                self.open_incarnation(last.incarnation.next());
                return self.begin_gather();
            }
            survey = self.survey_from(Some(&last), None);
            own = Some(last);
        }
        let (incarnation, seq) = self.next_place();
        let order = self.draw();
        let round = self.round_with(own.as_ref(), &survey);
        let own = own.as_ref().map(voice);
        let manifest = self.chain.current();
        let checkpoint = manifest.policy.wants_checkpoint(round);
        let plan = RoundPlan {
            incarnation,
            seq,
            manifest_version: manifest.version,
            own,
            others: survey.voices.iter().map(voice).collect(),
            steps: manifest.policy.steps,
            checkpoint,
        };
        let skipped = survey.skipped;
        let mut merged: Vec<(MemberId, RecordId)> =
            survey.voices.iter().map(|known| (known.member, known.record)).collect();
        merged.sort_unstable();
        let seed = Seed { round, merged: merged.into_iter().map(|(_, record)| record).collect() };
        let ordered = Ordered { plan: plan.clone(), skipped, order, seed, since: self.now, gather_ms };
        self.stage = Stage::Working(Box::new(ordered));
        self.fetches.touch();
        self.emit(Output::Round(Box::new(plan)));
    }

    /// The hands are done with the round.
    pub(super) fn on_trained(&mut self, trained: Trained) {
        let Stage::Working(ordered) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        self.own.note_wall(trained.wall);
        if (ordered.plan.incarnation, ordered.plan.seq) != self.next_place() {
            // The feed went on without this round (a restored backup): another place, another draw.
            self.begin_gather();
            return;
        }
        self.own.note_work(self.now.since(ordered.since));
        self.fetches.set_ready(trained.payload.hash);
        let (spec, report) = self.describe(&ordered, &trained);
        let voices = ordered.plan.others.iter().chain(&ordered.plan.own);
        let voice = |record: &RecordId| voices.clone().find(|voice| voice.record == *record);
        let parents: Vec<(MemberId, RecordId)> =
            trained.used.iter().filter_map(|(record, _)| Some((voice(record)?.member, *record))).collect();
        if let Err(why) = self.write_update(
            ordered.plan.manifest_version,
            trained.payload,
            parents,
            spec,
            trained.wall,
            Report(report),
        ) {
            self.own.note_failure();
            self.rest(why);
        }
    }

    /// The record's spec, and the report for people.
    fn describe(&self, ordered: &Ordered, trained: &Trained) -> (Spec, RoundReport) {
        let voices = ordered.plan.others.iter().chain(&ordered.plan.own);
        let by_record = |id: &RecordId| voices.clone().find(|voice| voice.record == *id).map(|voice| voice.member);
        let contributors: Vec<(MemberId, u64)> =
            trained.used.iter().filter_map(|(id, weight)| Some((by_record(id)?, *weight))).collect();
        let skipped = self.skips(ordered, trained);
        let manifest = self.chain.at(ordered.plan.manifest_version).map(|(manifest, _)| manifest);
        let place = |id: &MemberId| manifest.and_then(|manifest| manifest.place_of(id));
        let named = skipped.iter().filter_map(|passed| {
            Some(Skip { member: place(&passed.member)?, reason: passed.reason, record: passed.record })
        });
        let update = Update {
            round: trained.round,
            phase: trained.phase,
            weights: trained.used.iter().map(|(_, weight)| *weight).collect(),
            merge: trained.merge,
            skipped: named.collect(),
            steps: trained.steps,
            examples: bucket(trained.examples),
            loss_before_micro: trained.loss_before_micro,
            loss_after_micro: trained.loss_after_micro,
            privacy: trained.privacy,
            dataset: trained.dataset,
            // Planned for another round, if the newest publication turned out to be out of reach.
            state: trained.state.filter(|_| manifest.is_some_and(|it| it.policy.wants_checkpoint(trained.round))),
            checked: Vec::new(),
        };
        let report = RoundReport {
            round: trained.round,
            record: RecordId([0; 32]),
            merge: trained.merge,
            others: contributors.iter().filter(|(member, _)| *member != self.config.me).count() as u64,
            contributors,
            wanted: self.draw_size().min(ordered.order.len() as u64),
            skipped: skipped.iter().map(|passed| (passed.member, passed.reason)).collect(),
            steps: trained.steps,
            loss_micro: (trained.loss_before_micro, trained.loss_after_micro),
            gather_ms: ordered.gather_ms,
            work_ms: self.now.since(ordered.since),
        };
        (Spec::Update(update), report)
    }

    /// Whom the draw named and who was not merged: those passed over when gathering, and those out of reach, in draw order. Nobody
    /// behind the last one fetched was looked at.
    fn skips(&self, ordered: &Ordered, trained: &Trained) -> Vec<Passed> {
        let far = ordered.plan.others.iter().filter(|voice| trained.out_of_reach.contains(&voice.member));
        let far =
            far.map(|voice| Passed { member: voice.member, reason: SkipReason::Distance, record: Some(voice.record) });
        let mut skips: Vec<Passed> = ordered.skipped.iter().copied().chain(far).collect();
        skips.sort_by_key(|passed| ordered.order.iter().position(|member| *member == passed.member));
        if skips.iter().any(|passed| passed.reason == SkipReason::Absent) {
            // Their updates may break a rule, or be gone; but nobody is absent on whose update others built.
            let named = self.named_before(trained);
            let absent = |passed: &&mut Passed| passed.reason == SkipReason::Absent;
            for passed in skips.iter_mut().filter(absent).filter(|passed| named.contains(&passed.member)) {
                passed.reason = SkipReason::Banned;
            }
        }
        skips
    }

    /// Whose updates those name that were merged now, and our own updates before in this incarnation, as many as there are ages.
    fn named_before(&self, trained: &Trained) -> BTreeSet<MemberId> {
        let (me, incarnation) = (self.config.me, self.own.incarnation());
        let own = self.index.updates_below(Round(u64::MAX));
        let mut own: Vec<&Known> = own.filter(|known| (known.member, known.incarnation) == (me, incarnation)).collect();
        own.sort_unstable_by_key(|known| Reverse(known.seq));
        let own = own.into_iter().take(limit::AGES).map(|known| known.record);
        let records = trained.used.iter().map(|(record, _)| *record).chain(own).filter_map(|id| self.read(&id));
        let named = records.flat_map(|record| {
            let manifest = self.chain.at(record.manifest_version).map(|(manifest, _)| manifest);
            let author = |parent: &Reference| manifest?.member_at(parent.member);
            record.parents.iter().filter_map(author).collect::<Vec<_>>()
        });
        named.collect()
    }

    /// A round failed: tell, and try again after a while.
    pub(super) fn on_train_failed(&mut self, why: String) {
        if matches!(self.stage, Stage::Working(_)) {
            self.own.note_failure();
            self.rest(why);
        }
    }

    pub(super) fn rest(&mut self, why: String) {
        let doublings = self.own.failures().saturating_sub(1).min(6);
        let retry_ms = (RETRY_MS << doublings).min(RETRY_MAX_MS);
        self.stage = Stage::Resting { until: self.now.after(retry_ms) };
        self.emit(Output::Event(Event::RoundFailed { why, retry_ms }));
    }
}

/// Examples, rounded up to a power of two: their exact number is nobody's business.
const fn bucket(examples: u64) -> u64 {
    if examples == 0 { 0 } else { examples.next_power_of_two() }
}
