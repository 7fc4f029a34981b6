//! The chain of one (member, incarnation), folded to what the next record is checked against.

use std::collections::BTreeSet;

use super::{Checked, Evidence, Kind, Reference, Refusal, Spec};
use crate::base::{Incarnation, Lamport, MemberId, RecordId, Round, Seq, limit};

/// The newest record of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub member: MemberId,
    /// Which of its feeds.
    pub incarnation: Incarnation,
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub id: RecordId,
}

/// One author's log in one incarnation: ids by place, the head's clock and manifest version, and what was published.
#[derive(Debug, Clone)]
pub struct Feed {
    member: MemberId,
    incarnation: Incarnation,
    ids: Vec<RecordId>,
    clock: Lamport,
    manifest_version: u64,
    closed: bool,
    /// Of the newest update; 0 before the first.
    round: Round,
    /// The manifest version of the newest update, and the round of the first one under it.
    since: Option<(u64, Round)>,
    /// Releases, records of evidence, of faults, and of unknown kinds since then.
    releases: u64,
    evidence: u64,
    faults: u64,
    others: u64,
    /// Updates that were released.
    released: BTreeSet<RecordId>,
}

/// What its feed looks at in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) id: RecordId,
    pub(crate) seq: Seq,
    pub(crate) prev: Option<RecordId>,
    pub(crate) clock: Lamport,
    pub(crate) manifest_version: u64,
    pub(crate) step: Step,
}

/// What a record does to its feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It publishes this round.
    Update(Round),
    /// It releases this update.
    Release(RecordId),
    /// It accuses somebody.
    Evidence,
    /// It says that somebody broke a rule.
    Fault,
    /// It ends the feed.
    Close,
    /// Nothing that this program knows.
    Other,
}

impl Step {
    pub(crate) fn of(spec: &Spec, parents: &[Reference]) -> Self {
        match spec {
            Spec::Update(update) => Self::Update(update.round),
            Spec::Release(_) => Self::Release(parents.first().map_or(RecordId([0; 32]), |parent| parent.record)),
            Spec::Evidence(_) => Self::Evidence,
            Spec::Close(_) => Self::Close,
            Spec::Fault(_) => Self::Fault,
            Spec::Other(_) => Self::Other,
        }
    }
}

impl Link {
    pub(crate) fn of(checked: &Checked) -> Self {
        let record = checked.record();
        Self {
            id: checked.id(),
            seq: record.seq,
            prev: record.prev,
            clock: record.clock,
            manifest_version: record.manifest_version,
            step: Step::of(&record.spec, &record.parents),
        }
    }
}

/// What became of a record offered to a feed.
#[derive(Debug)]
pub enum Linked {
    /// It is the new head.
    Appended,
    /// It was there.
    Duplicate,
    /// Records before it are missing: from this place on.
    Gap {
        /** the first missing */
        from: Seq,
    },
    /// It and a record in the feed prove equivocation.
    Fork(Box<Evidence>),
}

impl Feed {
    /// An empty feed.
    #[must_use]
    pub fn new(member: MemberId, incarnation: Incarnation) -> Self {
        Self {
            member,
            incarnation,
            ids: Vec::new(),
            clock: Lamport(0),
            manifest_version: 0,
            closed: false,
            round: Round(0),
            since: None,
            releases: 0,
            evidence: 0,
            faults: 0,
            others: 0,
            released: BTreeSet::new(),
        }
    }

    /// Offers a record. For fork evidence the feed asks `stored` for the whole bytes of a record that it holds.
    ///
    /// # Errors
    /// A rule of the feed is broken by this record alone (clock, manifest version, round, too many records between two updates,
    /// a second release of one update, after a close); the feed stays as it was.
    pub fn offer(
        &mut self,
        checked: &Checked,
        stored: impl Fn(&RecordId) -> Option<Checked>,
    ) -> Result<Linked, Refusal> {
        let record = checked.record();
        if (record.member, record.incarnation) != (self.member, self.incarnation) {
            return Err(Refusal::OtherFeed {
                got_member: record.member,
                got: record.incarnation,
                member: self.member,
                incarnation: self.incarnation,
            });
        }
        self.link(&Link::of(checked), |held| stored(held).and_then(|held| Evidence::of(&held, checked)))
    }

    /// As [`offer`](Self::offer), for a record of this very feed of which only this is at hand; `proof` gives the evidence in it
    /// and a record that the feed holds.
    ///
    /// # Errors
    /// As of [`offer`](Self::offer).
    pub(crate) fn link(
        &mut self,
        link: &Link,
        proof: impl FnMut(&RecordId) -> Option<Evidence>,
    ) -> Result<Linked, Refusal> {
        if self.id_at(link.seq) == Some(link.id) {
            return Ok(Linked::Duplicate);
        }
        if link.seq > self.next() {
            return Ok(Linked::Gap { from: self.next() });
        }
        if let Some(fork) = self.fork(link, proof)? {
            return Ok(Linked::Fork(Box::new(fork)));
        }
        self.follows(link)?;
        self.ids.push(link.id);
        self.clock = link.clock;
        self.manifest_version = link.manifest_version;
        self.take(link);
        Ok(Linked::Appended)
    }

    fn take(&mut self, link: &Link) {
        match link.step {
            Step::Update(round) => {
                self.round = round;
                (self.releases, self.evidence, self.faults, self.others) = (0, 0, 0, 0);
                if self.since(link.manifest_version).is_none() {
                    self.since = Some((link.manifest_version, round));
                }
            }
            Step::Release(update) => {
                self.releases += 1;
                self.released.insert(update);
            }
            Step::Evidence => self.evidence += 1,
            Step::Fault => self.faults += 1,
            Step::Other => self.others += 1,
            Step::Close => self.closed = true,
        }
    }

    /// The contradiction between a record at or below the next place and those held, if there is one.
    fn fork(
        &self,
        link: &Link,
        mut proof: impl FnMut(&RecordId) -> Option<Evidence>,
    ) -> Result<Option<Evidence>, Refusal> {
        let before = link.seq.0.checked_sub(1).and_then(|seq| self.id_at(Seq(seq)));
        // Another record in its place, or another record before it: each is proof with the record that is held.
        let same_place = self.id_at(link.seq);
        let other_prev = before.filter(|before| link.prev != Some(*before));
        let mut unproved = None;
        for held in [same_place, other_prev].into_iter().flatten() {
            match proof(&held) {
                Some(evidence) => return Ok(Some(evidence)),
                None => unproved = Some(held),
            }
        }
        unproved.map_or(Ok(None), |held| Err(Refusal::Unproved { seq: link.seq, held }))
    }

    /// The rules between a record and the one before.
    fn follows(&self, link: &Link) -> Result<(), Refusal> {
        let seq = link.seq;
        if self.closed {
            return Err(Refusal::Closed { seq });
        }
        if self.ids.is_empty() {
            return Ok(());
        }
        if link.clock <= self.clock {
            return Err(Refusal::Clock { seq, got: link.clock, before: self.clock });
        }
        if link.manifest_version < self.manifest_version {
            return Err(Refusal::VersionFell { seq, got: link.manifest_version, before: self.manifest_version });
        }
        match &link.step {
            Step::Update(round) if *round <= self.round => {
                Err(Refusal::RoundFell { seq, got: *round, before: self.round })
            }
            Step::Release(update) if self.has_released(update) => Err(Refusal::ReleasedTwice { seq, update: *update }),
            Step::Release(_) if !self.has_room_for(Kind::Release) => Err(Refusal::TooMany { seq, kind: "releases" }),
            Step::Evidence if !self.has_room_for(Kind::Evidence) => Err(Refusal::TooMany { seq, kind: "accusations" }),
            Step::Fault if !self.has_room_for(Kind::Fault) => Err(Refusal::TooMany { seq, kind: "records of faults" }),
            Step::Other if !self.has_room_for(Kind::Other) => {
                Err(Refusal::TooMany { seq, kind: "records of unknown kinds" })
            }
            _ => Ok(()),
        }
    }

    /// Whether a record of this kind may follow before the next update.
    #[must_use]
    pub fn has_room_for(&self, kind: Kind) -> bool {
        let count = match kind {
            Kind::Release => self.releases,
            Kind::Evidence => self.evidence,
            Kind::Fault => self.faults,
            Kind::Other => self.others,
            Kind::Update | Kind::Close => 0,
        };
        count < limit::BETWEEN_UPDATES
    }

    /// The round of the first update under this manifest version, if that is the newest update's.
    #[must_use]
    pub fn since(&self, manifest_version: u64) -> Option<Round> {
        self.since.filter(|(version, _)| *version == manifest_version).map(|(_, round)| round)
    }

    /// Whether a record of this feed releases this update.
    #[must_use]
    pub fn has_released(&self, update: &RecordId) -> bool {
        self.released.contains(update)
    }

    /// Whose it is.
    #[must_use]
    pub fn member(&self) -> MemberId {
        self.member
    }

    /// Which of its author's feeds it is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The newest record.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        let id = *self.ids.last()?;
        let seq = Seq(self.ids.len() as u64 - 1);
        Some(Head { member: self.member, incarnation: self.incarnation, seq, id })
    }

    /// The place that the next record takes.
    #[must_use]
    pub fn next(&self) -> Seq {
        Seq(self.ids.len() as u64)
    }

    /// The record at a place.
    #[must_use]
    pub fn id_at(&self, seq: Seq) -> Option<RecordId> {
        self.ids.get(usize::try_from(seq.0).ok()?).copied()
    }

    /// The clock of the newest record.
    #[must_use]
    pub fn clock(&self) -> Lamport {
        self.clock
    }

    /// The manifest version of the newest record.
    #[must_use]
    pub fn manifest_version(&self) -> u64 {
        self.manifest_version
    }

    /// Whether its newest record is a close: nothing may follow.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}
