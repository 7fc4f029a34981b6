//! Real processes on loopback: they find each other, agree, survive, and leave an archive that verifies.

#[cfg(feature = "torch")]
mod canary;
mod common;
mod dishonest;
mod four_nodes;
mod huge;
mod join;
mod kill;
mod pause;
