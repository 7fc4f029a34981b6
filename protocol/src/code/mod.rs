//! Bytes: strict CBOR, hashing under a domain, the Ed25519 profile.

pub mod cbor;
mod envelope;
mod hash;
pub(crate) mod map;
mod sign;
pub(crate) mod tree;
mod walk;

pub(crate) use envelope::Envelope;
pub use hash::{Context, blob_hash, derive};
pub use sign::{AuthorKey, Domain, PublicKey, SignError, Signature};
