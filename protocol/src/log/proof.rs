//! Proofs about trees that the verifier does not hold: the exact steps of RFC 9162 sections 2.1.3.2 and 2.1.4.2.

use super::{ProofError, TreeHash};

/// Checks that the leaf of hash `leaf` is number `index` of the tree of `size` leaves and this root.
///
/// # Errors
/// The leaf lies outside, the proof has not exactly the hashes that it takes, or it leads to another root.
pub fn verify_inclusion(
    leaf: &TreeHash,
    index: u64,
    size: u64,
    root: &TreeHash,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return Err(ProofError::Length { got: proof.len() });
        }
        if place & 1 == 1 || place == last {
            hash = TreeHash::node(step, &hash);
            up_to_odd(&mut place, &mut last);
        } else {
            hash = TreeHash::node(&hash, step);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length { got: proof.len() });
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root { which: "the tree's" }) }
}

/// Checks that the tree of `new_size` leaves continues that of `old_size`. The proof is empty if the sizes are equal, or the
/// old tree is empty; any tree continues the empty one.
///
/// # Errors
/// The old tree is larger, the proof has not exactly the hashes that it takes, or it leads to another old or new root.
pub fn verify_consistency(
    old_size: u64,
    old_root: &TreeHash,
    new_size: u64,
    new_root: &TreeHash,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Order { old: old_size, new: new_size });
    }
    let wrong = ProofError::Length { got: proof.len() };
    if old_size == 0 || old_size == new_size {
        let known = if old_size == 0 { TreeHash::empty() } else { *new_root };
        return match (proof.is_empty(), known == *old_root) {
            (false, _) => Err(wrong),
            (true, false) => Err(ProofError::Root { which: "the old tree's" }),
            (true, true) => Ok(()),
        };
    }
    // Where the old tree is one complete subtree, its root is the first step, and is not sent.
    let first = old_size.is_power_of_two().then_some(old_root);
    let mut steps = first.into_iter().chain(proof);
    let Some(seed) = steps.next() else { return Err(wrong) };
    let (mut place, mut last) = (old_size - 1, new_size - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let (mut old, mut new) = (*seed, *seed);
    for step in steps {
        if last == 0 {
            return Err(wrong);
        }
        if place & 1 == 1 || place == last {
            old = TreeHash::node(step, &old);
            new = TreeHash::node(step, &new);
            up_to_odd(&mut place, &mut last);
        } else {
            new = TreeHash::node(&new, step);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    match (last == 0, old == *old_root, new == *new_root) {
        (false, ..) => Err(wrong),
        (true, false, _) => Err(ProofError::Root { which: "the old tree's" }),
        (true, true, false) => Err(ProofError::Root { which: "the new tree's" }),
        (true, true, true) => Ok(()),
    }
}

/// Past the levels at which the border of the tree has no sibling.
const fn up_to_odd(place: &mut u64, last: &mut u64) {
    while *place & 1 == 0 && *place != 0 {
        (*place, *last) = (*place >> 1, *last >> 1);
    }
}
