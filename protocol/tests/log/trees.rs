//! Roots and proofs.

use chorale_protocol::log::{ProofError, Tree, TreeError, TreeHash, verify_consistency, verify_inclusion};

use crate::{leaf, tree};

/// RFC 6962 section 2.1, word for word.
fn root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            TreeHash::node(&root(left), &root(right))
        }
    }
}

/// The largest power of two below `n`.
fn split(n: usize) -> usize {
    (0..).map(|k| 1 << k).take_while(|&k| k < n).last().unwrap()
}

/// Section 2.1.1.
fn path(m: usize, leaves: &[TreeHash]) -> Vec<TreeHash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut below, sibling) = if m < k { (path(m, left), right) } else { (path(m - k, right), left) };
    below.push(root(sibling));
    below
}

/// Section 2.1.2.
fn subproof(m: usize, leaves: &[TreeHash], known: bool) -> Vec<TreeHash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut below, sibling) =
        if m <= k { (subproof(m, left, known), right) } else { (subproof(m - k, right, false), left) };
    below.push(root(sibling));
    below
}

const MOST: u64 = 64;

fn leaves() -> Vec<TreeHash> {
    (0..MOST).map(leaf).collect()
}

#[test]
fn roots_are_those_of_the_known_eight_leaves() {
    let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let tree = Tree::from_leaves(inputs.iter().map(|input| TreeHash::leaf(&hex::decode(input).unwrap())));
    for (size, root) in (1..).zip(roots) {
        assert_eq!(tree.root(size).unwrap().to_string(), root, "{size} leaves");
    }
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(tree.root(0).unwrap().to_string(), empty);
    assert_eq!((tree.len(), tree.is_empty(), Tree::new().is_empty()), (8, false, true));
}

#[test]
fn every_root_and_path_up_to_64_is_the_oracles_and_verifies() {
    let (leaves, tree) = (leaves(), tree(MOST));
    for size in 1..=MOST {
        let now = &leaves[..size as usize];
        let head = tree.root(size).unwrap();
        assert_eq!(head, root(now), "{size}");
        for index in 0..size {
            let proof = tree.inclusion(index, size).unwrap();
            assert_eq!(proof, path(index as usize, now), "{index} of {size}");
            assert_eq!(verify_inclusion(&leaf(index), index, size, &head, &proof), Ok(()), "{index} of {size}");
            refuses_other_paths(index, size, &head, &proof);
        }
    }
}

/// One hash short, one long, another leaf, another place, another root.
fn refuses_other_paths(index: u64, size: u64, head: &TreeHash, proof: &[TreeHash]) {
    let refused = |index, proof: &[TreeHash]| verify_inclusion(&leaf(index), index, size, head, proof).unwrap_err();
    let length = |proof: &[TreeHash]| ProofError::Length { got: proof.len() };
    if let Some((_, short)) = proof.split_last() {
        assert_eq!(refused(index, short), length(short), "{index} of {size}, one short");
    }
    let long = [proof, &[leaf(0)]].concat();
    assert_eq!(refused(index, &long), length(&long), "{index} of {size}, one long");
    let other = verify_inclusion(&leaf(size), index, size, head, proof);
    assert_eq!(other.unwrap_err().code(), "PRF-004", "another leaf");
    let other = verify_inclusion(&leaf(index), index, size, &leaf(0), proof);
    assert!(size == 1 || other.is_err(), "another root");
    for place in (0..size).filter(|&place| place != index) {
        assert!(verify_inclusion(&leaf(index), place, size, head, proof).is_err(), "{index} at {place} of {size}");
    }
    assert_eq!(refused(size, proof), ProofError::Index { index: size, size });
}

#[test]
fn every_consistency_up_to_64_is_the_oracles_and_verifies() {
    let (leaves, tree) = (leaves(), tree(MOST));
    for new in 1..=MOST {
        let now = tree.root(new).unwrap();
        for old in 1..=new {
            let (was, proof) = (tree.root(old).unwrap(), tree.consistency(old, new).unwrap());
            assert_eq!(proof, subproof(old as usize, &leaves[..new as usize], true), "{old} to {new}");
            assert_eq!(verify_consistency(old, &was, new, &now, &proof), Ok(()), "{old} to {new}");
            let long = [proof.as_slice(), &[leaf(0)]].concat();
            let refused = |proof: &[TreeHash]| verify_consistency(old, &was, new, &now, proof).unwrap_err().code();
            assert_eq!(refused(&long), "PRF-003", "{old} to {new}, one long");
            if let Some((_, short)) = proof.split_last() {
                assert_eq!(refused(short), "PRF-003", "{old} to {new}, one short");
            }
            let odd = TreeHash([7; 32]);
            assert_eq!(verify_consistency(old, &odd, new, &now, &proof).unwrap_err().code(), "PRF-004");
            assert_eq!(verify_consistency(old, &was, new, &odd, &proof).unwrap_err().code(), "PRF-004");
            if old < new {
                assert_eq!(verify_consistency(new, &now, old, &was, &proof).unwrap_err().code(), "PRF-002");
            }
        }
    }
}

#[test]
fn an_empty_tree_is_continued_by_any_and_by_an_empty_proof_alone() {
    let (empty, now) = (TreeHash::empty(), tree(5).root(5).unwrap());
    assert_eq!(tree(5).consistency(0, 5), Ok(Vec::new()));
    assert_eq!(verify_consistency(0, &empty, 5, &now, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &empty, 5, &now, &[leaf(0)]).unwrap_err().code(), "PRF-003");
    assert_eq!(verify_consistency(0, &now, 5, &now, &[]).unwrap_err().code(), "PRF-004");
    assert_eq!(verify_inclusion(&leaf(0), 0, 0, &empty, &[]), Err(ProofError::Index { index: 0, size: 0 }));
}

#[test]
fn equal_sizes_are_consistent_only_with_equal_roots() {
    let (one, other) = (tree(6).root(6).unwrap(), tree(7).root(7).unwrap());
    assert_eq!(verify_consistency(6, &one, 6, &one, &[]), Ok(()));
    assert_eq!(verify_consistency(6, &other, 6, &one, &[]).unwrap_err().code(), "PRF-004");
    assert_eq!(verify_consistency(6, &one, 6, &one, &[one]).unwrap_err().code(), "PRF-003");
    assert_eq!(verify_consistency(5, &one, 6, &one, &[]).unwrap_err().code(), "PRF-003", "an empty proof of growth");
}

#[test]
fn sizes_about_powers_of_two_agree_with_a_tree_that_was_never_larger() {
    let large = tree(1025);
    for size in (0..=10).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1]).filter(|&size| size > 0) {
        let (small, root) = (tree(size), large.root(size).unwrap());
        assert_eq!(small.root(size), Ok(root), "{size}");
        for index in [0, size / 2, size - 1] {
            let proof = large.inclusion(index, size).unwrap();
            assert_eq!(small.inclusion(index, size).as_ref(), Ok(&proof));
            assert_eq!(verify_inclusion(&leaf(index), index, size, &root, &proof), Ok(()));
        }
        let proof = large.consistency(size, 1025).unwrap();
        assert_eq!(verify_consistency(size, &root, 1025, &large.root(1025).unwrap(), &proof), Ok(()), "{size}");
    }
}

#[test]
fn what_a_tree_does_not_have_is_refused() {
    let tree = tree(5);
    assert_eq!(tree.root(6), Err(TreeError::Size { size: 6, has: 5 }));
    assert_eq!(tree.inclusion(0, 6), Err(TreeError::Size { size: 6, has: 5 }));
    assert_eq!(tree.inclusion(3, 3), Err(TreeError::Beyond { inner: 3, size: 3 }));
    assert_eq!(tree.consistency(1, u64::MAX), Err(TreeError::Size { size: u64::MAX, has: 5 }));
    assert_eq!(tree.consistency(4, 3), Err(TreeError::Beyond { inner: 4, size: 3 }));
    assert_eq!((tree.node(2, 0).is_some(), tree.node(2, 1), tree.node(64, 0)), (true, None, None));
}

#[test]
fn sizes_and_proofs_from_outside_never_panic() {
    let hash = leaf(0);
    for size in [0, 1, 2, 1 << 53, 1 << 63, u64::MAX] {
        for other in [0, 1, 3, 1 << 53, (1 << 63) - 1, u64::MAX] {
            for length in [0, 1, 52, 63, 64, 65] {
                let proof = vec![hash; length];
                assert!(verify_inclusion(&leaf(1), other, size, &hash, &proof).is_err());
                let same = size == other && length == 0 && size > 0;
                assert_eq!(
                    verify_consistency(size, &hash, other, &hash, &proof).is_ok(),
                    same,
                    "{size} {other} {length}"
                );
            }
        }
    }
}
