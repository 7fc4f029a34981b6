//! What can happen to a member.

use bytes::Bytes;

use crate::{
    base::{BlobHash, MemberId, MergeHash, RecordId, Round, TransportId, UnixSeconds},
    feed::{Body, Privacy},
    manifest::Phase,
};

/// Names a gossip message that waits for its verdict. The hands give it a number; the engine gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// The envelope of a record came: by gossip (with a ticket) or in a sync answer.
    Record {
        /** whole bytes */
        bytes: Bytes,
        /** who handed it over */
        from: TransportId,
        /** gossip only */
        ticket: Option<Ticket>,
    },
    /// A presence message came by gossip.
    Presence {
        /** whole bytes */
        bytes: Bytes,
        /** who handed it over */
        from: TransportId,
        /** its ticket */
        ticket: Option<Ticket>,
    },
    /// A manifest version came, from a peer or from this node's operator.
    Manifest {
        /** whole bytes */
        bytes: Bytes,
        /** `None`: the operator */
        from: Option<TransportId>,
    },
    /// A sync that we asked for ended; its manifests and records were handed in before.
    Synced {
        /** whom we asked */
        peer: TransportId,
        /** whether it answered to the end */
        complete: bool,
    },
    /// A connection to a participant stands.
    PeerUp {
        /** which */
        peer: TransportId,
    },
    /// The last connection to it is gone.
    PeerDown {
        /** which */
        peer: TransportId,
    },
    /// A fetched payload is on disk, its hash, length and canonical form checked.
    PayloadArrived {
        /** which */
        hash: BlobHash,
    },
    /// A fetched blob that is no payload (an evidence bundle), its hash and length checked. The hands need not keep it:
    /// the engine says so with [`super::Output::StoreEvidence`].
    Blob {
        /** which */
        hash: BlobHash,
        /** whole bytes */
        bytes: Bytes,
    },
    /// A fetch ended without the blob.
    FetchFailed {
        /** which */
        hash: BlobHash,
        /** why */
        why: FetchError,
    },
    /// A record that the engine asked to persist is durable.
    Persisted {
        /** which */
        id: RecordId,
    },
    /// The round that the engine ordered is done: its payload is durable, its training state outlives the process.
    Trained(Box<Trained>),
    /// The round that the engine ordered failed; the engine orders another after a while.
    TrainFailed {
        /** what happened, for people */
        why: String,
    },
    /// The merges that the engine asked to recompute ([`super::Output::Recheck`]) were, or could not be.
    Rechecked(Recheck),
    /// Enough others cosigned a checkpoint of our log: our next records name its note.
    Seen {
        /** BLAKE3 of the whole note */
        note: BlobHash,
    },
    /// The operator wants a publication pinned.
    Release {
        /** 1 to 64 of `a-z 0-9 . _ -` */
        label: String,
        /** for the record */
        wall: UnixSeconds,
    },
    /// The operator wants the member to leave: a `close` record, then no more.
    Close {
        /** for the record */
        wall: UnixSeconds,
    },
    /// Time passed.
    Tick,
}

/// What came of another member's merges that were recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recheck {
    /// They are as their author says.
    Sound,
    /// One is not: a code of [`crate::merge::verify`].
    Wrong {
        /** whose record */
        record: RecordId,
        /** which */
        code: &'static str,
    },
    /// Something that it takes is not on disk any more.
    Unable,
}

/// Why a fetch ended without its blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// No holder answered, or all broke off.
    Unreachable,
    /// The blob has the hash that the author signed, but is no payload: the author's fault.
    Malformed {
        /** the payload error's code */
        code: &'static str,
    },
    /// A holder sent bytes of another hash: that holder's fault; others may be tried.
    WrongBytes {
        /** who */
        peer: TransportId,
    },
}

/// The end of a round.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The round of the merge, as [`crate::merge::perform`] computed it.
    pub round: Round,
    /// What trained.
    pub phase: Phase,
    /// Parents with weights, ascending by record id.
    pub used: Vec<(RecordId, u64)>,
    /// Members out of reach.
    pub out_of_reach: Vec<MemberId>,
    /// The merge.
    pub merge: MergeHash,
    /// The published payload.
    pub payload: Body,
    /// The momentum checkpoint, when the plan asked for one.
    pub state: Option<Body>,
    /// Local optimiser steps.
    pub steps: u64,
    /// Training examples seen (exact; the engine buckets it).
    pub examples: u64,
    /// Held-out loss of the merge, in millionths of a nat per token.
    pub loss_before_micro: Option<u64>,
    /// Held-out loss after training.
    pub loss_after_micro: Option<u64>,
    /// A differential-privacy claim.
    pub privacy: Option<Privacy>,
    /// Salted commitment to the data.
    pub dataset: Option<[u8; 32]>,
    /// Wall time at the end, for the record.
    pub wall: UnixSeconds,
}
