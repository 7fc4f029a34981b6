//! Spot checks: after each own publication the merges of a few others are recomputed, and those that somebody accuses. Whose
//! follows from the publication, so that nobody knows it before and everybody afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{Engine, MergeCheck, MergeStep, Output, PlannedVoice, Reason, Recheck, index::Known};
use crate::{
    admit,
    base::{BlobHash, MemberId, RecordId, limit},
    draw,
    feed::{Body, FaultSpec, Flaw, Record, SkipReason, Spec},
};

/// Accusations looked into at once; of one member one.
const ACCUSED: usize = 16;
/// Accusations kept of updates that have not come; of one member the newest.
const AHEAD: usize = 64;
/// Ids remembered of updates whose merges were recomputed and are right.
const SOUND: usize = 4_096;

/// An accusation is looked into for so many publications of ours: what it takes may be nowhere.
const PATIENCE: u64 = 16;

/// Merges recomputed at once, back to the last checkpoint of the momentum.
const STEPS: usize = 16;

/// Bytes of a list of ids in a record: its key and head at most, and each id.
const LIST_BYTES: usize = 3;
const ID_BYTES: usize = 34;

/// What is looked into.
#[derive(Debug)]
struct Open {
    /// The update chosen or accused: the last of `check`.
    known: Known,
    check: MergeCheck,
    /// A checkpoint that is to be fetched.
    lacks: Option<Body>,
    /// Who accuses; `None`: our own spot check.
    accuser: Option<MemberId>,
    /// Of a payload only that it is there.
    flaw: Flaw,
    /// Publications of ours since it was opened.
    age: u64,
}

impl Open {
    /// Payloads that it takes.
    fn payloads(&self) -> impl Iterator<Item = (Body, MemberId)> + '_ {
        let steps = self.check.steps.iter().filter(|_| self.flaw == Flaw::Merge);
        let merged = steps.clone().flat_map(|step| step.own.iter().chain(&step.others));
        let published = steps.map(|step| (step.payload, self.known.member));
        let own = (self.known.payload, self.known.member);
        merged.map(|voice| (voice.payload, voice.member)).chain(published).chain([own])
    }
}

/// A blob that a check lacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lacking {
    pub(super) body: Body,
    pub(super) author: MemberId,
    /// Else a checkpoint.
    pub(super) payload: bool,
    /// Somebody else wants the check, not we.
    pub(super) accused: bool,
}

/// What is looked into, and what was.
#[derive(Debug, Default)]
pub(super) struct Checks {
    open: VecDeque<Open>,
    running: Option<RecordId>,
    sound: BTreeSet<RecordId>,
    /// Those of them that our next update names, the newest last.
    attested: VecDeque<RecordId>,
    /// Whose merges were chosen last.
    lately: VecDeque<MemberId>,
    /// Of who accuses an update that has not come yet: the newest such accusation.
    ahead: BTreeMap<MemberId, FaultSpec>,
}

impl Checks {
    /// Takes a checkpoint that came; `false` if none waits for it.
    pub(super) fn take_state(&mut self, hash: &BlobHash, bytes: &Bytes) -> bool {
        let waiting = self.open.iter_mut().find(|open| open.lacks.is_some_and(|body| body.hash == *hash));
        let Some(open) = waiting else { return false };
        (open.lacks, open.check.state) = (None, Some(bytes.clone()));
        true
    }

    /// The merges of these updates were recomputed and are right.
    pub(super) fn note_sound(&mut self, updates: impl Iterator<Item = RecordId>) {
        for update in updates {
            if self.sound.len() >= SOUND {
                self.sound.clear();
            }
            if self.sound.insert(update) {
                self.attested.push_back(update);
            }
        }
        let more = self.attested.len().saturating_sub(limit::CHECKED);
        self.attested.drain(..more);
    }

    /// The newest of those found to be right since this was asked last, so many at most, ascending.
    fn take_attested(&mut self, most: usize) -> Vec<RecordId> {
        let more = self.attested.len().saturating_sub(most);
        let mut newest: Vec<RecordId> = self.attested.drain(..).skip(more).collect();
        newest.sort_unstable();
        newest
    }
}

impl Engine {
    /// After a publication of ours: chooses whose merges to recompute. What was chosen before and not begun is dropped: its payloads
    /// may be gone soon.
    pub(super) fn choose_checks(&mut self, published: &RecordId) {
        let running = self.checks.running;
        self.checks.open.retain_mut(|open| {
            open.age += 1;
            running == Some(open.known.record) || (open.accuser.is_some() && open.age <= PATIENCE)
        });
        let manifest = self.chain.current();
        let share = usize::try_from(manifest.policy.checks.unwrap_or(1)).unwrap_or(usize::MAX);
        let members = admit::drawable(manifest);
        let order = draw::check_order(&self.chain.network(), &self.config.me, published, &members);
        // Everybody in turn, in an order that nobody knows before.
        let room = order.len().saturating_sub(share.max(1));
        while self.checks.lately.len() > room {
            self.checks.lately.pop_front();
        }
        let mut chosen = 0;
        for member in order {
            if chosen >= share {
                break;
            }
            if self.checks.lately.contains(&member) || self.trust.is_barred(&member) {
                continue;
            }
            let newest = self.index.newest(&member).filter(|known| !self.checks.sound.contains(&known.record)).cloned();
            if let Some(open) = newest.and_then(|known| self.open_check(known, None, Flaw::Merge)) {
                self.checks.lately.push_back(member);
                self.checks.open.push_back(open);
                chosen += 1;
            }
        }
        self.fetches.touch();
    }

    /// Somebody accuses an update that counts here: its payload, or its merge, is looked at.
    pub(super) fn check_accused(&mut self, spec: FaultSpec, accuser: MemberId) {
        if !self.index.contains(&spec.record) {
            if self.checks.ahead.len() < AHEAD || self.checks.ahead.contains_key(&accuser) {
                self.checks.ahead.insert(accuser, spec);
            }
            return;
        }
        let known = self.update_of_record(&spec.record);
        let Some(known) = known.filter(|known| (known.member, known.incarnation) == (spec.accused, spec.incarnation))
        else {
            return;
        };
        let found_right = match spec.flaw {
            Flaw::Payload => self.fetches.is_ready(&known.payload.hash),
            Flaw::Merge => self.checks.sound.contains(&known.record),
            Flaw::Rule => false,
        };
        if found_right {
            return self.refuse_accuser(&accuser, &spec.record, spec.flaw);
        }
        if self.checks.open.iter().any(|open| open.accuser == Some(accuser)) || self.checks.open.len() >= ACCUSED {
            return;
        }
        let same = |open: &&mut Open| (open.known.record, open.flaw) == (spec.record, spec.flaw);
        if let Some(open) = self.checks.open.iter_mut().find(same) {
            open.accuser.get_or_insert(accuser);
            return;
        }
        if let Some(open) = self.open_check(known, Some(accuser), spec.flaw) {
            self.checks.open.push_front(open);
            self.fetches.touch();
        }
    }

    /// An update came: somebody may have accused it before.
    pub(super) fn check_if_accused(&mut self, id: &RecordId) {
        let about = |(accuser, spec): (&MemberId, &FaultSpec)| (spec.record == *id).then_some(*accuser);
        let accusers: Vec<MemberId> = self.checks.ahead.iter().filter_map(about).collect();
        for accuser in accusers {
            if let Some(spec) = self.checks.ahead.remove(&accuser) {
                self.check_accused(spec, accuser);
            }
        }
    }

    /// Puts into an update of ours whose merges were found to be right since the one before, as many as it has room for.
    pub(super) fn attest(&mut self, record: &mut Record) {
        if !matches!(record.spec, Spec::Update(_)) {
            return;
        }
        let used = record.payload().len().saturating_add(LIST_BYTES);
        let room = limit::RECORD_PAYLOAD_BYTES.saturating_sub(used) / ID_BYTES;
        if let Spec::Update(update) = &mut record.spec {
            update.checked = self.checks.take_attested(room);
        }
    }

    fn refuse_accuser(&mut self, accuser: &MemberId, record: &RecordId, flaw: Flaw) {
        let text = format!("the {} of record {record} was accused, and is in order", flaw.word());
        self.refuse_author(accuser, Reason { code: "FLT-003", text });
    }

    fn update_of_record(&self, id: &RecordId) -> Option<Known> {
        Known::of(*id, &self.read(id)?)
    }

    /// What it takes to look into an update; `None` if that cannot be had: a parent that is not known, or the momentum before it.
    fn open_check(&self, known: Known, accuser: Option<MemberId>, flaw: Flaw) -> Option<Open> {
        let mut check = MergeCheck { steps: Vec::new(), state: None };
        if flaw != Flaw::Merge {
            return Some(Open { known, check, lacks: None, accuser, flaw, age: 0 });
        }
        let mut at = known.record;
        let lacks = loop {
            let record = self.read(&at)?;
            let (step, own) = self.step(at, &record)?;
            check.steps.push(step);
            let momentum = self.chain.at(record.manifest_version)?.0.policy.momentum > 0;
            match own.filter(|_| momentum) {
                None => break None,
                Some(Known { state: Some(state), .. }) => break Some(state),
                Some(own) if check.steps.len() < STEPS => at = own.record,
                Some(_) => return None,
            }
        };
        check.steps.reverse();
        Some(Open { known, check, lacks, accuser, flaw, age: 0 })
    }

    /// An update's merge, and its author's publication in it.
    fn step(&self, id: RecordId, record: &Record) -> Option<(MergeStep, Option<Known>)> {
        let Spec::Update(update) = &record.spec else { return None };
        let (mut own, mut others, mut far) = (None, Vec::new(), Vec::new());
        for parent in record.parent_ids() {
            let parent = self.update_of_record(&parent)?;
            if parent.member == record.member {
                own = Some(parent);
            } else {
                others.push(voice(&parent));
            }
        }
        for skip in update.skipped.iter().filter(|skip| skip.reason == SkipReason::Distance) {
            let distant = self.update_of_record(&skip.record?)?;
            far.push(distant.member);
            others.push(voice(&distant));
        }
        let step = MergeStep {
            record: id,
            manifest_version: record.manifest_version,
            own: own.as_ref().map(voice),
            others,
            far,
            merge: update.merge,
            phase: update.phase,
            payload: record.body?,
        };
        Some((step, own))
    }

    /// Blobs that open checks lack. Checkpoints are large and are kept in memory: one is fetched when all else is there, and none
    /// while another one is about to be used.
    pub(super) fn wanted_for_checks(&self) -> Vec<Lacking> {
        let is_complete = |open: &Open| open.payloads().all(|(body, _)| self.fetches.is_ready(&body.hash));
        let busy = self.checks.open.iter().any(|open| open.check.state.is_some() && is_complete(open));
        let mut wanted = Vec::new();
        for open in &self.checks.open {
            let accused = open.accuser.is_some();
            let lacking = open.payloads().filter(|(body, _)| !self.is_settled(body));
            wanted.extend(lacking.map(|(body, author)| Lacking { body, author, payload: true, accused }));
            let state = open.lacks.filter(|_| !busy && is_complete(open));
            wanted.extend(state.map(|body| Lacking { body, author: open.known.member, payload: false, accused }));
        }
        wanted
    }

    /// Whether a payload is on disk, or known to be no good.
    fn is_settled(&self, body: &Body) -> bool {
        self.fetches.is_ready(&body.hash) || self.fetches.is_bad(&body.hash)
    }

    /// Orders the next check whose blobs are there; ends those that are settled.
    pub(super) fn run_checks(&mut self) {
        let mut told = Vec::new();
        let (fetches, running) = (&self.fetches, self.checks.running);
        self.checks.open.retain(|open| {
            let bad = fetches.is_bad(&open.known.payload.hash);
            let here = open.flaw == Flaw::Payload && fetches.is_ready(&open.known.payload.hash);
            if here && let Some(accuser) = open.accuser {
                told.push((accuser, open.known.record));
            }
            running == Some(open.known.record) || !(bad || here)
        });
        for (accuser, record) in told {
            self.refuse_accuser(&accuser, &record, Flaw::Payload);
        }
        if self.checks.running.is_some() {
            return;
        }
        let ready = self.checks.open.iter().filter(|open| {
            let here = |(body, _): (Body, MemberId)| self.fetches.is_ready(&body.hash);
            open.flaw == Flaw::Merge && open.lacks.is_none() && open.payloads().all(here)
        });
        // Those that we chose come first, however many are accused.
        let ready = ready.min_by_key(|open| open.accuser.is_some());
        if let Some((check, record)) = ready.map(|open| (open.check.clone(), open.known.record)) {
            self.checks.running = Some(record);
            self.emit(Output::Recheck(Box::new(check)));
        }
    }

    /// The hands have recomputed merges, or could not.
    pub(super) fn on_rechecked(&mut self, verdict: Recheck) {
        let Some(running) = self.checks.running.take() else { return };
        let Some(at) = self.checks.open.iter().position(|open| open.known.record == running) else { return };
        let Some(Open { check, accuser, .. }) = self.checks.open.remove(at) else { return };
        // Another one's checkpoint may be fetched now.
        self.fetches.touch();
        let steps = check.steps.iter().map(|step| step.record);
        match verdict {
            Recheck::Sound => {
                self.checks.note_sound(steps);
                if let Some(accuser) = accuser {
                    self.refuse_accuser(&accuser, &running, Flaw::Merge);
                }
            }
            Recheck::Wrong { record, code } => {
                // Those before it are right.
                self.checks.note_sound(steps.take_while(|step| *step != record));
                if let Some(known) = self.update_of_record(&record) {
                    self.bar_for_flaw(&known, code, Flaw::Merge);
                }
            }
            Recheck::Unable => {}
        }
    }
}

fn voice(known: &Known) -> PlannedVoice {
    PlannedVoice { member: known.member, record: known.record, round: known.round, payload: known.payload }
}
