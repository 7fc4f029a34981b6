//! Bytes: strict CBOR, hashing under a domain, the Ed25519 profile.

pub mod cbor;
mod hash;
mod sign;

pub use hash::{Context, blob_hash, derive};
pub use sign::{AuthorKey, Domain, PublicKey, SignError, Signature};
