//! Why a network call failed, and who is to blame.

use std::{io, path::PathBuf};

use chorale_protocol::base::{BlobHash, TransportId};
use libp2p::Multiaddr;

/// Why a network call failed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The swarm task ended.
    #[error("the network task has stopped")]
    Stopped,
    /// An address is taken, not ours, or of a kind that is not spoken.
    #[error(
        "cannot listen on {address}: {why}; wanted a free address of this host, /ip4/…/tcp/… or /ip4/…/udp/…/quic-v1"
    )]
    Listen {
        /** which */
        address: Multiaddr,
        /** what the system said */
        why: String,
    },
    /// The transport key or mDNS cannot be used on this host.
    #[error("cannot set the network up: {0}")]
    Setup(String),
    /// Not a libp2p peer id.
    #[error("{peer:?} is no libp2p peer id")]
    PeerId {
        /** which */
        peer: TransportId,
    },
    /// Our own message is too long for gossip.
    #[error("a message of {got} bytes, at most {limit} travel on this topic")]
    TooLong {
        /** bytes */
        got: usize,
        /** the bound */
        limit: usize,
    },
    /// No connection stands.
    #[error("peer {peer:?} is not connected")]
    NotConnected {
        /** which */
        peer: TransportId,
    },
    /// The peer broke off or speaks otherwise.
    #[error("peer {peer:?}: {why}")]
    Peer {
        /** which */
        peer: TransportId,
        /** what happened */
        why: String,
    },
    /// The peer has no such blob.
    #[error("peer {peer:?} does not hold blob {hash}")]
    Absent {
        /** which */
        peer: TransportId,
        /** wanted */
        hash: BlobHash,
    },
    /// The peer serves as much as it can; others may hold the same.
    #[error("peer {peer:?} is busy; ask again or ask another")]
    Busy {
        /** which */
        peer: TransportId,
    },
    /// The peer stood still: less than 64 KiB in `seconds`.
    #[error("peer {peer:?} stood still for {seconds} s")]
    Stalled {
        /** which */
        peer: TransportId,
        /** how long */
        seconds: u64,
    },
    /// The peer sent bytes of another hash. Everything before `offset` is verified and kept.
    #[error("peer {peer:?} sent bytes that are not blob {hash}, first in the 16 KiB at {offset}")]
    WrongBytes {
        /** which */
        peer: TransportId,
        /** wanted */
        hash: BlobHash,
        /** where */
        offset: u64,
    },
    /// The peer holds a file of this name with another length than the record says: the record or the peer is wrong.
    #[error("peer {peer:?} says that blob {hash} has {got} bytes, its record says {wanted}")]
    OtherLength {
        /** which */
        peer: TransportId,
        /** wanted */
        hash: BlobHash,
        /** by the peer */
        got: u64,
        /** by the record */
        wanted: u64,
    },
    /// The peer's answer breaks the framing or its bounds.
    #[error("peer {peer:?} answered out of form: {why}")]
    Malformed {
        /** which */
        peer: TransportId,
        /** the rule */
        why: &'static str,
    },
    /// Whoever wanted the frames is gone.
    #[error("nobody takes the frames any more")]
    Abandoned,
    /// What leaves must be listed first.
    #[error("what leaves cannot be listed, so it stays: {0}")]
    Unlisted(io::Error),
    /// Our own disk.
    #[error("{path}: {source}")]
    Disk {
        /** which file */
        path: PathBuf,
        /** what the system said */
        source: io::Error,
    },
}
