//! The Ed25519 profile: which keys are admissible, and which signatures are valid.
//!
//! A key is admissible if its encoding is canonical, it is not of small order and it is torsion-free. A signature is
//! valid if `verify_strict` accepts it (S < L, R byte-exact, R not of small order). One domain per purpose.

use std::borrow::Cow;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a signature is for; its text, with its last character, precedes the signed payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A record's payload.
    Record,
    /// A manifest's payload: one vote.
    Manifest,
    /// A presence payload.
    Presence,
    /// An auditor's report: a DSSE envelope's pre-authentication encoding, after its first word.
    Dsse,
    /// A checkpoint of a log in the network whose id begins with these bytes: the note's text after its origin's first two
    /// words.
    Checkpoint([u8; 8]),
    /// A cosignature of a checkpoint: its time line and the note's text.
    Cosignature,
}

impl Domain {
    /// ASCII, ending in NUL or, where a foreign format sets the beginning, as that does; none is the beginning of another.
    #[must_use]
    pub fn bytes(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(match self {
            Self::Record => b"chorale/record/v1\0",
            Self::Manifest => b"chorale/manifest/v1\0",
            Self::Presence => b"chorale/presence/v1\0",
            Self::Dsse => b"DSSEv1 ",
            // No hexadecimal digits spell the second word of another domain.
            Self::Checkpoint(network) => return format!("chorale/{}/", hex::encode(network)).into_bytes().into(),
            Self::Cosignature => b"cosignature/v1\n",
        })
    }

    fn message(self, payload: &[u8]) -> Vec<u8> {
        [&self.bytes(), payload].concat()
    }
}

/// Why a key or a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not the canonical encoding of a point.
    #[error("the public key is not the canonical encoding of a curve point")]
    KeyEncoding,
    /// Small order, or with a torsion component.
    #[error("the public key is of small order or not torsion-free")]
    KeyOrder,
    /// `verify_strict` says no.
    #[error("the signature does not verify under this key and domain")]
    Signature,
}

impl SignError {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyEncoding => "SIG-001",
            Self::KeyOrder => "SIG-002",
            Self::Signature => "SIG-003",
        }
    }
}

/// A signature, as 64 bytes; nothing is known of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.0[..4]))
    }
}

/// An admissible public key: the check was done when it was made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Admits a key.
    ///
    /// # Errors
    /// [`SignError::KeyEncoding`] or [`SignError::KeyOrder`].
    pub fn admit(bytes: &[u8; 32]) -> Result<Self, SignError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| SignError::KeyEncoding)?;
        let point = key.to_edwards();
        if point.compress().as_bytes() != bytes {
            return Err(SignError::KeyEncoding);
        }
        if point.is_small_order() || !point.is_torsion_free() {
            return Err(SignError::KeyOrder);
        }
        Ok(Self(key))
    }

    /// The canonical encoding.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Checks `signature` over `domain` and `payload`.
    ///
    /// # Errors
    /// [`SignError::Signature`].
    pub fn verify(&self, domain: Domain, payload: &[u8], signature: &Signature) -> Result<(), SignError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&domain.message(payload), &signature).map_err(|_| SignError::Signature)
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_bytes().cmp(&other.to_bytes())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({}..)", hex::encode(&self.to_bytes()[..4]))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = crate::base::MemberId::deserialize(deserializer)?.0;
        Self::admit(&bytes).map_err(de::Error::custom)
    }
}

/// An author's secret key. It has no `Display` and no `Serialize`; dropping it wipes it.
#[derive(Clone)]
pub struct AuthorKey(SigningKey);

impl AuthorKey {
    /// The key of a 32-byte seed, which the caller draws at random and keeps.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `domain` and `payload`; deterministic (RFC 8032).
    #[must_use]
    pub fn sign(&self, domain: Domain, payload: &[u8]) -> Signature {
        Signature(self.0.sign(&domain.message(payload)).to_bytes())
    }
}

impl std::fmt::Debug for AuthorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorKey(of {:?})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [Domain; 7] = [
        Domain::Record,
        Domain::Manifest,
        Domain::Presence,
        Domain::Dsse,
        Domain::Checkpoint([0; 8]),
        Domain::Checkpoint([0xff; 8]),
        Domain::Cosignature,
    ];

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        // Section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key = AuthorKey::from_seed(&hex::decode(seed).unwrap().try_into().unwrap());
        assert_eq!(key.public().to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signature = Signature(key.0.sign(b"").to_bytes());
        assert!(hex::encode(signature.0).starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065"));
    }

    #[test]
    fn a_signature_is_good_for_one_domain() {
        let key = AuthorKey::from_seed(&[7; 32]);
        let signature = key.sign(Domain::Record, b"payload");
        assert_eq!(signature, key.sign(Domain::Record, b"payload"), "signing is deterministic");
        for domain in EVERY {
            let verdict = key.public().verify(domain, b"payload", &signature);
            assert_eq!(verdict.is_ok(), domain == Domain::Record, "{domain:?}");
        }
    }

    #[test]
    fn no_domain_is_the_beginning_of_anothers_message() {
        for (place, one) in EVERY.iter().enumerate() {
            for other in EVERY.iter().skip(place + 1) {
                let (one, other) = (one.bytes(), other.bytes());
                assert!(!one.starts_with(&other) && !other.starts_with(&one), "{one:?} {other:?}");
            }
        }
        // The second word of a checkpoint's domain is 16 digits; a look at each first character is enough for all networks.
        for digit in b"0123456789abcdef" {
            let begin = [b"chorale/".as_slice(), &[*digit]].concat();
            for domain in [Domain::Record, Domain::Manifest, Domain::Presence] {
                assert!(!domain.bytes().starts_with(&begin), "{domain:?}");
            }
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let seed = [0x5e; 32];
        let shown = format!("{:?}", AuthorKey::from_seed(&seed));
        assert!(!shown.contains("5e5e"), "{shown}");
    }
}
