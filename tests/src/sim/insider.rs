//! A member of the manifest whose program is its own: it signs what it likes and hands it to everybody.

use bytes::Bytes;
use chorale_protocol::{
    adapter::encode_f32,
    base::Round,
    engine::Input,
    feed::{Body, Checked, Record, Spec},
    fixture::{self, Author},
    manifest::Chain,
};

use super::world::World;

/// Such a member. Its node does not run.
#[derive(Debug)]
pub struct Insider {
    node: usize,
    author: Author,
    chain: Chain,
    last: Option<Checked>,
}

impl Insider {
    /// The member of this node, under the genesis.
    #[must_use]
    pub fn new(world: &World, node: usize) -> Self {
        Self { node, author: Author::new(node as u64), chain: world.chain(), last: None }
    }

    /// The round of its last update, 0 before the first.
    #[must_use]
    pub fn round(&self) -> Round {
        match self.last.as_ref().map(|last| &last.record().spec) {
            Some(Spec::Update(update)) => update.round,
            _ => Round(0),
        }
    }

    /// The next update that goes on from its own last one alone, unsigned, and its payload.
    #[must_use]
    pub fn draft(&self, world: &World) -> (Record, Bytes) {
        let round = self.round().next();
        let policy = &self.chain.current().policy;
        let parents: Vec<&Checked> = self.last.iter().collect();
        let mut update = fixture::update(&self.chain, round.0, parents.len());
        update.steps = policy.steps.min;
        let value = |place: usize| (self.node + 1) as f32 / 64.0 + (place as u64 + round.0) as f32 / 65_536.0;
        let values: Vec<f32> = (0..world.layout().len()).map(value).collect();
        let payload = encode_f32(world.layout(), policy.codec, &values).expect("finite values");
        let mut record = self.author.draft(&self.chain, &parents, Spec::Update(update));
        record.body = Some(fixture::body(&payload));
        (record, payload)
    }

    /// Signs a record in the next place and hands it, and its payload, to everybody who runs.
    pub fn hand_out(&mut self, world: &mut World, record: Record, payload: &Bytes) -> Checked {
        let checked = self.author.write(record);
        if matches!(checked.record().spec, Spec::Update(_)) {
            self.last = Some(checked.clone());
        }
        world.hand_to_all(self.node, checked.bytes(), checked.record().body, payload);
        checked
    }

    /// Signs and hands out the next update that goes on from its own last one alone.
    pub fn publish(&mut self, world: &mut World) -> Checked {
        let (record, payload) = self.draft(world);
        self.hand_out(world, record, &payload)
    }

    /// Publishes until its last update is of this round.
    pub fn publish_up_to(&mut self, world: &mut World, round: Round) {
        while self.round() < round {
            self.publish(world);
        }
    }
}

impl World {
    /// Puts a record of a node that does not run before everybody who does, and its blob on their disks.
    fn hand_to_all(&mut self, from: usize, record: &Bytes, body: Option<Body>, blob: &Bytes) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].engine.is_some() {
                self.nodes[node].disk.blobs.extend(body.map(|body| (body.hash, blob.clone())));
                let from = self.transport(from);
                self.inject(node, Input::Record { bytes: record.clone(), from, ticket: None });
            }
        }
    }
}
