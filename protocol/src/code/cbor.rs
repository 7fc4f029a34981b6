//! Strict CBOR behind `serde_cbor`. Foreign bytes pass three gates: the strict walk, the typed decode, and the
//! comparison with their own re-encoding.
//!
//! Accepted is a part of RFC 8949's core deterministic encoding (section 4.2.1): unsigned integers below 2^53, byte
//! strings, texts of `A-Z a-z 0-9 . _ / -`, arrays, and maps whose keys are the integers 0 to 23, ascending. Nothing
//! else: no negative integer, tag, float or simple value, no indefinite length, no longer head than needed.

use serde::{Serialize, de::DeserializeOwned};

use super::walk::Reader;
use crate::base::{NetworkId, limit};

pub use super::walk::Rule;

/// How much a decoder accepts.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes in all.
    pub bytes: usize,
    /// Items in all: every scalar, string, array, map and map key counts one.
    pub items: usize,
    /// Nesting of arrays and maps.
    pub depth: usize,
}

impl Bounds {
    /// For the payload of a record.
    pub const RECORD: Self =
        Self { bytes: limit::RECORD_PAYLOAD_BYTES, items: limit::CBOR_ITEMS, depth: limit::CBOR_DEPTH };
    /// For a manifest, with its votes or without.
    pub const MANIFEST: Self =
        Self { bytes: limit::MANIFEST_BYTES, items: limit::MANIFEST_CBOR_ITEMS, depth: limit::CBOR_DEPTH };
}

/// Why bytes are not the one strict encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// More bytes than the bound.
    #[error("{got} bytes, at most {limit} are allowed")]
    TooLong {
        /** bytes that came */
        got: usize,
        /** the bound */
        limit: usize,
    },
    /// The strict walk stopped.
    #[error("byte {offset}: {rule}")]
    Strict {
        /** where */
        offset: usize,
        /** the rule that was broken */
        rule: Rule,
    },
    /// The typed decode refused.
    #[error("{0}")]
    Typed(String),
    /// It decoded, but not from its own encoding.
    #[error("not the canonical encoding of its value")]
    NotCanonical,
}

impl CborError {
    /// A stable code, such as `CBOR-004`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "CBOR-001",
            Self::Strict { rule, .. } => rule.code(),
            Self::Typed(_) => "CBOR-016",
            Self::NotCanonical => "CBOR-017",
        }
    }
}

/// The one encoding of `value`.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_about(value, 0)
}

/// The same, when about so many bytes are expected.
#[allow(clippy::expect_used, reason = "no type of this crate fails to serialize, and a Vec does not fail to grow")]
fn encode_about<T: Serialize>(value: &T, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    serde_cbor::to_writer(&mut bytes, value).expect("a value of this crate serializes");
    bytes
}

/// Decodes foreign bytes through the three gates.
///
/// # Errors
/// The first gate that refuses.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8], bounds: Bounds) -> Result<T, CborError> {
    strict(bytes, bounds)?;
    typed(bytes)
}

/// The first gate alone.
///
/// # Errors
/// Too long, or the first rule that is broken.
pub fn strict(bytes: &[u8], bounds: Bounds) -> Result<(), CborError> {
    if bytes.len() > bounds.bytes {
        return Err(CborError::TooLong { got: bytes.len(), limit: bounds.bytes });
    }
    super::walk::walk(bytes, bounds)
}

/// The second and third gate, for bytes that passed [`strict`].
///
/// # Errors
/// [`CborError::Typed`] or [`CborError::NotCanonical`].
pub(crate) fn typed<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, CborError> {
    let value: T = known(bytes)?;
    if encode_about(&value, bytes.len()) != bytes {
        return Err(CborError::NotCanonical);
    }
    Ok(value)
}

/// The typed decode alone, for bytes that passed all gates before.
///
/// # Errors
/// [`CborError::Typed`].
pub(crate) fn known<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
    // One fresh deserializer a value: a reused one of this crate miscounts its depth after errors.
    serde_cbor::from_slice(bytes).map_err(|error| CborError::Typed(error.to_string()))
}

/// The version under key 0 of a map that passed [`strict`], without a look at the rest: what a foreign version looks like
/// is not ours to say.
///
/// # Errors
/// Not a map, or one without an unsigned integer under key 0.
pub(crate) fn version(bytes: &[u8]) -> Result<u64, CborError> {
    Reader::new(bytes).version()
}

/// Network and kind under the keys 1 and 2 of a strict map whose version is known.
///
/// # Errors
/// Not 32 bytes and an unsigned integer.
pub(crate) fn network_and_kind(bytes: &[u8]) -> Result<(NetworkId, u64), CborError> {
    let mut reader = Reader::new(bytes);
    reader.version()?;
    let offset = reader.at();
    let length = reader.field(1, 2)?;
    let network = reader.take(length)?.try_into();
    let network = network.map_err(|_| CborError::Strict { offset, rule: Rule::Shape })?;
    Ok((NetworkId(network), reader.field(2, 0)?))
}
