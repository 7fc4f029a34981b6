//! What the network tells, as data.

use bytes::Bytes;
use chorale_protocol::{base::TransportId, engine::Ticket};
use libp2p::Multiaddr;

/// What the network tells.
#[derive(Debug)]
pub enum Event {
    /// A record came by gossip; [`Net::verdict`](super::Net::verdict) must answer the ticket.
    Record {
        /** envelope */
        bytes: Bytes,
        /** forwarder */
        from: TransportId,
        /** to answer */
        ticket: Ticket,
    },
    /// A presence message came by gossip.
    Presence {
        /** envelope */
        bytes: Bytes,
        /** forwarder */
        from: TransportId,
        /** to answer */
        ticket: Ticket,
    },
    /// The first connection to a participant stands, and gossip with it runs.
    PeerUp {
        /** which */
        peer: TransportId,
    },
    /// The last one is gone.
    PeerDown {
        /** which */
        peer: TransportId,
    },
    /// A listen address is known (or new).
    Listening {
        /** where */
        address: Multiaddr,
    },
}

/// One frame of a feed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A manifest version.
    Manifest(Bytes),
    /// A record.
    Record(Bytes),
}
