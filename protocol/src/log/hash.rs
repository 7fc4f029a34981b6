//! The hash of a tree's leaf or node.

use sha2::{Digest, Sha256};

/// SHA-256 of a leaf, a node or a tree, as RFC 6962 section 2.1 prefixes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// Of a leaf: SHA-256(0x00 ‖ `leaf`).
    #[must_use]
    pub fn leaf(leaf: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into())
    }

    /// Of two subtrees: SHA-256(0x01 ‖ `left` ‖ `right`).
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        Self(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// Of the tree without leaves: SHA-256 of nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl std::fmt::Display for TreeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TreeHash({}..)", hex::encode(&self.0[..4]))
    }
}
