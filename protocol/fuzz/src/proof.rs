//! A proof holds if it is the tree's own, and no other does.

use chorale_protocol::log::{Tree, TreeHash, verify_consistency, verify_inclusion};

use super::{choices::Choices, refused};

/// Leaves of the tree at most.
const LEAVES: u64 = 66;

/// Choices: which proof, a size, a place, changes to the tree's own hashes.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let (what, size, place) = (choices.byte(), u64::from(choices.byte()) % LEAVES, u64::from(choices.byte()) % LEAVES);
    let tree = Tree::from_leaves((0..LEAVES).map(|leaf| TreeHash::leaf(&leaf.to_le_bytes())));
    let root = |size| tree.root(size).expect("within the tree");
    let own =
        if what & 1 == 0 { tree.inclusion(place, size) } else { tree.consistency(place, size) }.unwrap_or_default();
    let flat: Vec<u8> = own.iter().flat_map(|hash| hash.0).collect();
    let flat = if choices.is_empty() { flat } else { choices.splice(&flat) };
    let proof: Vec<TreeHash> = flat.chunks_exact(32).map(|hash| TreeHash(hash.try_into().unwrap())).collect();
    let result = if what & 1 == 0 {
        verify_inclusion(&TreeHash::leaf(&place.to_le_bytes()), place, size, &root(size), &proof)
    } else {
        verify_consistency(place, &root(place), size, &root(size), &proof)
    };
    match result {
        Ok(()) => {
            assert_eq!(proof, own);
            true
        }
        Err(error) => {
            assert!(proof != own || (what & 1 == 0 && place >= size) || place > size, "{error}");
            refused(error.code(), &error.to_string())
        }
    }
}
