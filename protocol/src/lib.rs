//! The rules of Chorale, without hands.
//!
//! Everything that members must agree on, bit for bit, and everything an auditor re-checks: records, manifests,
//! feeds, the adapter payload, the merge, the draw, the engine and the audit replay. No IO, no clock, no
//! randomness: time and seeds are arguments.
//!
//! The way of one update: a trained adapter is encoded ([`adapter`]), described by a signed record ([`feed`]),
//! checked against the network's [`manifest`] and the records it builds on ([`admit`]), admitted by the [`engine`], merged ([`merge`]) and, later, replayed by
//! the [`audit`]. What a member accepted it keeps in a transparency [`log`], which others cosign. Arrows run one way:
//! `base ← code ← {manifest, feed, adapter} ← {merge, draw, log} ← {wire, admit} ← {engine, audit}`.

pub mod adapter;
pub mod admit;
pub mod audit;
pub mod base;
pub mod code;
pub mod draw;
pub mod engine;
pub mod feed;
#[doc(hidden)]
pub mod fixture;
pub mod log;
pub mod manifest;
pub mod merge;
pub mod wire;
