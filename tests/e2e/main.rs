//! Real processes on loopback: they find each other, agree, survive, and leave an archive that verifies.

mod common;
mod dishonest;
mod four_nodes;
mod join;
mod kill;
mod pause;
