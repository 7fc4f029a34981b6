//! Proof checking: from the root hash down to every group.

use std::ops::Range;

use bao_tree::iter::BaoChunk;
use blake3::{
    CHUNK_LEN, Hash, Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use chorale_protocol::base::BlobHash;

use super::plan::{PAIR, encoded};

/// The hashes that the next parts must have, deepest last.
#[derive(Debug)]
pub(super) struct Verifier {
    expected: Vec<Hash>,
}

/// A part that is not what the tree says; `offset` is that of its group, or of the last group before a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong;

impl Verifier {
    pub(super) fn new(root: &BlobHash) -> Self {
        Self { expected: vec![Hash::from_bytes(root.0)] }
    }

    /// Checks one part. For a group, its bytes are then known to be the blob's.
    pub(super) fn check(&mut self, part: &BaoChunk, bytes: &[u8]) -> Result<(), Wrong> {
        let expected = self.expected.pop().ok_or(Wrong)?;
        match *part {
            BaoChunk::Parent { is_root, left, right, .. } => {
                let (l, r) = pair(bytes).ok_or(Wrong)?;
                if parent(&l, &r, is_root) != expected {
                    return Err(Wrong);
                }
                self.expected.extend(right.then_some(r));
                self.expected.extend(left.then_some(l));
            }
            BaoChunk::Leaf { start_chunk, is_root, .. } => {
                if leaf(start_chunk.0, bytes, is_root) != expected {
                    return Err(Wrong);
                }
            }
        }
        Ok(())
    }

    /// Checks the parts that are whole within `bytes`, in order, and moves their groups together to its front.
    /// Returns how many bytes of blob stand there now, and whether all were right.
    pub(super) fn extract(&mut self, parts: &[BaoChunk], bytes: &mut [u8]) -> (usize, Result<(), Wrong>) {
        let (mut at, mut out) = (0, 0);
        for part in parts {
            let range: Range<usize> = at..at + encoded(part);
            let Some(slice) = bytes.get(range.clone()) else { break };
            if let Err(wrong) = self.check(part, slice) {
                return (out, Err(wrong));
            }
            at = range.end;
            if let BaoChunk::Leaf { size, .. } = part {
                bytes.copy_within(range, out);
                out += size;
            }
        }
        (out, Ok(()))
    }
}

fn pair(bytes: &[u8]) -> Option<(Hash, Hash)> {
    let (l, r) = bytes.split_at_checked(PAIR / 2)?;
    Some((Hash::from_bytes(l.try_into().ok()?), Hash::from_bytes(r.try_into().ok()?)))
}

fn parent(l: &Hash, r: &Hash, is_root: bool) -> Hash {
    if is_root {
        merge_subtrees_root(l.as_bytes(), r.as_bytes(), Mode::Hash)
    } else {
        Hash::from_bytes(merge_subtrees_non_root(l.as_bytes(), r.as_bytes(), Mode::Hash))
    }
}

fn leaf(start_chunk: u64, bytes: &[u8], is_root: bool) -> Hash {
    if is_root {
        return blake3::hash(bytes);
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(start_chunk.saturating_mul(CHUNK_LEN as u64)).update(bytes);
    Hash::from_bytes(hasher.finalize_non_root())
}
