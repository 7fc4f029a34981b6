//! `/chorale/1/blob`: bytes by their BLAKE3 hash, verified as they come.
//!
//! Question: hash (32 bytes), start (u64-LE, a multiple of 16 KiB), wanted (u64-LE bytes from there, to the end or to a
//! multiple of 16 KiB). Answer: one status byte; after [`Status::Here`] the blob's length (u64-LE), then the range in
//! bao-tree's encoding with chunk groups of 16 KiB: hash pairs in pre-order before the groups that they prove. Whoever
//! knows the hash checks every group before using it, and may go on from any boundary with any other holder.
//! (Bao: O'Connor et al., <https://github.com/oconnor663/bao>; BLAKE3 paper §2.1 for the tree.)

mod fetch;
mod outboard;
mod partial;
mod plan;
mod serve;
mod verify;
mod wire;

use libp2p::StreamProtocol;

pub(super) use fetch::fetch;
pub(super) use outboard::Outboards;
pub(super) use partial::Fills;
pub(super) use serve::serve;

use super::stream::Limits;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/chorale/1/blob");
/// A member fetches a few blobs per round; questions for absent ones cost a look-up, and the rate bounds those.
pub(super) const LIMITS: Limits = Limits { at_once: 8, per_second: 256.0, burst: 512.0 };

#[cfg(test)]
mod tests;
