//! "Here I am": a member's addresses and head, signed by its author key, gossiped for discovery.
//!
//! Envelope as a record's. Payload: a map with the keys 0 v (1) · 1 net · 2 member · 3 peer id · 4 addresses (binary
//! multiaddrs, bstr) · 5 head `[inc, seq, id]` (absent before the first record) · 6 manifest version · 7 counter.

use bytes::Bytes;

use crate::{
    base::{Incarnation, MemberId, NetworkId, RecordId, Seq, TransportId},
    code::AuthorKey,
    feed::Refusal,
    manifest::Chain,
};

/// A presence message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The network.
    pub network: NetworkId,
    /// Who.
    pub member: MemberId,
    /// Under which of its transport keys.
    pub peer: TransportId,
    /// Where it listens: binary multiaddrs, at most 16 of at most 256 bytes.
    pub addresses: Vec<Vec<u8>>,
    /// Its newest record.
    pub head: Option<(Incarnation, Seq, RecordId)>,
    /// The newest manifest version that it holds.
    pub manifest_version: u64,
    /// Greater than in any earlier presence of this member: milliseconds since 1970 at its start, plus one a message.
    pub counter: u64,
}

impl Presence {
    /// Decodes and verifies. A presence names a transport key that the manifest gives to its member.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(bytes: &[u8], chain: &Chain) -> Result<Self, Refusal> {
        let _ = (bytes, chain);
        todo!("P1")
    }

    /// The signed envelope.
    #[must_use]
    pub fn sign(&self, key: &AuthorKey) -> Bytes {
        let _ = key;
        todo!("P1")
    }
}
