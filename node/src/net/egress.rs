//! Who is told what leaves, before it leaves.

use std::io;

use chorale_protocol::base::BlobHash;
use libp2p::PeerId;

/// Records, blobs and checkpoints on their way out. Presence messages hold no data and are not told.
#[derive(Debug, Clone, Copy)]
pub enum Leaving<'a> {
    /// A record by gossip, ours or passed on, to so many peers at most.
    Gossip {
        /** the signed record */
        record: &'a [u8],
        /** connected now */
        peers: usize,
    },
    /// Manifests and records to a peer that asked for what it lacks, in [`SyncRequest`](chorale_protocol::wire::SyncRequest)'s frames.
    Answer {
        /** who asked */
        to: PeerId,
        /** all of them */
        frames: &'a [u8],
    },
    /// A checkpoint or a cosignature to a peer that asked.
    Note {
        /** who asked */
        to: PeerId,
        /** all of it */
        note: &'a [u8],
    },
    /// A blob, or a part of it, to a peer that asked.
    Blob {
        /** who asked */
        to: PeerId,
        /** its hash */
        hash: BlobHash,
        /** of its bytes, so many */
        bytes: u64,
    },
}

/// Is told what leaves. Called from the network's tasks: must not wait for long.
pub trait Egress: Send + Sync + 'static {
    /// About to leave.
    ///
    /// # Errors
    /// It could not be noted: then it does not leave.
    fn leaves(&self, what: Leaving<'_>) -> io::Result<()>;
}
