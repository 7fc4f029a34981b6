//! 32-byte values by name, so that a blob hash is never taken for a record id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits in lower case, got {got:?}")]
pub struct IdError {
    /// What came, cut to 80 characters.
    pub got: String,
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] { &self.0 }

            /// The first 8 hexadecimal digits, for logs.
            #[must_use]
            pub fn short(&self) -> String { hex::encode(&self.0[..4]) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 64];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; 32];
                let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if lower => Ok(Self(bytes)),
                    _ => Err(IdError { got: text.chars().take(80).collect() }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(Bytes32).map(Self)
            }
        }
    )+ };
}

id! {
    /// A network: the derived hash of its genesis manifest. The one thing a person pins out of band.
    NetworkId,
    /// A member, for life: the derived hash of its first author key.
    MemberId,
    /// A record: the derived hash of its payload, signature excluded.
    RecordId,
    /// A blob: plain BLAKE3 of its bytes, so that `b3sum` checks it.
    BlobHash,
    /// A manifest version: the derived hash of its payload.
    ManifestHash,
    /// The result of one merge: inputs and f32 view.
    MergeHash,
    /// A member's commitment to its next author key: the derived hash of that key.
    KeyHash,
}

/// A libp2p peer id, as its multihash bytes; at most 64 of them. This crate knows no libp2p.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportId(pub Vec<u8>);

impl fmt::Debug for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = &self.0[self.0.len().saturating_sub(4)..];
        write!(f, "TransportId(..{})", hex::encode(tail))
    }
}

impl Serialize for TransportId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for TransportId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = TransportId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("1 to 64 bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<TransportId, E> {
                if bytes.is_empty() || bytes.len() > 64 {
                    return Err(E::invalid_length(bytes.len(), &self));
                }
                Ok(TransportId(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

struct Bytes32;

impl de::Visitor<'_> for Bytes32 {
    type Value = [u8; 32];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("32 bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; 32], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown_and_in_no_other_way() {
        let id = RecordId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!((id.short(), format!("{id:?}")), ("abababab".into(), "RecordId(abababab)".into()));
        let shown = id.to_string();
        for wrong in [&shown[1..], &shown[..62], &shown.to_uppercase(), "", "0x", &format!("{shown}00"), "\u{fc}"] {
            let error = wrong.parse::<RecordId>().unwrap_err();
            assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
        }
        assert_eq!("x".repeat(1000).parse::<MemberId>().unwrap_err().got.len(), 80);
    }
}
