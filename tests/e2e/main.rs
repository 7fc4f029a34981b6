//! Real processes on loopback: they find each other, agree, survive, and leave an archive that verifies.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

#[cfg(feature = "torch")]
mod canary;
mod common;
mod dishonest;
mod four_nodes;
mod huge;
mod join;
mod kill;
mod oracle;
mod pause;
mod trouble;
mod witness;
