//! A manifest with its votes: the CBOR array `[payload: bstr, [[governor: bstr32, signature: bstr64], …]]`, votes
//! strictly ascending by governor.

use bytes::Bytes;

use super::{Manifest, ManifestError};
use crate::code::{AuthorKey, PublicKey, Signature};

/// A manifest payload and the votes for it, well-formed but not yet placed in a chain.
#[derive(Debug, Clone)]
pub struct SignedManifest {
    /// The encoding of the manifest, as it was signed.
    pub payload: Bytes,
    /// What the payload says.
    pub manifest: Manifest,
    /// Votes, strictly ascending by governor; each verifies.
    pub votes: Vec<(PublicKey, Signature)>,
}

impl SignedManifest {
    /// A manifest without votes.
    ///
    /// # Errors
    /// The manifest breaks a rule of its own (thresholds, order, bounds).
    pub fn new(manifest: Manifest) -> Result<Self, ManifestError> {
        let _ = manifest;
        todo!("P1")
    }

    /// Decodes, and checks each vote's signature.
    ///
    /// # Errors
    /// Not strict, or a vote that does not verify.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let _ = bytes;
        todo!("P1")
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        todo!("P1")
    }

    /// Adds (or replaces) this governor's vote.
    pub fn vote(&mut self, key: &AuthorKey) {
        let _ = key;
        todo!("P1")
    }
}
