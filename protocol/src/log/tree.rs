//! The Merkle tree of RFC 6962 section 2.1, with every complete subtree's hash at hand.

use super::TreeHash;

/// A tree that only grows. It holds the hashes of its complete subtrees, some 64 bytes a leaf, so that a root or a proof of
/// any earlier size costs as many steps as the tree is high.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// `levels[k][i]` is the subtree over the leaves i·2^k up to (i+1)·2^k.
    levels: Vec<Vec<TreeHash>>,
}

/// A question about leaves that a tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A size beyond the tree's.
    #[error("the tree has {has} leaves, {size} were asked about")]
    Size {
        /** asked about */
        size: u64,
        /** leaves there are */
        has: u64,
    },
    /// A leaf beyond the size asked about, or a smaller tree that is larger.
    #[error("{inner} lies beyond the {size} leaves asked about")]
    Beyond {
        /** the leaf's index, or the smaller size */
        inner: u64,
        /** the larger size */
        size: u64,
    },
}

impl Tree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// The tree of these leaf hashes.
    #[must_use]
    pub fn from_leaves(leaves: impl IntoIterator<Item = TreeHash>) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }

    /// Adds a leaf by its hash ([`TreeHash::leaf`]) in the next place.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            let [.., left, right] = row.as_slice() else { return };
            if row.len() % 2 == 1 {
                return;
            }
            hash = TreeHash::node(left, right);
        }
    }

    /// Leaves.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The complete subtree number `index` of 2^`level` leaves, if it is there.
    #[must_use]
    pub fn node(&self, level: u32, index: u64) -> Option<TreeHash> {
        self.levels.get(level as usize)?.get(usize::try_from(index).ok()?).copied()
    }

    /// The root over the first `size` leaves.
    ///
    /// # Errors
    /// There are not as many.
    pub fn root(&self, size: u64) -> Result<TreeHash, TreeError> {
        self.has(size)?;
        Ok(self.over(0, size))
    }

    /// The path from leaf `index` to the root over the first `size` leaves, from below (RFC 9162 section 2.1.3.1).
    ///
    /// # Errors
    /// There are not as many, or the leaf is none of them.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<TreeHash>, TreeError> {
        self.has(size)?;
        if index >= size {
            return Err(TreeError::Beyond { inner: index, size });
        }
        let (mut start, mut count, mut path) = (0, size, Vec::new());
        while count > 1 {
            let left = half(count);
            if index - start < left {
                path.push(self.over(start + left, count - left));
                count = left;
            } else {
                path.push(self.over(start, left));
                (start, count) = (start + left, count - left);
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The proof that the tree of `new` leaves continues that of `old` (RFC 9162 section 2.1.4.1). It is empty if `old` is 0 or
    /// `new`.
    ///
    /// # Errors
    /// There are not as many, or `old` is greater than `new`.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<TreeHash>, TreeError> {
        self.has(new)?;
        if old > new {
            return Err(TreeError::Beyond { inner: old, size: new });
        }
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let (mut start, mut count, mut path) = (0, new, Vec::new());
        // Down to the subtree that ends where the old tree ended.
        while start + count != old {
            let left = half(count);
            if old - start <= left {
                path.push(self.over(start + left, count - left));
                count = left;
            } else {
                path.push(self.over(start, left));
                (start, count) = (start + left, count - left);
            }
        }
        // The whole old tree is known to who asks.
        if start > 0 {
            path.push(self.over(start, count));
        }
        path.reverse();
        Ok(path)
    }

    fn has(&self, size: u64) -> Result<(), TreeError> {
        let has = self.len();
        if size <= has { Ok(()) } else { Err(TreeError::Size { size, has }) }
    }

    /// The root over the `count` leaves from `start`, which a walk from the top of a tree within this one has come to.
    fn over(&self, mut start: u64, mut count: u64) -> TreeHash {
        let mut lefts = Vec::new();
        loop {
            if count == 0 {
                return TreeHash::empty();
            }
            let level = count.trailing_zeros();
            if count.is_power_of_two()
                && let Some(whole) = self.node(level, start >> level)
            {
                return lefts.iter().rev().fold(whole, |right, left| TreeHash::node(left, &right));
            }
            let left = half(count);
            let level = left.trailing_zeros();
            lefts.push(self.node(level, start >> level).unwrap_or_else(TreeHash::empty));
            (start, count) = (start + left, count - left);
        }
    }
}

/// The largest power of two below `count`, which is 2 or more.
const fn half(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}
