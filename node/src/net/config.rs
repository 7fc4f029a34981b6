//! What the network needs from outside: keys, addresses, files and answers.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use chorale_protocol::{
    base::{BlobHash, NetworkId, TransportId},
    wire::SyncRequest,
};
use libp2p::{Multiaddr, identity::Keypair};

use super::{Egress, Tap, WitnessDesk};

/// What the network needs to start.
pub struct Config {
    /// The transport key.
    pub identity: Keypair,
    /// Names topics.
    pub network: NetworkId,
    /// Where to listen, such as `/ip4/127.0.0.1/tcp/0` or `/ip4/0.0.0.0/udp/4001/quic-v1`.
    pub listen: Vec<Multiaddr>,
    /// Any members' addresses, dialled until connected, for ever. `/dns4`, `/dns6` and `/dns` names go to the system's resolver.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for members on the local network by mDNS.
    pub mdns: bool,
    /// Transport keys that the manifest names; see [`Net::allow`](super::Net::allow).
    pub allowed: Vec<TransportId>,
    /// How long a transfer may stand still before it is given up: 64 KiB must pass in this time.
    pub stall: Duration,
    /// Is told of every record and blob before it leaves; what it cannot note does not leave.
    pub egress: Option<Arc<dyn Egress>>,
    /// Cosigns others' checkpoints; `None`: questions for it stay unanswered.
    pub witness: Option<Arc<dyn WitnessDesk>>,
    /// Sees every payload that leaves, before encryption; for tests of what leaves.
    pub tap: Option<Arc<dyn Tap>>,
}

/// Where blobs lie on disk: complete ones to serve, partial ones to fill. The driver implements it over its store.
pub trait BlobFiles: Send + Sync + 'static {
    /// The file of a complete blob, and its length in bytes. Called for every question: must be cheap.
    fn complete(&self, hash: &BlobHash) -> Option<(PathBuf, u64)>;
    /// Where a partial blob is gathered; may exist from before. Its folder exists.
    fn partial(&self, hash: &BlobHash) -> PathBuf;
}

/// Answers feed questions from the store, in frames of [`SyncRequest`]'s kind.
pub trait FeedSource: Send + Sync + 'static {
    /// The whole answer, its end frame included, at most [`SyncRequest::ANSWER_BYTES`].
    fn answer(&self, request: SyncRequest) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<u8>>> + Send>>;
}
