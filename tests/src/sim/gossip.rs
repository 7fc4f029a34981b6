//! Gossip: every message passes from mesh peer to mesh peer once it was accepted.

use std::collections::BTreeSet;

use bytes::Bytes;
use chorale_protocol::{
    base::BlobHash,
    code::blob_hash,
    engine::{Input, Ticket, Verdict},
};

use super::{clock::Event, rng::Rng, world::World};

/// Mesh peers of a node in a network larger than this.
const DEGREE: usize = 6;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Records,
    Presence,
}

/// Each node's mesh: everybody in a small network, else a ring and random chords.
pub(super) fn meshes(nodes: usize, rng: &mut Rng) -> Vec<BTreeSet<usize>> {
    let mut meshes = vec![BTreeSet::new(); nodes];
    for node in 0..nodes {
        let small = nodes <= DEGREE + 2;
        let others: Vec<usize> = if small {
            (0..nodes).collect()
        } else {
            let ring = [(node + 1) % nodes];
            let chords = (0..DEGREE / 2 - 1).map(|_| rng.between(0, nodes as u64 - 1) as usize);
            ring.into_iter().chain(chords).collect()
        };
        for other in others.into_iter().filter(|other| *other != node) {
            meshes[node].insert(other);
            meshes[other].insert(node);
        }
    }
    meshes
}

impl World {
    /// A node publishes a message of its own.
    pub(super) fn publish(&mut self, node: usize, topic: Topic, bytes: &Bytes) {
        self.nodes[node].heard.insert(blob_hash(bytes));
        self.forward(node, topic, bytes);
    }

    fn forward(&mut self, node: usize, topic: Topic, bytes: &Bytes) {
        for other in self.meshes[node].clone() {
            if self.nodes[other].deaf {
                continue;
            }
            let copies = 1 + u64::from(self.rng.chance(self.link.duplicate));
            for _ in 0..copies {
                if self.link.loses(&mut self.rng) {
                    continue;
                }
                let delay = self.link.delay(&mut self.rng);
                let event = Event::Gossip { node: other, from: node, topic, bytes: bytes.clone() };
                self.clock.after(delay, event);
            }
        }
    }

    /// A message reaches a node, once.
    pub(super) fn on_gossip(&mut self, node: usize, from: usize, topic: Topic, bytes: Bytes) {
        let id: BlobHash = blob_hash(&bytes);
        if !self.is_connected(node, from) || !self.nodes[node].heard.insert(id) {
            return;
        }
        let ticket = Ticket(self.nodes[node].next_ticket());
        self.nodes[node].tickets.insert(ticket, (topic, bytes.clone()));
        let (from, ticket) = (self.transport(from), Some(ticket));
        let input = match topic {
            Topic::Records => Input::Record { bytes, from, ticket },
            Topic::Presence => Input::Presence { bytes, from, ticket },
        };
        self.handle(node, input);
    }

    /// The engine's answer: what it accepts goes on.
    pub(super) fn on_verdict(&mut self, node: usize, ticket: Ticket, verdict: Verdict) {
        let Some((topic, bytes)) = self.nodes[node].tickets.remove(&ticket) else { return };
        if verdict == Verdict::Accept {
            self.forward(node, topic, &bytes);
        }
    }
}
