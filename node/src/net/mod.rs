//! The network: one libp2p swarm in one task, behind a handle.
//!
//! Gossipsub carries records and presence (nothing is forwarded before its verdict), `/chorale/1/feed` answers what a peer
//! lacks, `/chorale/1/blob` streams blobs by BLAKE3 hash with verified ranges, `/chorale/1/witness` cosigns checkpoints. The gate closes every connection whose peer
//! id the manifest does not name, before any protocol runs.
//!
//! ```text
//! handle (Net) ──commands──▶ task ──▶ swarm (gate, limits, gossip, identify, ping, streams)
//!        ◀──────events────── task
//! handle ──streams──▶ peer's server (feed, blob)         server: one task a stream, budgets per peer and in all
//! ```

mod behaviour;
mod blob;
mod command;
mod config;
mod counted;
mod dialer;
mod egress;
mod error;
mod event;
mod feed;
mod gate;
mod gossip;
mod handle;
mod listen;
mod on_swarm;
mod peer_id;
mod resolve;
mod score;
mod stream;
mod tap;
mod task;
mod ticket;
mod topic;
mod traffic;
mod transport;
mod witness;

pub use config::{BlobFiles, Config, FeedSource};
pub use egress::{Egress, Leaving};
pub use error::NetError;
pub use event::{Event, Frame};
pub use handle::Net;
pub use peer_id::{peer_id, transport_id};
pub use tap::{FileTap, Tap};
pub use traffic::Traffic;
pub use witness::{HELD, WitnessDesk, Witnessing};
