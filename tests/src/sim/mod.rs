//! Many engines in virtual time: real records, real payloads and merges, simulated hands, a seeded network.
//!
//! A [`World`] is deterministic: the same [`Setup`] gives the same run. A failed promise prints the seed; the environment
//! variable `CHORALE_SEED` runs a test with another one.
#![allow(clippy::expect_used, reason = "a simulation that breaks its own rules must stop")]

mod clock;
mod disk;
mod gossip;
mod hands;
mod insider;
mod link;
mod node;
mod outside;
mod recheck;
mod rng;
mod training;
mod world;

pub use disk::Disk;
pub use insider::{Draft, Insider, skip};
pub use link::Link;
pub use node::{Node, Seen};
pub use rng::Rng;
pub use training::Training;
pub use world::{Setup, World, adapter, policy, seed};
