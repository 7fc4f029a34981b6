//! Whole-system tests of Chorale: what they share.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

pub mod fleet;
pub mod shelf;
pub mod sim;
