//! The chain of manifest versions from the genesis on.

use bytes::Bytes;

use super::{Manifest, Member};
use crate::{
    base::{ManifestHash, MemberId, NetworkId, TransportId},
    code::cbor::CborError,
};

/// Why a manifest was refused. P1 adds variants; each says what came and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not strict CBOR.
    #[error("manifest: {0}")]
    Cbor(#[from] CborError),
}

impl ManifestError {
    /// A stable code, such as `MAN-004`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        todo!("P1")
    }
}

/// A verified chain: genesis, then each version with the votes of both its governors and its predecessor's.
#[derive(Debug, Clone)]
pub struct Chain {
    _p1: (),
}

impl Chain {
    /// Verifies a genesis: every governor voted for it.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn genesis(bytes: Bytes) -> Result<Self, ManifestError> {
        let _ = bytes;
        todo!("P1")
    }

    /// Adds the next version.
    ///
    /// # Errors
    /// Why it is not the next version; the chain stays as it was.
    pub fn extend(&mut self, bytes: Bytes) -> Result<(), ManifestError> {
        let _ = bytes;
        todo!("P1")
    }

    /// The network's id.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        todo!("P1")
    }

    /// The newest version.
    #[must_use]
    pub fn current(&self) -> &Manifest {
        todo!("P1")
    }

    /// Hash of the newest version.
    #[must_use]
    pub fn current_hash(&self) -> ManifestHash {
        todo!("P1")
    }

    /// A version by number, with its hash.
    #[must_use]
    pub fn at(&self, version: u64) -> Option<(&Manifest, ManifestHash)> {
        let _ = version;
        todo!("P1")
    }

    /// Every version's signed bytes, genesis first.
    #[must_use]
    pub fn signed(&self) -> Vec<Bytes> {
        todo!("P1")
    }

    /// A participant of the newest version.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        let _ = id;
        todo!("P1")
    }

    /// The participant of the newest version that uses this transport key.
    #[must_use]
    pub fn by_transport(&self, peer: &TransportId) -> Option<&Member> {
        let _ = peer;
        todo!("P1")
    }
}
