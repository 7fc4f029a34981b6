//! Whole-system tests of Chorale: what they share.

pub mod fleet;
pub mod sim;
