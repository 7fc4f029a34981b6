//! Whole-system tests of Chorale: what they share.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

mod audit;
pub mod fleet;
pub mod shelf;
pub mod sim;

pub use audit::audit;
