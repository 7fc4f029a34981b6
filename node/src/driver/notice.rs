//! What a running node tells and takes.

use bytes::Bytes;
use chorale_protocol::{base::Round, engine, feed::Head};
use libp2p::Multiaddr;

use super::State;

/// What a running node tells.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The engine's events: rounds done, admissions, refusals, convictions.
    Engine(engine::Event),
    /// A listen address is known.
    Listening(Multiaddr),
    /// What the node does changed.
    State(State),
    /// How long the parts of a round's job took.
    Work(Work),
}

/// How long the parts of a round's job took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Which round.
    pub round: Round,
    /// Reading payloads and state, merging.
    pub merge_us: u64,
    /// Training alone.
    pub train_us: u64,
    /// Encoding, and making payload and state durable.
    pub keep_us: u64,
}

/// What a running node takes.
#[derive(Debug, Clone)]
pub enum Command {
    /// Pin our newest publication under this label: 1 to 64 of `a-z 0-9 . _ -`.
    Release(String),
    /// Leave: a last record, then no more.
    Close,
    /// A manifest version, from the operator.
    Manifest(Bytes),
}

/// What a node came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Finished, stopped or expelled.
    pub state: State,
    /// Our newest record.
    pub head: Option<Head>,
    /// The newest round published since the start of this process.
    pub round: Round,
}
