//! How fast blobs travel between two nodes of this process over loopback: MB/s, and CPU seconds per GB of both together.
//!
//! `cargo run --release -p chorale --no-default-features --example bench_blob -- [MB per blob] [blobs]`

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chorale::net::{BlobFiles, Config, Event, FeedSource, Net, transport_id};
use chorale_protocol::{
    base::{BlobHash, NetworkId},
    code::blob_hash,
    feed::Body,
    wire::SyncRequest,
};
use libp2p::identity::Keypair;
use tokio::sync::mpsc;

struct Folder {
    path: PathBuf,
    complete: Mutex<BTreeMap<BlobHash, (PathBuf, u64)>>,
}

impl Folder {
    fn new(path: &Path) -> anyhow::Result<Arc<Self>> {
        std::fs::create_dir_all(path)?;
        Ok(Arc::new(Self { path: path.to_owned(), complete: Mutex::default() }))
    }
}

impl BlobFiles for Folder {
    fn complete(&self, hash: &BlobHash) -> Option<(PathBuf, u64)> {
        self.complete.lock().ok()?.get(hash).cloned()
    }

    fn partial(&self, hash: &BlobHash) -> PathBuf {
        self.path.join(hash.to_string())
    }
}

struct Nothing;

impl FeedSource for Nothing {
    fn answer(&self, _: SyncRequest) -> Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>> {
        Box::pin(async { Ok(vec![0; 4]) })
    }
}

async fn node(
    identity: &Keypair,
    other: &Keypair,
    listen: &str,
    to: Option<&Net>,
    folder: Arc<Folder>,
) -> anyhow::Result<(Net, mpsc::Receiver<Event>)> {
    let config = Config {
        identity: identity.clone(),
        network: NetworkId([1; 32]),
        listen: vec![listen.parse()?],
        bootstrap: match to {
            Some(net) => net.addresses().await?,
            None => Vec::new(),
        },
        mdns: false,
        allowed: vec![transport_id(&other.public().to_peer_id())],
        stall: Duration::from_secs(30),
        egress: None,
        witness: None,
        tap: None,
    };
    Ok(Net::start(config, folder, Arc::new(Nothing)).await?)
}

/// User and system seconds of this process so far.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().context("the form of /proc/self/stat")?;
    let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

async fn run(listen: &str, megabytes: usize, blobs: u8) -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let (a, b) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
    let (from, to) = (Folder::new(&root.path().join("from"))?, Folder::new(&root.path().join("to"))?);
    let mut bodies = Vec::new();
    for seed in 0..blobs {
        let mut data = vec![0; megabytes * 1_000_000];
        blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut data);
        let (hash, length) = (blob_hash(&data), data.len() as u64);
        let path = from.partial(&hash);
        std::fs::write(&path, &data)?;
        from.complete.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.insert(hash, (path, length));
        bodies.push(Body { hash, length });
    }
    let (holder, mut events) = node(&a, &b, listen, None, from).await?;
    let (asker, mut other) = node(&b, &a, listen, Some(&holder), to).await?;
    while !matches!(events.recv().await, Some(Event::PeerUp { .. })) {}
    while !matches!(other.recv().await, Some(Event::PeerUp { .. })) {}
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    tokio::spawn(async move { while other.recv().await.is_some() {} });
    let (cpu, start) = (cpu_seconds()?, Instant::now());
    let mut best = Duration::MAX;
    for body in &bodies {
        let one = Instant::now();
        asker.fetch(transport_id(&a.public().to_peer_id()), *body).await?;
        best = best.min(one.elapsed());
    }
    let (cpu, wall) = (cpu_seconds()? - cpu, start.elapsed().as_secs_f64());
    let total = (megabytes * usize::from(blobs)) as f64;
    println!(
        "{listen}: {blobs} × {megabytes} MB: {:.0} MB/s (best blob {:.0} MB/s), {:.2} CPU s per GB, both ends",
        total / wall,
        megabytes as f64 / best.as_secs_f64(),
        cpu / total * 1000.0,
    );
    asker.shutdown().await;
    holder.shutdown().await;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let megabytes = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let blobs = arguments.next().map_or(Ok(25), |text| text.parse())?;
    for listen in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        run(listen, megabytes, blobs).await?;
    }
    Ok(())
}
