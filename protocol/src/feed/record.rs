//! A record: the signed header that travels for everything a member does.
//!
//! Envelope: CBOR `[payload: bstr, signature: bstr64]`. Payload: a map with the keys 0 v (1) · 1 net · 2 kind · 3 member ·
//! 4 key · 5 inc · 6 seq · 7 prev · 8 manifest version · 9 manifest hash · 10 clock · 11 claimed_time_s · 12 body hash ·
//! 13 body length · 14 codec (only with kind update) · 15 parents · 16 spec.

use bytes::Bytes;

use super::{Body, Refusal, Spec};
use crate::{
    base::{Incarnation, Lamport, ManifestHash, MemberId, NetworkId, RecordId, Seq, UnixSeconds},
    code::{AuthorKey, PublicKey},
    manifest::{Chain, Codec},
};

/// What a record's payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which network it belongs to.
    pub network: NetworkId,
    /// Who wrote it.
    pub member: MemberId,
    /// The key that signs it.
    pub key: PublicKey,
    /// Which of the member's feeds.
    pub incarnation: Incarnation,
    /// The place in it.
    pub seq: Seq,
    /// The record before; for seq 0 of a later incarnation the last known head of the one before; else absent.
    pub prev: Option<RecordId>,
    /// The manifest version the author acted under.
    pub manifest_version: u64,
    /// That version's hash.
    pub manifest_hash: ManifestHash,
    /// Greater than the clock of `prev` and of every parent.
    pub clock: Lamport,
    /// Claimed, rounded down to 60 s, never trusted.
    pub claimed_time: UnixSeconds,
    /// The blob it describes.
    pub body: Option<Body>,
    /// How the body is written, for updates.
    pub codec: Option<Codec>,
    /// The records it builds on, strictly ascending.
    pub parents: Vec<RecordId>,
    /// What it says.
    pub spec: Spec,
}

/// A record whose form, membership and signature were checked against the manifest chain. Only [`check`], [`check_stored`]
/// and [`sign`] make one. Its place in the feed is not yet known to be right: that is [`Feed`](super::Feed)'s to say.
#[derive(Debug, Clone)]
pub struct Checked {
    record: Record,
    id: RecordId,
    bytes: Bytes,
}

impl Checked {
    /// What it says.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The envelope as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Checks a foreign envelope, cheapest check first: strict form, network, version, membership, key, cut, signature.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(bytes: Bytes, chain: &Chain) -> Result<Checked, Refusal> {
    let _ = (bytes, chain);
    todo!("P1")
}

/// As [`check`] but for the signature: for records from the node's own store, which it had checked before.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_stored(bytes: Bytes, chain: &Chain) -> Result<Checked, Refusal> {
    let _ = (bytes, chain);
    todo!("P1")
}

/// Signs a record.
///
/// # Errors
/// The record breaks a rule of form (size, order, ranges).
pub fn sign(record: Record, key: &AuthorKey) -> Result<Checked, Refusal> {
    let _ = (record, key);
    todo!("P1: {}", "")
}
