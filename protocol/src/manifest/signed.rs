//! A manifest with its votes: the CBOR array `[payload: bstr, [[governor: bstr32, signature: bstr64], …]]`, votes
//! strictly ascending by governor.

use bytes::Bytes;

use super::{Manifest, ManifestError, rules::GOVERNORS, wire::Draft};
use crate::{
    base::{ManifestHash, limit},
    code::{
        AuthorKey, Context, Domain, PublicKey, Signature,
        cbor::{self, Bounds, CborError},
        derive,
        map::{Blob, Raw},
    },
};

/// The most votes: all governors of two versions.
const VOTES: usize = 2 * GOVERNORS;

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

/// Bytes that were split, and of which nothing but the form is known.
pub(super) struct Unverified {
    pub(super) payload: Bytes,
    pub(super) draft: Draft,
    votes: Vec<(Raw<32>, Raw<64>)>,
}

impl Unverified {
    pub(super) fn split(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (payload, votes): (Blob, Vec<(Raw<32>, Raw<64>)>) = cbor::decode(bytes, Bounds::MANIFEST)?;
        if votes.len() > VOTES {
            return Err(ManifestError::TooManyVotes { got: votes.len(), limit: VOTES });
        }
        if !votes.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(ManifestError::VoteOrder);
        }
        Ok(Self { draft: Draft::decode(&payload.0)?, payload: payload.0.into(), votes })
    }

    /// How many of these governors voted; each of their votes verifies. Their keys were admitted before, so this is cheap.
    pub(super) fn votes_of(&self, governors: &[PublicKey]) -> Result<usize, ManifestError> {
        let mut count = 0;
        for key in governors {
            let Ok(place) = self.votes.binary_search_by_key(&key.to_bytes(), |vote| vote.0.0) else { continue };
            key.verify(Domain::Manifest, &self.payload, &Signature(self.votes[place].1.0))
                .map_err(|why| ManifestError::Vote { governor: key.to_string(), why })?;
            count += 1;
        }
        Ok(count)
    }

    /// Admits every key, checks the manifest's own rules, then each vote's signature.
    pub(super) fn verify(self) -> Result<SignedManifest, ManifestError> {
        let manifest = self.draft.admit()?;
        manifest.check()?;
        let vote = |(key, signature): (Raw<32>, Raw<64>)| {
            let governor = || hex::encode(key.0);
            let key = PublicKey::admit(&key.0).map_err(|why| ManifestError::VoteKey { governor: governor(), why })?;
            let signature = Signature(signature.0);
            key.verify(Domain::Manifest, &self.payload, &signature)
                .map_err(|why| ManifestError::Vote { governor: governor(), why })?;
            Ok((key, signature))
        };
        let votes = self.votes.into_iter().map(vote).collect::<Result<_, ManifestError>>()?;
        Ok(SignedManifest { payload: self.payload, manifest, votes })
    }
}

impl SignedManifest {
    /// A manifest without votes.
    ///
    /// # Errors
    /// The manifest breaks a rule of its own (thresholds, order, bounds).
    pub fn new(manifest: Manifest) -> Result<Self, ManifestError> {
        manifest.check()?;
        let payload = manifest.payload();
        let room = limit::MANIFEST_BYTES - VOTES * 102;
        if payload.len() > room {
            return Err(CborError::TooLong { got: payload.len(), limit: room }.into());
        }
        cbor::strict(&payload, Bounds::MANIFEST)?;
        Ok(Self { payload: payload.into(), manifest, votes: Vec::new() })
    }

    /// Decodes, and checks each vote's signature.
    ///
    /// # Errors
    /// Not strict, or a vote that does not verify.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Unverified::split(bytes)?.verify()
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let votes: Vec<_> = self.votes.iter().map(|(key, signature)| (Raw(key.to_bytes()), Raw(signature.0))).collect();
        cbor::encode(&(Blob(self.payload.to_vec()), votes)).into()
    }

    /// Adds (or replaces) this governor's vote.
    pub fn vote(&mut self, key: &AuthorKey) {
        let (governor, signature) = (key.public(), key.sign(Domain::Manifest, &self.payload));
        match self.votes.binary_search_by_key(&governor, |vote| vote.0) {
            Ok(place) => self.votes[place].1 = signature,
            Err(place) => self.votes.insert(place, (governor, signature)),
        }
    }

    /// The hash that the next version names as its predecessor.
    #[must_use]
    pub fn hash(&self) -> ManifestHash {
        ManifestHash(derive(Context::ManifestHash, &[&self.payload]))
    }
}
