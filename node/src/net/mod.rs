//! The network: one libp2p swarm in one task, behind a handle.
//!
//! Gossipsub carries records and presence (nothing is forwarded before its verdict), `/chorale/1/feed` answers what a peer
//! lacks, `/chorale/1/blob` streams blobs by BLAKE3 hash with verified ranges. The gate closes every connection whose peer
//! id the manifest does not name, before any protocol runs.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, NetworkId, TransportId},
    engine::{Ticket, Verdict},
    feed::Body,
    wire::SyncRequest,
};
use libp2p::{Multiaddr, identity::Keypair};
use tokio::sync::mpsc;

/// What the network needs to start.
pub struct Config {
    /// The transport key.
    pub identity: Keypair,
    /// Names topics.
    pub network: NetworkId,
    /// Where to listen, such as `/ip4/127.0.0.1/tcp/0`.
    pub listen: Vec<Multiaddr>,
    /// Any members' addresses, dialled until connected.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for members on the local network by mDNS.
    pub mdns: bool,
    /// Transport keys that the manifest names; see [`Net::allow`].
    pub allowed: Vec<TransportId>,
    /// How long a blob transfer may stand still before it is given up.
    pub stall: Duration,
}

/// Where blobs lie on disk: complete ones to serve, partial ones to fill. The driver implements it over its store.
pub trait BlobFiles: Send + Sync + 'static {
    /// The file of a complete blob, and its length.
    fn complete(&self, hash: &BlobHash) -> Option<(PathBuf, u64)>;
    /// Where a partial blob is gathered; may exist from before.
    fn partial(&self, hash: &BlobHash) -> PathBuf;
}

/// Answers feed questions from the store, in frames of [`SyncRequest`]'s kind.
pub trait FeedSource: Send + Sync + 'static {
    /// The whole answer, at most [`SyncRequest::ANSWER_BYTES`].
    fn answer(&self, request: SyncRequest) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<u8>>> + Send>>;
}

/// What the network tells.
#[derive(Debug)]
pub enum Event {
    /// A record came by gossip; [`Net::verdict`] must answer the ticket.
    Record {
        /** envelope */
        bytes: Bytes,
        /** forwarder */
        from: TransportId,
        /** to answer */
        ticket: Ticket,
    },
    /// A presence message came by gossip.
    Presence {
        /** envelope */
        bytes: Bytes,
        /** forwarder */
        from: TransportId,
        /** to answer */
        ticket: Ticket,
    },
    /// The first connection to a participant stands.
    PeerUp {
        /** which */
        peer: TransportId,
    },
    /// The last one is gone.
    PeerDown {
        /** which */
        peer: TransportId,
    },
    /// A listen address is known (or new).
    Listening {
        /** where */
        address: Multiaddr,
    },
}

/// One frame of a feed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A manifest version.
    Manifest(Bytes),
    /// A record.
    Record(Bytes),
}

/// Why a network call failed. N2 completes it.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The swarm task ended.
    #[error("the network task has stopped")]
    Stopped,
    /// The peer broke off, stood still or is not connected.
    #[error("peer {peer:?}: {why}")]
    Peer {
        /** which */
        peer: TransportId,
        /** what happened */
        why: String,
    },
    /// The peer sent bytes of another hash or length.
    #[error("peer {peer:?} sent bytes that are not blob {hash}")]
    WrongBytes {
        /** which */
        peer: TransportId,
        /** wanted */
        hash: BlobHash,
    },
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Net {
    _n2: (),
}

/// Bytes that passed, for status and benchmarks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /** blob bytes received */
    pub blob_in: u64,
    /** blob bytes sent */
    pub blob_out: u64,
    /** all bytes received */
    pub total_in: u64,
    /** all bytes sent */
    pub total_out: u64,
}

impl Net {
    /// Starts the swarm task.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub async fn start(
        config: Config,
        blobs: Arc<dyn BlobFiles>,
        feeds: Arc<dyn FeedSource>,
    ) -> Result<(Self, mpsc::Receiver<Event>), NetError> {
        let _ = (config, blobs, feeds);
        todo!("N2")
    }
    /// Publishes on the records topic.
    pub async fn announce(&self, record: Bytes) -> Result<(), NetError> {
        let _ = record;
        todo!("N2")
    }
    /// Publishes on the presence topic.
    pub async fn presence(&self, presence: Bytes) -> Result<(), NetError> {
        let _ = presence;
        todo!("N2")
    }
    /// Answers a gossip message.
    pub async fn verdict(&self, ticket: Ticket, verdict: Verdict) -> Result<(), NetError> {
        let _ = (ticket, verdict);
        todo!("N2")
    }
    /// Lowers a peer's application score.
    pub async fn penalise(&self, peer: TransportId) -> Result<(), NetError> {
        let _ = peer;
        todo!("N2")
    }
    /// Replaces the set of transport keys that may connect; closes others.
    pub async fn allow(&self, peers: Vec<TransportId>) -> Result<(), NetError> {
        let _ = peers;
        todo!("N2")
    }
    /// Closes and refuses a transport key, whatever is allowed.
    pub async fn ban(&self, peer: TransportId) -> Result<(), NetError> {
        let _ = peer;
        todo!("N2")
    }
    /// Dials a participant at binary multiaddrs, if not connected.
    pub async fn dial(&self, peer: TransportId, addresses: Vec<Vec<u8>>) -> Result<(), NetError> {
        let _ = (peer, addresses);
        todo!("N2")
    }
    /// Asks a peer what we lack; frames come through the channel, bounded. Ok: it answered to the end.
    pub async fn sync(
        &self,
        peer: TransportId,
        request: SyncRequest,
        frames: mpsc::Sender<Frame>,
    ) -> Result<(), NetError> {
        let _ = (peer, request, frames);
        todo!("N2")
    }
    /// Fetches a blob from one peer into its partial file, from where that stands; every 16 KiB is verified before it is
    /// written. Ok: the partial file is complete and verified.
    pub async fn fetch(&self, peer: TransportId, body: Body) -> Result<(), NetError> {
        let _ = (peer, body);
        todo!("N2")
    }
    /// Our listen addresses, for presence.
    pub async fn addresses(&self) -> Result<Vec<Multiaddr>, NetError> {
        todo!("N2")
    }
    /// Connected participants.
    pub async fn peers(&self) -> Result<Vec<TransportId>, NetError> {
        todo!("N2")
    }
    /// Bytes so far.
    pub fn traffic(&self) -> Traffic {
        todo!("N2")
    }
    /// Closes connections and ends the task, within 2 s.
    pub async fn shutdown(self) {
        todo!("N2")
    }
}
