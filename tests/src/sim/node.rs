//! One simulated member: its engine, its disk, its hands' state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, MemberId, MergeHash, RecordId, Round},
    code::AuthorKey,
    engine::{Engine, Event, RoundReport, Ticket},
    feed::Body,
};

use super::{clock, disk::Disk, gossip::Topic};

/// An event that the engine told, and when.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Virtual milliseconds.
    pub at: u64,
    /// What.
    pub event: Event,
}

/// A fetch under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch {
    pub(super) job: u64,
    pub(super) body: Body,
    pub(super) payload: bool,
}

/// One member.
#[derive(Debug)]
pub struct Node {
    pub(super) id: MemberId,
    pub(super) key: AuthorKey,
    pub(super) engine: Option<Engine>,
    pub(super) disk: Disk,
    pub(super) life: u64,
    pub(super) wake: u64,
    /// Milliseconds of one training step.
    pub(super) step_ms: u64,
    /// How far a round's time may lie from the usual, either way.
    pub(super) jitter: f64,
    pub(super) heard: BTreeSet<BlobHash>,
    pub(super) tickets: BTreeMap<Ticket, (Topic, Bytes)>,
    pub(super) fetches: BTreeMap<BlobHash, Fetch>,
    pub(super) connected: BTreeSet<usize>,
    pub(super) counter: u64,
    /// Things done so far in all lives: outputs carried out, things made durable.
    pub(super) steps: u64,
    /// Crash instead of doing this step.
    pub(super) crash_at: Option<u64>,
    /// Stopped as by SIGSTOP: what would happen to it waits here.
    pub(super) frozen: Option<VecDeque<clock::Event>>,
    /// No gossip reaches it.
    pub(super) deaf: bool,
    pub(super) seen: Vec<Seen>,
    pub(super) finished: bool,
}

impl Node {
    pub(super) fn new(id: MemberId, key: AuthorKey, step_ms: u64) -> Self {
        Self {
            id,
            key,
            engine: None,
            disk: Disk::default(),
            life: 0,
            wake: 0,
            step_ms,
            jitter: 0.0,
            heard: BTreeSet::new(),
            tickets: BTreeMap::new(),
            fetches: BTreeMap::new(),
            connected: BTreeSet::new(),
            counter: 0,
            steps: 0,
            crash_at: None,
            frozen: None,
            deaf: false,
            seen: Vec::new(),
            finished: false,
        }
    }

    pub(super) const fn next_ticket(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Its member id.
    #[must_use]
    pub const fn id(&self) -> MemberId {
        self.id
    }

    /// Everything its engine told, oldest first.
    #[must_use]
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// What outlasts a crash.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether it said that it is done.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Steps done so far, for [`crate::sim::World::crash_at`].
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Reports of its rounds, and when each was done.
    pub fn rounds(&self) -> impl Iterator<Item = (u64, &RoundReport)> {
        self.seen.iter().filter_map(|seen| match &seen.event {
            Event::RoundDone(report) => Some((seen.at, &**report)),
            _ => None,
        })
    }

    /// Its last round, 0 before the first.
    #[must_use]
    pub fn round(&self) -> Round {
        self.rounds().map(|(_, report)| report.round).max().unwrap_or_default()
    }

    /// Its last merge.
    #[must_use]
    pub fn merge(&self) -> Option<MergeHash> {
        self.rounds().last().map(|(_, report)| report.merge)
    }

    /// Its last record of a round.
    #[must_use]
    pub fn record(&self) -> Option<RecordId> {
        self.rounds().last().map(|(_, report)| report.record)
    }

    /// Members that it holds for convicted.
    #[must_use]
    pub fn convicted(&self) -> BTreeSet<MemberId> {
        let events = self.seen.iter().map(|seen| &seen.event);
        events
            .filter_map(|event| if let Event::Convicted { member, .. } = event { Some(*member) } else { None })
            .collect()
    }

    /// The newest round of another member that it admitted, 0 without any.
    #[must_use]
    pub fn admitted_of(&self, other: &MemberId) -> u64 {
        let events = self.seen.iter().map(|seen| &seen.event);
        let rounds = events.filter_map(|event| match event {
            Event::Admitted { member, round, .. } if member == other => Some(round.0),
            _ => None,
        });
        rounds.max().unwrap_or(0)
    }

    /// Whether its program runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    /// How often it opened a new incarnation.
    #[must_use]
    pub fn incarnations(&self) -> usize {
        self.seen.iter().filter(|seen| matches!(seen.event, Event::NewIncarnation { .. })).count()
    }
}
