//! Our own feed: what is written, in which order, and how it never forks.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Engine, Event, Output, Stage,
    index::{Index, Known},
    pace::Durations,
    round::Report,
    side::Side,
};
use crate::{
    base::{Incarnation, Lamport, MemberId, Millis, RecordId, Seq, TransportId, UnixSeconds, limit},
    feed::{Body, Checked, Linked, Record, Reference, Spec, Standpoint, check_stored, sign, stands},
    manifest::Chain,
};

/// Records of an unknown manifest version that are kept for it.
const UNVERSIONED: usize = 64;

/// A record of ours that came from others.
#[derive(Debug, Clone, Copy)]
struct Outside {
    at: Standpoint,
    id: RecordId,
    clock: Lamport,
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) checked: Checked,
    report: Option<Report>,
}

/// The state of our own feed.
#[derive(Debug, Default)]
pub(super) struct Own {
    incarnation: Incarnation,
    last: Option<Known>,
    /// The record before the last update.
    before: Option<Known>,
    pub(super) writing: Option<Writing>,
    pub(super) side: VecDeque<Side>,
    pub(super) wall: UnixSeconds,
    /// When our last update was announced.
    published: Option<Millis>,
    /// From a round's order to its end.
    work: Durations,
    failures: u32,
    /// We come back with an old publication.
    returned: bool,
    /// The newest of our own records that somebody else had and we had not.
    outside: Option<Outside>,
    pub(super) halted: bool,
    /// Our key has no incarnation left.
    exhausted: bool,
    /// The version that brought the key that we write under; 0: our first one.
    epoch: u64,
    unversioned: VecDeque<(Bytes, TransportId)>,
}

impl Own {
    pub(super) fn restored(
        incarnation: Incarnation,
        updates: (Option<Known>, Option<Known>),
        wall: UnixSeconds,
    ) -> Self {
        let (last, before) = updates;
        Self { incarnation, returned: last.is_some(), last, before, wall, ..Self::default() }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Our last update, durable and announced.
    pub(super) fn last(&self) -> Option<&Known> {
        self.last.as_ref()
    }

    /// Whether this is one of our last two updates.
    pub(super) fn is_recent(&self, known: &Known) -> bool {
        [&self.last, &self.before].into_iter().flatten().any(|own| own.record == known.record)
    }

    pub(super) fn published(&self) -> Option<Millis> {
        self.published
    }

    /// How long our rounds usually take, merge and training.
    pub(super) fn work_ms(&self) -> Option<u64> {
        self.work.median()
    }

    /// Whether our last update is the only one that we ever published.
    pub(super) fn is_first_published(&self) -> bool {
        self.last.is_some() && self.before.is_none()
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn note_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn note_work(&mut self, ms: u64) {
        self.work.observe(ms);
        self.failures = 0;
    }

    pub(super) fn note_wall(&mut self, wall: UnixSeconds) {
        self.wall = self.wall.max(wall);
    }

    /// Whether we were away: restarted, or silent for longer than the window's rounds take.
    pub(super) fn was_away(&self, now: Millis, window: u64) -> bool {
        let round_ms = self.work_ms().unwrap_or(0).max(1_000);
        let silent = self.published.is_some_and(|at| now.since(at) > round_ms.saturating_mul(window + 1));
        self.returned || silent
    }

    pub(super) fn is_persisting(&self, id: &RecordId) -> bool {
        self.writing.as_ref().is_some_and(|writing| writing.checked.id() == *id)
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Our update that is on its way to the disk.
    pub(super) fn writing_update(&self) -> Option<&Checked> {
        self.writing.as_ref().filter(|writing| writing.report.is_some()).map(|writing| &writing.checked)
    }

    /// No more records of ours.
    pub(super) fn halt(&mut self) {
        self.halted = true;
        self.side.clear();
    }

    /// What we published last may lie behind a handover, and so may what others had of ours: then nothing goes on from it.
    pub(super) fn forget_fallen(&mut self, index: &Index, chain: &Chain) {
        self.outside.take_if(|outside| stands(chain, outside.at, || outside.id).is_err());
        self.last.take_if(|own| !index.contains(&own.record));
        self.before.take_if(|own| !index.contains(&own.record));
    }

    /// We write under the key that this version brought; `false` if we did before.
    pub(super) fn enter_epoch(&mut self, version: u64) -> bool {
        std::mem::replace(&mut self.epoch, version) != version
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    pub(super) fn resume(&mut self) {
        self.halted = false;
    }

    pub(super) fn is_acting(&self) -> bool {
        !self.halted
    }

    pub(super) fn hold_unversioned(&mut self, bytes: Bytes, from: &TransportId) {
        if self.unversioned.len() >= UNVERSIONED {
            self.unversioned.pop_front();
        }
        self.unversioned.push_back((bytes, from.clone()));
    }

    pub(super) fn take_unversioned(&mut self) -> VecDeque<(Bytes, TransportId)> {
        std::mem::take(&mut self.unversioned)
    }
}

impl Engine {
    /// Where our next record will stand.
    pub(super) fn next_place(&self) -> (Incarnation, Seq) {
        let incarnation = self.own.incarnation;
        let head = self.index.head(&self.config.me, incarnation);
        (incarnation, head.map_or(Seq(0), |head| head.seq.next()))
    }

    /// A record of ours that we do not have: our disk is behind our own feed, and nobody knows by how much. We never sign a
    /// place twice, so we go on in a new incarnation.
    pub(super) fn own_from_outside(&mut self, checked: &Checked) {
        let record = checked.record();
        let place = (record.incarnation, record.seq);
        if self.own.outside.is_none_or(|outside| (outside.at.incarnation, outside.at.seq) < place) {
            self.own.outside = Some(Outside { at: record.standpoint(), id: checked.id(), clock: record.clock });
        }
        if record.incarnation >= self.own.incarnation {
            self.open_incarnation(record.incarnation.next());
        }
    }

    pub(super) fn open_incarnation(&mut self, incarnation: Incarnation) {
        let (_, last) = self.chain.incarnations(&self.config.me, self.chain.current().version);
        self.own.exhausted = incarnation > last;
        if self.own.exhausted {
            let text =
                format!("incarnation {last} was this key's last: nothing is published before the member has a new key");
            let reason = super::Reason { code: "OWN-003", text };
            self.emit(Output::Event(Event::Refused { from: None, reason }));
            return self.halt();
        }
        self.own.incarnation = incarnation;
        self.emit(Output::Event(Event::NewIncarnation { incarnation }));
        self.fetches.touch();
    }

    /// Writes the record of a round. `parents` ascend by member.
    pub(super) fn write_update(
        &mut self,
        version: u64,
        payload: Body,
        parents: Vec<(MemberId, RecordId)>,
        spec: Spec,
        wall: UnixSeconds,
        report: Report,
    ) -> Result<(), String> {
        self.write(version, spec, parents, Some(payload), wall, Some(report))
    }

    pub(super) fn write(
        &mut self,
        version: u64,
        spec: Spec,
        parents: Vec<(MemberId, RecordId)>,
        body: Option<Body>,
        wall: UnixSeconds,
        report: Option<Report>,
    ) -> Result<(), String> {
        if self.own.halted || self.own.writing.is_some() {
            return Err("nothing can be written now".to_owned());
        }
        let (incarnation, seq) = self.next_place();
        let me = self.config.me;
        let (manifest, manifest_hash) = self.chain.at(version).ok_or("the plan's manifest version is not held")?;
        let parents = Reference::all(&parents, manifest)?;
        let (prev, before) = self.prev_of(incarnation).unzip();
        let clocks = parents.iter().filter_map(|one| self.index.parent(&one.record)).map(|parent| parent.clock);
        let clock = clocks.chain(before).max().unwrap_or_default().next();
        let is_update = matches!(spec, Spec::Update(_));
        let mut record = Record {
            network: self.chain.network(),
            member: me,
            key: self.config.key.public(),
            incarnation,
            seq,
            prev,
            manifest_version: version,
            manifest_hash,
            clock,
            claimed_time: UnixSeconds(wall.0 - wall.0 % limit::CLAIMED_TIME_STEP_S),
            body,
            codec: is_update.then_some(manifest.policy.codec),
            parents,
            spec,
            seen: self.seen,
        };
        self.attest(&mut record);
        let checked = sign(record, &self.config.key).map_err(|refusal| refusal.to_string())?;
        self.emit(Output::Persist { id: checked.id(), bytes: checked.bytes().clone() });
        self.own.writing = Some(Writing { checked, report });
        Ok(())
    }

    /// The record before our next one, and its clock: the head, or the last that counts of the incarnations before. Where none
    /// does, the last that others had.
    fn prev_of(&self, incarnation: Incarnation) -> Option<(RecordId, Lamport)> {
        let me = &self.config.me;
        let head = self.index.head(me, incarnation).or_else(|| self.index.head_before(me, incarnation));
        let held = head.and_then(|head| Some((head.id, self.index.parent(&head.id)?.clock)));
        let outside = self.own.outside.filter(|outside| outside.at.incarnation < incarnation);
        held.or_else(|| outside.map(|outside| (outside.id, outside.clock)))
    }

    /// Our record is durable: now, and not before, others may see it.
    pub(super) fn on_persisted(&mut self, id: RecordId) {
        if !self.own.is_persisting(&id) {
            return;
        }
        let Some(Writing { checked, report }) = self.own.writing.take() else { return };
        // A handover may have come since it was signed.
        if check_stored(checked.bytes().clone(), &self.chain).is_err() {
            if self.own.is_acting() {
                self.begin_gather();
            }
            return;
        }
        match self.index.offer(&checked, &self.chain) {
            Ok(Linked::Appended) => {}
            Ok(Linked::Fork(evidence)) => return self.convict(&evidence),
            Ok(Linked::Duplicate | Linked::Gap { .. }) | Err(_) => {
                self.begin_gather();
                return;
            }
        }
        self.enter(&checked);
        self.emit(Output::Announce { bytes: checked.bytes().clone() });
        if let Some(known) = Known::of(id, checked.record()) {
            self.own.before = self.own.last.replace(known);
            self.own.published = Some(self.now);
            self.own.returned = false;
        }
        self.announce_presence();
        if let Some(report) = report {
            self.emit(Output::Event(report.into_event(id)));
            self.choose_checks(&id);
            self.prune();
            self.begin_gather();
        }
        if matches!(checked.record().spec, Spec::Close(_)) {
            self.finish();
        }
        self.retry_ready();
    }

    /// We write no more; nothing is waited for either.
    pub(super) fn halt(&mut self) {
        self.own.halt();
        self.stage = Stage::Idle;
    }

    /// Nothing of ours follows; what others ask is still answered.
    pub(super) fn finish(&mut self) {
        self.halt();
        self.emit(Output::Finished);
    }

    /// Whether the feed's newest record closes it.
    pub(super) fn is_closing(&self) -> bool {
        let writing = self.own.writing.as_ref().map(|writing| &writing.checked.record().spec);
        matches!(writing, Some(Spec::Close(_))) || self.index.is_closed(&self.config.me)
    }
}
