//! The world: nodes, a network between them, time.

use std::collections::BTreeSet;

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, start_hash},
    base::{Millis, NetworkId, RecordId, TransportId},
    engine::{Config, Engine, Input},
    fixture,
    manifest::{AdapterSpec, Chain, Codec, Policy},
};

use super::{
    clock::{Clock, Event},
    disk::Disk,
    gossip,
    link::Link,
    node::Node,
    rng::Rng,
    training::Training,
};

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Nodes; the first `members` of them are in the genesis.
    pub nodes: usize,
    /// Members of the genesis.
    pub members: usize,
    /// The policy.
    pub policy: Policy,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The network.
    pub link: Link,
    /// What members train.
    pub training: Training,
    /// Milliseconds of a training step, the same for all unless changed.
    pub step_ms: u64,
}

impl Setup {
    /// `nodes` members that pull everybody, on a good network.
    #[must_use]
    pub fn new(nodes: usize, seed: u64) -> Self {
        let policy = Policy { draw: (nodes as u64 - 1).clamp(1, 63), ..policy() };
        let (link, training) = (Link::default(), Training::Pull(0.1));
        Self { nodes, members: nodes, policy, seed, link, training, step_ms: 50 }
    }
}

/// The seed of a test: `CHORALE_SEED` or the given one.
#[must_use]
pub fn seed(usual: u64) -> u64 {
    std::env::var("CHORALE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// One projection, 128 values.
#[must_use]
pub fn adapter() -> AdapterSpec {
    let mut adapter = fixture::adapter();
    for tensor in &mut adapter.tensors {
        tensor.columns = 32;
    }
    let layout = Layout::new(&adapter).expect("a valid adapter");
    adapter.start = start_hash(&layout.start(adapter.seed));
    adapter
}

/// No momentum, bounds wide enough never to bind, 4 steps a round.
#[must_use]
pub fn policy() -> Policy {
    let base = fixture::policy();
    let steps = chorale_protocol::manifest::Steps { min: 1, max: 4 };
    Policy { adapter: adapter(), momentum: 0, norm_bound: 1 << 24, reach: 1 << 24, steps, ..base }
}

/// Nodes, network, time.
#[derive(Debug)]
pub struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) link: Link,
    pub(super) meshes: Vec<BTreeSet<usize>>,
    pub(super) layout: Layout,
    pub(super) codec: Codec,
    pub(super) training: Training,
    pub(super) seed: u64,
    pub(super) jobs: u64,
    pub(super) restart_ms: u64,
    genesis: Bytes,
    network: NetworkId,
    transports: Vec<TransportId>,
    groups: Vec<u32>,
}

impl World {
    /// A world in which nothing runs yet.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let policy = setup.policy.clone();
        let genesis = fixture::signed(fixture::genesis(setup.members as u64, policy.clone()), &[0]);
        let network = Chain::genesis(genesis.clone()).expect("a valid genesis").network();
        let mut rng = Rng::new(setup.seed, 0);
        let numbers = || 0..setup.nodes as u64;
        Self {
            nodes: numbers().map(|n| Node::new(fixture::member(n).id, fixture::author(n), setup.step_ms)).collect(),
            clock: Clock::default(),
            meshes: gossip::meshes(setup.nodes, &mut rng),
            rng,
            link: setup.link,
            layout: Layout::new(&policy.adapter).expect("a valid adapter"),
            codec: policy.codec,
            training: setup.training,
            seed: setup.seed,
            jobs: 0,
            restart_ms: 500,
            genesis,
            network,
            transports: numbers().map(fixture::transport).collect(),
            groups: vec![0; setup.nodes],
        }
    }

    /// A world whose members all start within half a second.
    #[must_use]
    pub fn running(setup: &Setup) -> Self {
        let mut world = Self::new(setup);
        for node in 0..setup.members {
            let after = world.rng.between(0, 500);
            world.clock.after(after, Event::Start { node });
        }
        world
    }

    /// What to say when a promise is broken.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("CHORALE_SEED={} at {} ms", self.seed, self.clock.now())
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Virtual milliseconds so far.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(super) const fn millis(&self) -> Millis {
        Millis(self.clock.now())
    }

    pub(super) const fn network(&self) -> NetworkId {
        self.network
    }

    /// The genesis chain.
    #[must_use]
    pub fn chain(&self) -> Chain {
        Chain::genesis(self.genesis.clone()).expect("a valid genesis")
    }

    /// The adapter's layout.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The values of one of a node's own publications, as f32.
    #[must_use]
    pub fn published(&self, node: usize, record: &RecordId) -> Option<Vec<f32>> {
        let one = &self.nodes[node];
        let body = one.disk.record(record, one.engine.as_ref()?.chain())?.record().body?;
        let payload = Payload::check(&self.layout, self.codec, one.disk.blobs.get(&body.hash)?.clone()).ok()?;
        Some(payload.to_f32(&self.layout))
    }

    /// The parents of a record that any node keeps.
    #[must_use]
    pub fn parents_of(&self, record: &RecordId) -> Option<Vec<RecordId>> {
        let found = self.nodes.iter().find_map(|node| node.disk.record(record, node.engine.as_ref()?.chain()));
        found.map(|checked| checked.record().parent_ids().collect())
    }

    /// A node passes a message on that is not its own.
    pub fn announce(&mut self, node: usize, bytes: &Bytes) {
        self.publish(node, gossip::Topic::Records, bytes);
    }

    /// Puts a manifest version on the disk of a node that does not run.
    pub fn give_manifest(&mut self, node: usize, bytes: Bytes) {
        self.nodes[node].disk.manifests.push(bytes);
    }

    /// A node's transport id.
    #[must_use]
    pub fn transport(&self, node: usize) -> TransportId {
        self.transports[node].clone()
    }

    pub(super) fn node_of(&self, peer: &TransportId) -> Option<usize> {
        self.transports.iter().position(|transport| transport == peer)
    }

    /// Whether bytes pass between two nodes now.
    pub(super) fn is_connected(&self, one: usize, other: usize) -> bool {
        self.groups[one] == self.groups[other] && self.nodes[one].engine.is_some() && self.nodes[other].engine.is_some()
    }

    /// Makes a node this slow.
    pub fn set_step_ms(&mut self, node: usize, step_ms: u64) {
        self.nodes[node].step_ms = step_ms;
    }

    /// Lets the time of a node's rounds vary by this share, either way; less than 1.
    pub fn set_jitter(&mut self, node: usize, jitter: f64) {
        self.nodes[node].jitter = jitter.clamp(0.0, 0.999);
    }

    /// Starts a node after so many milliseconds.
    pub fn start_after(&mut self, node: usize, ms: u64) {
        self.clock.after(ms, Event::Start { node });
    }

    /// Crashes a node instead of its `step`th step from its beginning, and starts it again half a second later.
    pub fn crash_at(&mut self, node: usize, step: u64) {
        self.nodes[node].crash_at = Some(step);
    }

    /// Crashes a node now.
    pub fn crash(&mut self, node: usize) {
        let one = &mut self.nodes[node];
        one.engine = None;
        one.life += 1;
        one.tickets.clear();
        one.fetches.clear();
        one.heard.clear();
        for other in std::mem::take(&mut one.connected) {
            let life = self.nodes[other].life;
            self.clock.after(20, Event::Peer { node: other, life, other: node, up: false });
        }
    }

    /// Replaces a crashed node's disk, by a backup for instance.
    pub fn set_disk(&mut self, node: usize, disk: Disk) {
        assert!(self.nodes[node].engine.is_none(), "a running node's disk is its own");
        self.nodes[node].disk = disk;
    }

    /// Stops a node as SIGSTOP does: its connections stay, it does nothing.
    pub fn freeze(&mut self, node: usize) {
        self.nodes[node].frozen = Some(std::collections::VecDeque::new());
    }

    /// From now on no gossip reaches a node; it speaks, asks and is answered as before.
    pub fn deafen(&mut self, node: usize) {
        self.nodes[node].deaf = true;
    }

    /// Splits the network: nodes of different groups do not reach each other; each notices after the link's timeout.
    pub fn partition(&mut self, groups: &[u32]) {
        self.groups = groups.to_vec();
        for node in 0..self.nodes.len() {
            for other in 0..self.nodes.len() {
                if groups[node] != groups[other] {
                    let life = self.nodes[node].life;
                    self.clock.after(self.link.timeout_ms, Event::Peer { node, life, other, up: false });
                }
            }
        }
    }

    /// Makes it whole again.
    pub fn heal(&mut self) {
        self.groups = vec![0; self.nodes.len()];
        for node in 0..self.nodes.len() {
            self.connect(node);
        }
    }

    fn connect(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            if node != other && self.is_connected(node, other) {
                let delay = self.link.delay(&mut self.rng);
                for (node, other) in [(node, other), (other, node)] {
                    let life = self.nodes[node].life;
                    self.clock.after(delay, Event::Peer { node, life, other, up: true });
                }
            }
        }
    }

    /// The engine's settings of every node.
    fn config(&self, node: usize) -> Config {
        Config {
            me: self.nodes[node].id,
            key: self.nodes[node].key.clone(),
            spare: Vec::new(),
            start_wait_ms: 5_000,
            wait_share: 1 << 16,
            gather_max_ms: 10_000,
            gather_min_ms: 50,
            fetch_ms: 1_000,
            presence_ms: 5_000,
            fetches: 8,
        }
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].engine.is_some() {
            return;
        }
        let mut chain = self.chain();
        for bytes in &self.nodes[node].disk.manifests {
            chain.extend(bytes.clone()).expect("stored manifests were accepted before");
        }
        let stored = self.nodes[node].disk.stored();
        let engine = Engine::new(self.config(node), chain, stored, self.millis());
        let engine = engine.unwrap_or_else(|why| panic!("node {node} cannot start: {why} ({})", self.tag()));
        self.nodes[node].engine = Some(engine);
        self.drain(node);
        self.connect(node);
    }

    /// Gives a node an input from outside the simulated network.
    pub fn inject(&mut self, node: usize, input: Input) {
        self.handle(node, input);
    }

    /// Lets time pass until `done` or until `limit` in virtual milliseconds from now; whether `done` came.
    pub fn run_until(&mut self, limit: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.clock.now() + limit;
        while !done(self) {
            let Some(event) = self.clock.next(end) else { return done(self) };
            self.happen(event);
        }
        true
    }

    /// Lets so many virtual milliseconds pass.
    pub fn run_for(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    fn happen(&mut self, event: Event) {
        let (node, life) = match &event {
            Event::Input { node, life, .. }
            | Event::Wake { node, life, .. }
            | Event::Durable { node, life, .. }
            | Event::Round { node, life, .. }
            | Event::Blob { node, life, .. }
            | Event::NoBlob { node, life, .. }
            | Event::Peer { node, life, .. } => (*node, Some(*life)),
            Event::Gossip { node, .. } | Event::Question { node, .. } | Event::Start { node } => (*node, None),
        };
        if life.is_some_and(|life| life != self.nodes[node].life) {
            return;
        }
        if let Some(waiting) = &mut self.nodes[node].frozen {
            waiting.push_back(event);
            return;
        }
        match event {
            Event::Input { input, .. } => self.handle(node, *input),
            Event::Wake { wake, .. } if wake == self.nodes[node].wake => self.handle(node, Input::Tick),
            Event::Wake { .. } => {}
            Event::Gossip { from, topic, bytes, .. } => self.on_gossip(node, from, topic, bytes),
            Event::Durable { id, bytes, .. } => self.on_durable(node, id, &bytes),
            Event::Round { finished, .. } => self.on_round(node, *finished),
            Event::Blob { job, holder, .. } => self.on_blob(node, job, holder),
            Event::NoBlob { job, .. } => self.on_no_blob(node, job),
            Event::Question { from, life, question, .. } => self.on_question(node, from, life, &question),
            Event::Peer { other, up, .. } => self.on_peer(node, other, up),
            Event::Start { .. } => self.start(node),
        }
    }

    fn on_peer(&mut self, node: usize, other: usize, up: bool) {
        let peer = self.transport(other);
        let reachable = self.is_connected(node, other);
        if up && reachable && self.nodes[node].connected.insert(other) {
            self.handle(node, Input::PeerUp { peer });
        } else if !up && !reachable && self.nodes[node].connected.remove(&other) {
            self.handle(node, Input::PeerDown { peer });
        }
    }
}
