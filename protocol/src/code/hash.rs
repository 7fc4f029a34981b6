//! Hashing: one BLAKE3 `derive_key` context per purpose, plain BLAKE3 for blobs.

use crate::base::BlobHash;

/// What a derived hash is for. The contexts are hard-coded and globally unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// The payload of a record.
    RecordId,
    /// The payload of a genesis manifest.
    NetworkId,
    /// The payload of any manifest version.
    ManifestHash,
    /// A member's first author key.
    MemberId,
    /// A member's next author key.
    NextKey,
    /// Inputs and result of a merge.
    Merge,
    /// The seed of a member's draw of peers.
    Draw,
    /// The order of a member's spot checks.
    Check,
    /// The stream of the starting adapter's values.
    Start,
    /// The files of a base model.
    BaseModel,
}

impl Context {
    /// The BLAKE3 `derive_key` context.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::RecordId => "chorale v1 record id",
            Self::NetworkId => "chorale v1 network id",
            Self::ManifestHash => "chorale v1 manifest hash",
            Self::MemberId => "chorale v1 member id",
            Self::NextKey => "chorale v1 next key",
            Self::Merge => "chorale v1 merge",
            Self::Draw => "chorale v1 draw",
            Self::Check => "chorale v1 check",
            Self::Start => "chorale v1 start",
            Self::BaseModel => "chorale v1 base model",
        }
    }

    /// A hasher under this context, for input that comes in parts.
    #[must_use]
    pub fn hasher(self) -> blake3::Hasher {
        blake3::Hasher::new_derive_key(self.text())
    }
}

/// The 32-byte hash of `parts`, one after the other, under `context`.
#[must_use]
pub fn derive(context: Context, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = context.hasher();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Plain BLAKE3, as `b3sum` prints it.
#[must_use]
pub fn blob_hash(bytes: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(bytes).as_bytes())
}
