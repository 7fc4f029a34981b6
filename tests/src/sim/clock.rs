//! What happens when: a queue of events in virtual time.

use std::collections::BTreeMap;

use bytes::Bytes;
use chorale_protocol::{base::RecordId, engine::Input, wire::SyncRequest};

use super::{disk::Finished, gossip::Topic};

/// Something that will happen to a node. `life` counts its restarts: what belongs to an earlier life does not happen.
#[derive(Debug)]
pub(super) enum Event {
    /// An input of the engine.
    Input { node: usize, life: u64, input: Box<Input> },
    /// The engine's deadline.
    Wake { node: usize, life: u64, wake: u64 },
    /// A gossip message reaches a node.
    Gossip { node: usize, from: usize, topic: Topic, bytes: Bytes },
    /// A record becomes durable.
    Durable { node: usize, life: u64, id: RecordId, bytes: Bytes },
    /// A round's job ends.
    Round { node: usize, life: u64, finished: Box<Finished> },
    /// A fetched blob is complete, from another node's disk.
    Blob { node: usize, life: u64, job: u64, holder: usize },
    /// A fetch ends without the blob.
    NoBlob { node: usize, life: u64, job: u64 },
    /// A question reaches a node.
    Question { node: usize, from: usize, life: u64, question: SyncRequest },
    /// A connection comes up or goes down, as `node` sees it.
    Peer { node: usize, life: u64, other: usize, up: bool },
    /// A node starts.
    Start { node: usize },
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: u64,
    count: u64,
    events: BTreeMap<(u64, u64), Event>,
}

impl Clock {
    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at.max(self.now), self.count), event);
    }

    /// The next event not after `limit`; the time goes on to it.
    pub(super) fn next(&mut self, limit: u64) -> Option<Event> {
        let (&key, _) = self.events.first_key_value()?;
        if key.0 > limit {
            self.now = limit;
            return None;
        }
        self.now = key.0;
        self.events.remove(&key)
    }
}
