//! Logs: trees and proofs against a naive oracle, and notes, witnesses and tiles at their edges.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

mod handovers;
mod notes;
mod tiles;
mod trees;
mod witnesses;

use chorale_protocol::{
    fixture,
    log::{Checkpoint, Keyring, Note, Origin, Tree, TreeHash, sign},
    manifest::Chain,
};

/// A leaf that tells its place.
fn leaf(n: u64) -> TreeHash {
    TreeHash::leaf(format!("leaf {n}").as_bytes())
}

fn tree(size: u64) -> Tree {
    Tree::from_leaves((0..size).map(leaf))
}

/// Five members and what their chain says of them.
fn world() -> (Chain, Keyring) {
    let chain = fixture::chain(5, fixture::policy());
    let keyring = Keyring::new(&chain);
    (chain, keyring)
}

fn origin(chain: &Chain, member: u64) -> Origin {
    Origin::new(&chain.network(), &fixture::member(member).id)
}

/// The checkpoint of a member's log over `size` leaves.
fn checkpoint(chain: &Chain, member: u64, tree: &Tree, size: u64) -> Checkpoint {
    Checkpoint { origin: origin(chain, member), size, root: tree.root(size).unwrap() }
}

fn note(chain: &Chain, member: u64, tree: &Tree, size: u64) -> Note {
    sign(&checkpoint(chain, member, tree, size), &fixture::author(member))
}
