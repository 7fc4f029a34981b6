//! `/chorale/1/feed`: what do I lack?
//!
//! Question: u32-LE length and the bytes of a [`SyncRequest`](chorale_protocol::wire::SyncRequest). Answer: frames, each a
//! u32-LE length, then one tag byte (0 manifest, 1 record) and the bytes, both within the length; length 0 ends it.

mod ask;
mod serve;

use libp2p::StreamProtocol;

pub(super) use ask::ask;
pub(super) use serve::serve;

use super::stream::Limits;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/chorale/1/feed");
/// A member asks after a join, a restart, a gap; not all the time.
pub(super) const LIMITS: Limits = Limits { at_once: 4, per_second: 8.0, burst: 64.0 };
