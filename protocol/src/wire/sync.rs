//! Feed anti-entropy: "I have these heads and this manifest version, send me what I lack".
//!
//! The answer is a stream of frames: u32-LE length, then one tag byte (0 manifest, 1 record), then the bytes; length 0 ends
//! it. Manifests first, ascending; then records, each feed ascending. At most [`SyncRequest::ANSWER_BYTES`] in one answer.
//!
//! A feed's next place says nothing about another branch of the feed. Records that others build on are wanted by id: the answer
//! holds each with what shares its place and with its feed's records in the [`SyncRequest::WITH_WANTED`] places before.

use crate::{
    base::{Incarnation, MemberId, NetworkId, RecordId, Seq, limit},
    code::{
        cbor::{self, Bounds, CborError},
        map::map,
    },
};

/// The version of the encoding.
const VERSION: u64 = 1;

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

struct Question {
    v: u64,
    network: NetworkId,
    manifest_version: u64,
    have: Vec<Have>,
    wants: Option<Vec<RecordId>>,
}

map! { Have { [0 member] [1 incarnation] [2 next] } }
map! { Question { [0 v] [1 network] [2 manifest_version] [3 have] [4 wants ?] } }

/// The question: CBOR map 0 v (1) · 1 net · 2 manifest version held · 3 haves, strictly ascending · 4 records wanted, strictly
/// ascending, absent if none. A feed that is not named is missing whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// The network.
    pub network: NetworkId,
    /// The newest manifest version held.
    pub manifest_version: u64,
    /// Feeds held, strictly ascending.
    pub have: Vec<Have>,
    /// Records that others build on and that are not held, strictly ascending.
    pub wants: Vec<RecordId>,
}

/// Bytes of a feed in a question, at most: a map's head, three keys, an id of 32 bytes and two integers.
const HAVE_BYTES: usize = 1 + 3 + 34 + 2 * 9;
const _: () = assert!(SyncRequest::HAVES * HAVE_BYTES + SyncRequest::WANTS * 34 + 128 <= SyncRequest::BYTES);
const _: () = assert!(SyncRequest::HAVES * 7 + SyncRequest::WANTS + 16 <= SyncRequest::BOUNDS.items);
// Every member's newest feed fits.
const _: () = assert!(limit::MEMBERS <= SyncRequest::HAVES);

impl SyncRequest {
    /// Bytes of one answer; who lacks more asks again.
    pub const ANSWER_BYTES: usize = 16 << 20;
    /// Bytes of a question.
    pub const BYTES: usize = 512 << 10;

    /// Feeds that fit a question, however large their numbers.
    pub const HAVES: usize = 8_900;
    /// Records wanted in a question, at most.
    pub const WANTS: usize = 64;
    /// Places before a wanted record of which an answer holds what its feed has.
    pub const WITH_WANTED: u64 = 255;

    /// How much a decoder accepts: seven items a feed, and a few around them.
    const BOUNDS: Bounds = Bounds { bytes: Self::BYTES, items: 1 << 17, depth: limit::CBOR_DEPTH };

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let &Self { network, manifest_version, ref have, ref wants } = self;
        let wants = Some(wants.clone()).filter(|wants| !wants.is_empty());
        cbor::encode(&Question { v: VERSION, network, manifest_version, have: have.clone(), wants })
    }

    /// Decodes strictly.
    ///
    /// # Errors
    /// Not strict, out of order, of an unknown version, or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::strict(bytes, Self::BOUNDS)?;
        let version = cbor::version(bytes)?;
        if version != VERSION {
            return Err(CborError::Typed(format!("sync version {version}; this program knows 1")));
        }
        let Question { v: _, network, manifest_version, have, wants } = cbor::typed(bytes)?;
        if !have.is_sorted_by(|a, b| (a.member, a.incarnation) < (b.member, b.incarnation)) {
            return Err(CborError::Typed("feeds do not strictly ascend".into()));
        }
        if let Some(wants) = &wants
            && (wants.is_empty() || wants.len() > Self::WANTS || !wants.is_sorted_by(|a, b| a < b))
        {
            return Err(CborError::Typed("records wanted are 1 to 64 ids, strictly ascending".into()));
        }
        Ok(Self { network, manifest_version, have, wants: wants.unwrap_or_default() })
    }
}
