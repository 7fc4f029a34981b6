//! The engine: what a member does next, as a state machine without hands.
//!
//! `handle(now, Input)`; then drain `poll()`; sleep until `deadline()`. Outputs are data. The engine sees headers only:
//! payloads, merges and training are jobs that it orders ([`Output::Round`], [`Output::Fetch`]) and whose ends come back as
//! inputs. Nothing is announced before the hands have said that it is durable ([`Input::Persisted`]).

mod input;
mod output;

pub use input::{FetchError, Input, Ticket, Trained};
pub use output::{Event, Output, PlannedVoice, Reason, RoundPlan, RoundReport, Verdict};

use bytes::Bytes;

use crate::{
    base::{BlobHash, MemberId, Millis},
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
    /// How long to wait at the start for peers' heads before acting alone.
    pub start_wait_ms: u64,
    /// The longest wait for peers' publications, whatever was observed.
    pub gather_max_ms: u64,
    /// The shortest.
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

/// The engine of one member.
#[derive(Debug)]
pub struct Engine {
    _p3: (),
}

impl Engine {
    /// An engine that starts from what its store holds; the records were checked before they were stored.
    ///
    /// # Errors
    /// The store contradicts itself or the chain; says which record.
    pub fn new(config: Config, chain: Chain, stored: Stored, now: Millis) -> Result<Self, String> {
        let _ = (config, chain, stored, now);
        todo!("P3")
    }

    /// Tells the engine what happened. Any call also fires all timers that are due.
    pub fn handle(&mut self, now: Millis, input: Input) {
        let _ = (now, input);
        todo!("P3")
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Output> {
        todo!("P3")
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        todo!("P3")
    }

    /// The manifest chain as it stands.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        todo!("P3")
    }

    /// Our own newest record.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        todo!("P3")
    }

    /// How far every feed is held, for a sync request; ascending.
    #[must_use]
    pub fn have(&self) -> Vec<Have> {
        todo!("P3")
    }
}
