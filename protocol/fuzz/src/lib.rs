//! What each fuzz target does with its bytes: plain functions, which the targets beside this folder call, and
//! `tests/fuzz_corpus.rs` of the crate above on the corpus that is kept. A function panics where a promise is broken, and says whether
//! it accepted what it was given.
//!
//! What is accepted is written again as the same bytes; what is refused has a code that is documented.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken promise stops a target")]

pub mod archive;
pub mod choices;
pub mod evidence;
pub mod fault;
pub mod frames;
pub mod manifest;
pub mod network;
pub mod note;
pub mod payload;
pub mod proof;
pub mod record;
pub mod roundtrip;
#[path = "../../src/bin/chorale-audit/spare.rs"]
mod spare;
pub mod strict;
pub mod tar;
#[path = "../../src/bin/chorale-audit/tarball.rs"]
#[allow(dead_code, reason = "the program opens files, a target does not")]
mod tarball;
#[path = "../../tests/audit/world.rs"]
mod world;

use chorale_protocol::audit::codes;

/// A target: its name, which is that of its folder in the corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("strict", strict::run),
    ("roundtrip", roundtrip::run),
    ("record", record::run),
    ("manifest", manifest::run),
    ("payload", payload::run),
    ("evidence", evidence::run),
    ("fault", fault::run),
    ("archive", archive::run),
    ("tar", tar::run),
    ("frames", frames::run),
    ("note", note::run),
    ("proof", proof::run),
];

/// Where the codes stand that no audit of an archive gives.
const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// A refusal has a code that `chorale-audit explain` or the protocol's document knows, and says something; false, for what refuses.
pub fn refused(code: &str, text: &str) -> bool {
    let elsewhere = ["PRES-", "SYNC-", "NOTE-", "ASK-", "PRF-", "PAY-"].iter().any(|kind| code.starts_with(kind));
    let known = codes::explain(code).is_some() || (elsewhere && DOCUMENT.contains(code));
    assert!(known, "{code} is not documented ({text})");
    assert!(!text.is_empty() && text.len() < 4096, "{code}: {} characters", text.len());
    false
}
