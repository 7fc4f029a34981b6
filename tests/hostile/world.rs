//! Honest nodes in this process, and peers that speak the network's protocols without an engine behind them.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use chorale::{
    driver::{self, Notice, Running, Setup, Timing},
    net::{self, Net},
    train::{FakeOptions, FakeTrainer, Trainer},
};
use chorale_protocol::{
    adapter::{Layout, start_hash},
    admit::drawable,
    base::{Incarnation, Lamport, MemberId, MergeHash, NetworkId, Round, Seq, TransportId, UnixSeconds},
    code::{AuthorKey, PublicKey, blob_hash},
    draw::{self, Seed},
    engine::Event,
    feed::{Body, Record, Skip, SkipReason, Spec, Update},
    fixture,
    manifest::{Chain, Manifest, Member, Phase, Policy, Role, SignedManifest, Steps},
};
use chorale_tests::shelf::{Folder, Silent};
use libp2p::{Multiaddr, identity::Keypair};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::cases::{Case, Way};

const PATIENCE: Duration = Duration::from_secs(60);

fn seed(what: &str, n: usize) -> [u8; 32] {
    *blake3::hash(format!("hostile {what} {n}").as_bytes()).as_bytes()
}

fn author(n: usize) -> AuthorKey {
    AuthorKey::from_seed(&seed("author", n))
}

fn identity(n: usize) -> Keypair {
    Keypair::ed25519_from_bytes(seed("transport", n)).expect("32 bytes are a seed")
}

fn peer(n: usize) -> TransportId {
    TransportId(identity(n).public().to_peer_id().to_bytes())
}

fn fake(n: usize) -> FakeTrainer {
    FakeTrainer::new(FakeOptions {
        seed: n as u64,
        values: 512,
        step: Duration::from_millis(10),
        ..FakeOptions::default()
    })
}

fn policy() -> Policy {
    let trainer = fake(0);
    let mut policy =
        Policy { base_model: trainer.base_model(), adapter: trainer.adapter().clone(), ..fixture::policy() };
    let layout = Layout::new(&policy.adapter).expect("the fake's adapter has a layout");
    policy.adapter.start = start_hash(&layout.start(policy.adapter.seed));
    policy.draw = 63;
    policy.steps = Steps { min: 1, max: 5 };
    (policy.norm_bound, policy.reach) = (1 << 30, 1 << 34);
    policy
}

fn genesis(members: usize) -> Bytes {
    let member = |n: usize| {
        let author_key = author(n).public();
        let label = format!("m{n}");
        Member {
            id: MemberId::of(&author_key),
            label,
            author_key,
            transport: vec![peer(n)],
            role: Role::Member,
            next: None,
            rank: None,
        }
    };
    let mut members: Vec<Member> = (0..members).map(member).collect();
    members.sort_by_key(|member| member.id);
    let manifest = Manifest {
        network: None,
        version: 0,
        prev: None,
        governors: vec![author(0).public()],
        threshold: 1,
        members,
        cuts: Vec::new(),
        policy: policy(),
        handovers: Vec::new(),
    };
    let mut signed = SignedManifest::new(manifest).expect("a valid manifest");
    signed.vote(&author(0));
    signed.to_bytes()
}

/// Honest nodes, the first of which the evil ones are connected to.
pub(crate) struct World {
    nodes: Vec<Running>,
    homes: Vec<TempDir>,
    genesis: Bytes,
    address: Multiaddr,
}

impl World {
    /// So many honest nodes, in a network that admits so many evil ones.
    pub(crate) async fn start(honest: usize, evil: usize) -> Self {
        let genesis = genesis(honest + evil);
        let mut world = Self { nodes: Vec::new(), homes: Vec::new(), genesis, address: Multiaddr::empty() };
        for n in 0..honest {
            let home = tempfile::tempdir().expect("a folder");
            let bootstrap = if n == 0 { Vec::new() } else { vec![world.address.clone()] };
            let setup = Setup {
                home: home.path().to_owned(),
                author: author(n),
                spare: Vec::new(),
                identity: identity(n),
                genesis: world.genesis.clone(),
                trainer: Box::new(fake(n)),
                listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
                bootstrap,
                mdns: false,
                timing: Timing { start_wait_ms: 500, gather_max_ms: 1_000, presence_ms: 2_000, ..Timing::default() },
                merge_threads: 1,
                stay: true,
            };
            let node = driver::start(setup).await.expect("an honest node starts");
            if n == 0 {
                world.address = listening(home.path().join("status.json")).await;
            }
            world.nodes.push(node);
            world.homes.push(home);
        }
        world
    }

    /// What the first honest node tells from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Notice> {
        self.nodes[0].events()
    }

    /// Waits until every honest node has published twice more.
    pub(crate) async fn goes_on(&mut self) {
        for node in &self.nodes {
            let mut notices = node.events();
            let more = async {
                let mut done = 0;
                while done < 2 {
                    match notices.recv().await {
                        Ok(Notice::Engine(Event::RoundDone(_))) => done += 1,
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(closed) => panic!("an honest node ended: {closed}"),
                    }
                }
            };
            tokio::time::timeout(PATIENCE, more).await.expect("honest nodes go on");
        }
    }

    pub(crate) async fn stop(self) {
        for node in self.nodes {
            node.stop().await.expect("an honest node stops in order");
        }
    }

    /// Evil peer number `n`, connected to the first honest node.
    pub(crate) async fn evil(&self, n: usize) -> Evil {
        let mut evil = Evil::new(self.nodes.len() + n, &self.genesis);
        let folder = tempfile::tempdir().expect("a folder");
        let config = net::Config {
            identity: identity(self.nodes.len() + n),
            network: evil.network,
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            bootstrap: vec![self.address.clone()],
            mdns: false,
            allowed: vec![peer(0)],
            stall: Duration::from_secs(5),
            egress: None,
            witness: None,
            tap: None,
        };
        let blobs = Arc::new(Folder(folder.path().to_owned()));
        let (net, mut events) = Net::start(config, blobs, Arc::new(Silent)).await.expect("it starts");
        let up = async {
            while let Some(event) = events.recv().await {
                if matches!(event, net::Event::PeerUp { .. }) {
                    return;
                }
            }
            panic!("the network ended");
        };
        tokio::time::timeout(PATIENCE, up).await.expect("it connects");
        evil.wires =
            Some(Wires { net, folder, _drain: tokio::spawn(async move { while events.recv().await.is_some() {} }) });
        evil
    }
}

/// The first address in a node's status.
async fn listening(status: PathBuf) -> Multiaddr {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let status: serde_json::Value =
            fs::read(&status).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        if let Some(address) = status["listening"][0].as_str() {
            return address.parse().expect("a multiaddress");
        }
        assert!(tokio::time::Instant::now() < deadline, "no address in the status: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A peer without an engine.
pub(crate) struct Evil {
    pub(crate) author: AuthorKey,
    /// A key of nobody.
    pub(crate) other: AuthorKey,
    pub(crate) member: MemberId,
    pub(crate) peer: TransportId,
    pub(crate) network: NetworkId,
    pub(crate) chain: Chain,
    wires: Option<Wires>,
}

struct Wires {
    net: Net,
    folder: TempDir,
    _drain: tokio::task::JoinHandle<()>,
}

impl Evil {
    fn new(n: usize, genesis: &Bytes) -> Self {
        let chain = Chain::genesis(genesis.clone()).expect("a valid genesis");
        let author = author(n);
        Self {
            member: MemberId::of(&author.public()),
            author,
            other: AuthorKey::from_seed(&seed("nobody", n)),
            peer: peer(n),
            network: chain.network(),
            chain,
            wires: None,
        }
    }

    /// One that can make cases but not send them.
    pub(crate) fn unconnected() -> Self {
        Self::new(2, &genesis(3))
    }

    pub(crate) fn other_key(&self) -> PublicKey {
        self.other.public()
    }

    /// The first update of its feed, without a fault.
    pub(crate) fn update(&self) -> Record {
        let policy = &self.chain.current().policy;
        let length = Layout::new(&policy.adapter).expect("a layout").payload_len(policy.codec);
        Record {
            network: self.network,
            member: self.member,
            key: self.author.public(),
            incarnation: Incarnation(0),
            seq: Seq(0),
            prev: None,
            manifest_version: 0,
            manifest_hash: self.chain.current_hash(),
            clock: Lamport(1),
            claimed_time: UnixSeconds(60),
            body: Some(Body { hash: blob_hash(&self.peer.0), length }),
            codec: Some(policy.codec),
            parents: Vec::new(),
            spec: Spec::Update(Update {
                round: Round(1),
                phase: Phase::Both,
                weights: Vec::new(),
                merge: MergeHash([1; 32]),
                skipped: self.nobody(),
                steps: 1,
                examples: 1,
                loss_before_micro: None,
                loss_after_micro: None,
                privacy: None,
                dataset: None,
                state: None,
                checked: Vec::new(),
            }),
            seen: None,
        }
    }

    /// Everybody whom its first draw names, as banned.
    fn nobody(&self) -> Vec<Skip> {
        let manifest = self.chain.current();
        let members = drawable(manifest);
        let order = draw::order(&self.network, &self.member, Incarnation(0), &Seed::default(), &members);
        let place = |member| manifest.place_of(member).expect("a member");
        let skip = |member| Skip { member: place(member), reason: SkipReason::Banned, record: None };
        order.iter().map(skip).collect()
    }

    pub(crate) async fn send(&self, case: &Case) {
        let wires = self.wires.as_ref().expect("connected");
        let sent = match &case.way {
            Way::Record(bytes) => wires.net.announce(bytes.clone()).await,
            Way::Presence(bytes) => wires.net.presence(bytes.clone()).await,
            Way::Blob(record, payload) => {
                fs::write(wires.folder.path().join(blob_hash(payload).to_string()), payload).expect("a file");
                wires.net.announce(record.clone()).await
            }
        };
        sent.unwrap_or_else(|error| panic!("case {}: {error}", case.name));
    }

    /// Sends bytes that are nothing at all, different ones for each `number`.
    pub(crate) async fn garbage(&self, number: usize) {
        let wires = self.wires.as_ref().expect("connected");
        // A peer that was thrown out cannot send; that is what the test waits for.
        let _ = wires.net.announce(Bytes::from(format!("garbage {number}"))).await;
    }

    pub(crate) async fn leave(self) {
        if let Some(wires) = self.wires {
            wires.net.shutdown().await;
        }
    }
}
