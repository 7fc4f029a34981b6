//! Before the engine: a node that the manifest does not name yet waits until a newer version does.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use chorale_protocol::{
    base::{MemberId, NetworkId, TransportId},
    code::AuthorKey,
    engine::Verdict,
    manifest::Chain,
    wire::SyncRequest,
};
use libp2p::Multiaddr;
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
    time,
};
use tokio_util::sync::CancellationToken;

use super::{Command, DriverError, Notice, home};
use crate::{
    net::{Event, Frame, Net},
    store::Store,
};

/// How often connected peers are asked for a newer manifest.
const ASK: Duration = Duration::from_secs(1);

/// What the wait came to.
pub(super) struct Joined {
    pub(super) chain: Chain,
    /// Who we are; `None`: stopped before we were admitted.
    pub(super) me: Option<MemberId>,
    /// Who is connected.
    pub(super) peers: BTreeSet<TransportId>,
    /// Where we listen, as far as is known.
    pub(super) listening: Vec<Multiaddr>,
}

/// What the wait needs.
pub(super) struct Door<'a> {
    pub(super) keys: &'a [AuthorKey],
    pub(super) store: &'a Store,
    pub(super) net: &'a Net,
    pub(super) notices: &'a broadcast::Sender<Notice>,
    pub(super) stop: &'a CancellationToken,
}

/// Waits until the manifest names us. `newer` brings versions from the operator.
#[allow(clippy::too_many_arguments, reason = "every one is a part of the node that it borrows for a while")]
pub(super) async fn wait(
    mut chain: Chain,
    door: Door<'_>,
    events: &mut mpsc::Receiver<Event>,
    newer: &mut mpsc::Receiver<Command>,
) -> Result<Joined, DriverError> {
    let Door { keys, store, net, notices, stop } = door;
    let (mut peers, mut listening) = (BTreeSet::new(), Vec::new());
    let mut tick = time::interval(ASK);
    let mut asks = JoinSet::new();
    loop {
        if let Some(me) = home::member(&chain, keys) {
            return Ok(Joined { chain, me: Some(me), peers, listening });
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(Joined { chain, me: None, peers, listening }),
            command = newer.recv() => match command {
                Some(Command::Manifest(bytes)) => extend(&mut chain, vec![bytes], store, net).await?,
                Some(Command::Close) | None => return Ok(Joined { chain, me: None, peers, listening }),
                Some(Command::Release(_)) => {}
            },
            event = events.recv() => match event.ok_or(DriverError::Ended("the network"))? {
                Event::PeerUp { peer } => drop(peers.insert(peer)),
                Event::PeerDown { peer } => drop(peers.remove(&peer)),
                Event::Record { ticket, .. } | Event::Presence { ticket, .. } => net.verdict(ticket, Verdict::Ignore).await?,
                Event::Listening { address } => {
                    tracing::info!(%address, "listening");
                    let _ = notices.send(Notice::Listening(address.clone()));
                    listening.push(address);
                }
            },
            Some(found) = asks.join_next() => extend(&mut chain, found.unwrap_or_default(), store, net).await?,
            _ = tick.tick(), if asks.is_empty() => for peer in &peers {
                asks.spawn(ask(net.clone(), peer.clone(), chain.network(), chain.current().version));
            },
        }
    }
}

/// The manifests that a peer has beyond ours; none if it does not answer.
async fn ask(net: Net, peer: TransportId, network: NetworkId, manifest_version: u64) -> Vec<Bytes> {
    let request = SyncRequest { network, manifest_version, have: Vec::new(), wants: Vec::new() };
    let (sender, mut frames) = mpsc::channel(1);
    let manifests = async {
        let mut found = Vec::new();
        // Manifests come first; the records after them are not for us yet.
        while let Some(Frame::Manifest(bytes)) = frames.recv().await {
            found.push(bytes);
        }
        found
    };
    let call = async {
        let _ = net.sync(peer, request, sender).await;
        std::future::pending().await
    };
    let both = async {
        tokio::select! {
            found = manifests => found,
            () = call => Vec::new(),
        }
    };
    time::timeout(Duration::from_secs(10), both).await.unwrap_or_default()
}

async fn extend(chain: &mut Chain, found: Vec<Bytes>, store: &Store, net: &Net) -> Result<(), DriverError> {
    for bytes in found {
        match chain.extend(bytes.clone()) {
            Ok(()) => {
                let (store, version) = (store.clone(), chain.current().version);
                let put = move || store.put_manifest(version, &bytes);
                tokio::task::spawn_blocking(put).await.map_err(|_| DriverError::Ended("the disk"))??;
                net.allow(home::transports(chain.current())).await?;
            }
            Err(error) => tracing::warn!(%error, "a manifest was refused"),
        }
    }
    Ok(())
}
