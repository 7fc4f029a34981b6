//! A node under test: the network with files in a temporary folder and a fixed feed.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chorale::net::{BlobFiles, Config, Event, FeedSource, Net, transport_id};
use chorale_protocol::{
    base::{BlobHash, NetworkId, TransportId},
    code::blob_hash,
    engine::Ticket,
    feed::Body,
    wire::SyncRequest,
};
use libp2p::{Multiaddr, PeerId, identity::Keypair};
use tokio::{sync::mpsc, time::timeout};

/// Only against hanging: a loaded machine may take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
pub(crate) const NETWORK: NetworkId = NetworkId([0xC4; 32]);
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Blobs in a folder.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    complete: Mutex<BTreeMap<BlobHash, (PathBuf, u64)>>,
    pub(crate) lookups: AtomicU64,
}

impl Files {
    pub(crate) fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        Arc::new(Self { folder, complete: Mutex::default(), lookups: AtomicU64::new(0) })
    }

    pub(crate) fn put(&self, data: &[u8]) -> Body {
        let hash = blob_hash(data);
        let path = self.folder.path().join(hash.to_string());
        std::fs::write(&path, data).unwrap();
        let length = data.len() as u64;
        self.complete.lock().unwrap().insert(hash, (path, length));
        Body { hash, length }
    }

    pub(crate) fn complete_path(&self, hash: &BlobHash) -> PathBuf {
        self.complete.lock().unwrap()[hash].0.clone()
    }

    pub(crate) fn gathered(&self, body: &Body) -> Vec<u8> {
        std::fs::read(self.partial(&body.hash)).unwrap_or_default()
    }
}

impl BlobFiles for Files {
    fn complete(&self, hash: &BlobHash) -> Option<(PathBuf, u64)> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.complete.lock().unwrap().get(hash).cloned()
    }

    fn partial(&self, hash: &BlobHash) -> PathBuf {
        self.folder.path().join(format!("{hash}.partial"))
    }
}

/// The same answer to every question.
pub(crate) struct Fixed(pub(crate) Vec<u8>);

impl FeedSource for Fixed {
    fn answer(&self, _: SyncRequest) -> Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>> {
        let answer = self.0.clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// What differs between nodes.
pub(crate) struct Options {
    pub(crate) identity: Keypair,
    pub(crate) allowed: Vec<PeerId>,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) listen: Multiaddr,
    pub(crate) stall: Duration,
    pub(crate) feed: Vec<u8>,
    pub(crate) egress: Option<Arc<dyn chorale::net::Egress>>,
    pub(crate) witness: Option<Arc<dyn chorale::net::WitnessDesk>>,
    pub(crate) tap: Option<Arc<dyn chorale::net::Tap>>,
}

impl Options {
    pub(crate) fn new(identity: &Keypair, allowed: &[&Keypair]) -> Self {
        Self {
            identity: identity.clone(),
            allowed: allowed.iter().map(|key| key.public().to_peer_id()).collect(),
            bootstrap: Vec::new(),
            listen: TCP.parse().unwrap(),
            stall: Duration::from_secs(30),
            feed: vec![0; 4],
            egress: None,
            witness: None,
            tap: None,
        }
    }

    pub(crate) fn listen(mut self, address: &str) -> Self {
        self.listen = address.parse().unwrap();
        self
    }

    pub(crate) fn to(mut self, other: &Node) -> Self {
        self.bootstrap.push(other.address.clone());
        self
    }

    pub(crate) async fn start(self) -> Node {
        self.try_start().await.unwrap()
    }

    pub(crate) async fn try_start(self) -> Result<Node, chorale::net::NetError> {
        let files = Files::new();
        let id = transport_id(&self.identity.public().to_peer_id());
        let config = Config {
            identity: self.identity,
            network: NETWORK,
            listen: vec![self.listen],
            bootstrap: self.bootstrap,
            mdns: false,
            allowed: self.allowed.iter().map(transport_id).collect(),
            stall: self.stall,
            egress: self.egress,
            witness: self.witness,
            tap: self.tap,
        };
        let (net, events) = Net::start(config, Arc::clone(&files) as _, Arc::new(Fixed(self.feed))).await?;
        let address = net.addresses().await?.remove(0);
        Ok(Node { net, events, id, files, address })
    }
}

pub(crate) struct Node {
    pub(crate) net: Net,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) id: TransportId,
    pub(crate) files: Arc<Files>,
    pub(crate) address: Multiaddr,
}

impl Node {
    /// The first event that `wanted` picks; others before it are dropped.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the network stopped");
                if let Some(found) = wanted(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("an event that was promised did not come")
    }

    pub(crate) async fn up(&mut self, other: &TransportId) {
        self.until(|event| matches!(event, Event::PeerUp { peer } if peer == *other).then_some(())).await;
    }

    pub(crate) async fn down(&mut self, other: &TransportId) {
        self.until(|event| matches!(event, Event::PeerDown { peer } if peer == *other).then_some(())).await;
    }

    /// The next record.
    pub(crate) async fn record(&mut self) -> (Bytes, Ticket) {
        self.until(|event| match event {
            Event::Record { bytes, ticket, .. } => Some((bytes, ticket)),
            _ => None,
        })
        .await
    }

    pub(crate) async fn fetch(&self, from: &Self, body: Body) -> Result<(), chorale::net::NetError> {
        timeout(PATIENCE, self.net.fetch(from.id.clone(), body)).await.expect("the fetch hangs")
    }
}

pub(crate) fn key() -> Keypair {
    Keypair::generate_ed25519()
}

/// Two nodes that know each other, connected.
pub(crate) async fn pair(listen: &str) -> (Node, Node) {
    let (a, b) = (key(), key());
    let mut first = Options::new(&a, &[&b]).listen(listen).start().await;
    let mut second = Options::new(&b, &[&a]).listen(listen).to(&first).start().await;
    first.up(&second.id).await;
    second.up(&first.id).await;
    (first, second)
}

/// Bytes that look like nothing; the same for the same arguments.
pub(crate) fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut bytes);
    bytes
}
