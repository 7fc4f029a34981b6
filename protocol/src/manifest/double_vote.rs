//! Proof that governors voted for two different payloads of one version.
//!
//! Bytes: a signed manifest, as everywhere, of a version that the chain holds with another payload. Its votes need not be
//! enough: each of them that a governor also gave to the version held is proof against that governor, and nobody else.

use bytes::Bytes;

use super::{Chain, ManifestError, SignedManifest};
use crate::{
    base::{ManifestHash, NetworkId},
    code::{Context, PublicKey, derive},
};

/// Two payloads of one version, and who voted for both.
#[derive(Debug, Clone)]
pub struct DoubleVote {
    /// Of which version.
    pub version: u64,
    /// The payload in the chain.
    pub held: ManifestHash,
    /// The other one.
    pub other: ManifestHash,
    /// Who voted for both, ascending; one or more.
    pub governors: Vec<PublicKey>,
    /// The other payload with its votes.
    pub bytes: Bytes,
}

/// Why a manifest proves no double vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoubleVoteError {
    /// It is no manifest whose votes verify.
    #[error("{code}: {0}", code = .0.code())]
    Manifest(#[from] ManifestError),
    /// A genesis makes its own network: two of them are two networks.
    #[error("a genesis contradicts no other")]
    Genesis,
    /// Of another network.
    #[error("a manifest of network {got:?}, wanted {wanted}")]
    Network {
        /** its network */
        got: Option<NetworkId>,
        /** ours */
        wanted: NetworkId,
    },
    /// The chain does not hold this version.
    #[error("version {version} is not held, so there is nothing that it contradicts")]
    NotHeld {
        /** which */
        version: u64,
    },
    /// It is the version held.
    #[error("it is the version {version} that is held")]
    Same {
        /** which */
        version: u64,
    },
    /// Nobody voted for both.
    #[error("nobody voted both for it and for the version {version} that is held")]
    NoDoubleVote {
        /** which */
        version: u64,
    },
}

impl DoubleVoteError {
    /// A stable code: of whatever reason, the file proves no double vote.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "GOV-002"
    }
}

impl DoubleVote {
    /// Verifies a signed manifest as a proof against governors of the chain.
    ///
    /// # Errors
    /// It is malformed, has a vote that does not verify, or contradicts nothing that its voters voted for.
    pub fn check(bytes: &Bytes, chain: &Chain) -> Result<Self, DoubleVoteError> {
        let signed = SignedManifest::parse(bytes)?;
        let (version, wanted) = (signed.manifest.version, chain.network());
        if version == 0 {
            return Err(DoubleVoteError::Genesis);
        }
        if signed.manifest.network != Some(wanted) {
            return Err(DoubleVoteError::Network { got: signed.manifest.network, wanted });
        }
        let Some((_, held)) = chain.at(version) else { return Err(DoubleVoteError::NotHeld { version }) };
        let other = ManifestHash(derive(Context::ManifestHash, &[&signed.payload]));
        if other == held {
            return Err(DoubleVoteError::Same { version });
        }
        let votes = chain.signed_at(version).map(|bytes| SignedManifest::parse(bytes)).transpose()?;
        let voted = |key: &PublicKey| {
            votes.as_ref().is_some_and(|held| held.votes.binary_search_by_key(key, |vote| vote.0).is_ok())
        };
        let governors: Vec<PublicKey> = signed.votes.iter().map(|vote| vote.0).filter(voted).collect();
        if governors.is_empty() {
            return Err(DoubleVoteError::NoDoubleVote { version });
        }
        Ok(Self { version, held, other, governors, bytes: bytes.clone() })
    }

    /// Whether the newest version still lets one of them govern.
    #[must_use]
    pub fn governs(&self, chain: &Chain) -> bool {
        self.governors.iter().any(|key| chain.current().governors.contains(key))
    }
}
