//! What the network promises, over real sockets on loopback: between honest nodes, and against peers that do not keep to
//! the rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob;
mod egress;
mod feed;
mod gate;
mod gossip;
mod hostile;
mod life;
mod node;
mod rogue;
