//! `/chorale/1/witness`: cosign my checkpoint.
//!
//! Question: u32-LE length and either a [`Request`](chorale_protocol::log::Request), or [`HELD`]: which checkpoint of the asker's
//! log is held? Answer: u32-LE length and an [`Answer`](chorale_protocol::log::Answer), or to [`HELD`] the note, empty for none.

mod ask;
mod serve;

use std::{future::Future, io, pin::Pin};

use chorale_protocol::{
    base::TransportId,
    log::{NOTE_BYTES, REQUEST_BYTES},
};
use libp2p::StreamProtocol;

pub(super) use ask::ask;
pub(super) use serve::serve;

use super::stream::Limits;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/chorale/1/witness");
/// A member asks once an interval, and again after a conflict.
pub(super) const LIMITS: Limits = Limits { at_once: 2, per_second: 8.0, burst: 64.0 };
/// The question for the checkpoint held.
pub const HELD: &[u8] = b"held\n";
/// No question is longer.
const QUESTION_BYTES: usize = REQUEST_BYTES;
/// No answer is longer.
const ANSWER_BYTES: usize = NOTE_BYTES;

/// An answer on its way; an error leaves the question unanswered.
pub type Witnessing = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>>;

/// Answers questions of other logs' owners. The driver implements it over its store.
pub trait WitnessDesk: Send + Sync + 'static {
    /// The answer to `from`'s question, at most [`NOTE_BYTES`] long.
    fn answer(&self, from: TransportId, question: Vec<u8>) -> Witnessing;
}
