//! The engine: what a member does next, as a state machine without hands.
//!
//! `handle(now, Input)`; then drain `poll()`; sleep until `deadline()`. Outputs are data. The engine sees headers only:
//! payloads, merges and training are jobs that it orders ([`Output::Round`], [`Output::Fetch`]) and whose ends come back as
//! inputs. Nothing is announced before the hands have said that it is durable ([`Input::Persisted`]).

mod checks;
mod drawing;
mod faults;
mod fetch;
mod frontier;
mod gather;
mod holders;
mod index;
mod input;
mod judge;
mod keys;
mod missing;
mod output;
mod own;
mod pace;
mod peers;
mod pending;
mod presence;
mod prune;
mod records;
mod restore;
mod round;
mod side;
#[cfg(test)]
mod tests;
mod timers;
mod trust;
mod version;
mod void;
mod voids;

pub use holders::holders_in_turn;
pub use input::{FetchError, Input, Recheck, Ticket, Trained};
pub use output::{Event, MergeCheck, MergeStep, Output, PlannedVoice, Reason, RoundPlan, RoundReport, Verdict};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::{
    base::{BlobHash, Incarnation, MemberId, Millis, RecordId, Round},
    code::AuthorKey,
    feed::Head,
    manifest::Chain,
    wire::Have,
};

/// What the engine needs to know about its member and host. All times in milliseconds.
#[derive(Debug)]
pub struct Config {
    /// Who we are; a `Role::Member` of the chain.
    pub me: MemberId,
    /// Signs our records.
    pub key: AuthorKey,
    /// Keys that the manifest may give us next, such as the one that we committed to.
    pub spare: Vec<AuthorKey>,
    /// How long to wait at the start for peers' heads before acting alone; twelve times as long for the first answer after
    /// an own publication.
    pub start_wait_ms: u64,
    /// The longest wait for peers' publications, as a share of the own usual work, in 2^-16.
    pub wait_share: u64,
    /// What a fetch may take where none was observed yet; how long others may catch up when we are too far ahead.
    pub gather_max_ms: u64,
    /// What a fetch may take at least.
    pub gather_min_ms: u64,
    /// How long one fetch may take before another holder is tried.
    pub fetch_ms: u64,
    /// How often presence is announced when nothing happens.
    pub presence_ms: u64,
    /// Threshold of training threads etc. is the hands' affair; this many blob fetches run at once.
    pub fetches: usize,
}

/// What a store gives back at the start.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Every stored record, each feed ascending; feeds in any order.
    pub records: Vec<Bytes>,
    /// Every evidence bundle.
    pub evidence: Vec<Bytes>,
    /// Complete payloads on disk; an own one only if the training state saved with it is there too.
    pub payloads: Vec<BlobHash>,
}

/// What our own next publication waits for.
#[derive(Debug)]
enum Stage {
    /// For peers, since then.
    Starting { since: Millis },
    /// For the others' publications; until then nothing changes unless something comes.
    Gathering { since: Millis, until: Millis },
    /// For the hands.
    Working(Box<round::Ordered>),
    /// For a while, after a failure.
    Resting { until: Millis },
    /// For a record to become durable, or for nothing any more.
    Idle,
}

/// The engine of one member.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    chain: Chain,
    now: Millis,
    started: Millis,
    /// When a member was heard of that was not there before.
    gathered: Millis,
    out: VecDeque<Output>,
    index: index::Index,
    pending: pending::Pending,
    /// Held records that may be admitted although a parent will never come.
    forgiven: BTreeSet<RecordId>,
    trust: trust::Trust,
    peers: peers::Peers,
    frontier: frontier::Frontier,
    standings: BTreeMap<MemberId, gather::Standing>,
    fetches: fetch::Fetches,
    fetch_times: pace::FetchTimes,
    checks: checks::Checks,
    own: own::Own,
    stage: Stage,
    drawn: drawing::Drawn,
    /// Bytes of a payload, by manifest version.
    lengths: BTreeMap<u64, u64>,
    /// `None` until the first peer comes up.
    presence_due: Option<Millis>,
    expelled: bool,
    /// The newest manifest gives us a key that we do not have.
    keyless: bool,
    /// Manifests that contradict ours and were kept.
    conflicts: BTreeSet<BlobHash>,
    /// Records of others that were taken in so far: admitted, or held.
    news: u64,
    /// The newest cosigned checkpoint of our log.
    seen: Option<BlobHash>,
}

impl Engine {
    /// An engine that starts from what its store holds; the records were checked before they were stored.
    ///
    /// # Errors
    /// The store contradicts itself or the chain; says which record.
    pub fn new(config: Config, chain: Chain, stored: Stored, now: Millis) -> Result<Self, String> {
        Self::restore(config, chain, stored, now)
    }

    fn empty(config: Config, chain: Chain, now: Millis) -> Self {
        Self {
            config,
            chain,
            now,
            started: now,
            gathered: now,
            out: VecDeque::new(),
            index: index::Index::default(),
            pending: pending::Pending::default(),
            forgiven: BTreeSet::new(),
            trust: trust::Trust::default(),
            peers: peers::Peers::default(),
            frontier: frontier::Frontier::default(),
            standings: BTreeMap::new(),
            fetches: fetch::Fetches::default(),
            fetch_times: pace::FetchTimes::default(),
            checks: checks::Checks::default(),
            own: own::Own::default(),
            stage: Stage::Starting { since: now },
            drawn: drawing::Drawn::default(),
            lengths: BTreeMap::new(),
            presence_due: None,
            expelled: false,
            keyless: false,
            conflicts: BTreeSet::new(),
            news: 0,
            seen: None,
        }
    }

    /// Tells the engine what happened. Any call also fires all timers that are due.
    pub fn handle(&mut self, now: Millis, input: Input) {
        self.now = self.now.max(now);
        self.refresh_frontier();
        match input {
            Input::Record { bytes, from, ticket } => self.on_record(bytes, from, ticket),
            Input::Presence { bytes, from, ticket } => self.on_presence(&bytes, from, ticket),
            Input::Manifest { bytes, from } => self.on_manifest(bytes, from),
            Input::Synced { peer, complete } => self.on_synced(&peer, complete),
            Input::PeerUp { peer } => self.on_peer_up(peer),
            Input::PeerDown { peer } => self.on_peer_down(&peer),
            Input::PayloadArrived { hash } => self.on_payload(hash),
            Input::Blob { hash, bytes } => self.on_blob(hash, &bytes),
            Input::FetchFailed { hash, why } => self.on_fetch_failed(hash, why),
            Input::Persisted { id } => self.on_persisted(id),
            Input::Rechecked(verdict) => self.on_rechecked(verdict),
            Input::Trained(trained) => self.on_trained(*trained),
            Input::TrainFailed { why } => self.on_train_failed(why),
            Input::Seen { note } => self.seen = Some(note),
            Input::Release { label, wall } => self.on_release(label, wall),
            Input::Close { wall } => self.on_close(wall),
            Input::Tick => {}
        }
        self.run_timers();
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn emit(&mut self, output: Output) {
        self.out.push_back(output);
    }

    /// The manifest chain as it stands.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The key that signs for us by the newest manifest.
    #[must_use]
    pub fn signer(&self) -> &AuthorKey {
        &self.config.key
    }

    /// Our own newest record.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.index.head_before(&self.config.me, Incarnation(u64::MAX))
    }

    /// The round of our own newest update; 0 before the first.
    #[must_use]
    pub fn round(&self) -> Round {
        self.own.last().map_or(Round(0), |own| own.round)
    }

    /// How far feeds are held, for a sync request; ascending, and as many as one holds.
    #[must_use]
    pub fn have(&self) -> Vec<Have> {
        self.index.have()
    }
}
