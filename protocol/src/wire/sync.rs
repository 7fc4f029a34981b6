//! Feed anti-entropy: "I have these heads and this manifest version, send me what I lack".
//!
//! The answer is a stream of frames: u32-LE length, then one tag byte (0 manifest, 1 record), then the bytes; length 0 ends
//! it. Manifests first, ascending; then records, each feed ascending. At most [`SyncRequest::ANSWER_BYTES`] in one answer.

use crate::{
    base::{Incarnation, MemberId, NetworkId, Seq},
    code::cbor::CborError,
};

/// How far a feed is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Have {
    /// Whose.
    pub member: MemberId,
    /// Which of its feeds.
    pub incarnation: Incarnation,
    /// The first place that is missing.
    pub next: Seq,
}

/// The question: CBOR map 0 v (1) · 1 net · 2 manifest version held · 3 haves, strictly ascending. A feed that is not named
/// is missing whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// The network.
    pub network: NetworkId,
    /// The newest manifest version held.
    pub manifest_version: u64,
    /// Feeds held, strictly ascending.
    pub have: Vec<Have>,
}

impl SyncRequest {
    /// Bytes of one answer; who lacks more asks again.
    pub const ANSWER_BYTES: usize = 16 << 20;
    /// Bytes of a question.
    pub const BYTES: usize = 512 << 10;

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!("P1")
    }

    /// Decodes strictly.
    ///
    /// # Errors
    /// Not strict, out of order, or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, CborError> {
        let _ = bytes;
        todo!("P1")
    }
}
