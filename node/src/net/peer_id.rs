//! Peer ids: libp2p's type here, plain bytes in the protocol.

use chorale_protocol::base::TransportId;
use libp2p::PeerId;

use super::NetError;

/// libp2p's form of a transport id.
///
/// # Errors
/// [`NetError::PeerId`]: the bytes are no peer id.
pub fn peer_id(id: &TransportId) -> Result<PeerId, NetError> {
    PeerId::from_bytes(&id.0).map_err(|_| NetError::PeerId { peer: id.clone() })
}

/// The protocol's form of a peer id: its multihash bytes.
#[must_use]
pub fn transport_id(peer: &PeerId) -> TransportId {
    TransportId(peer.to_bytes())
}

/// Those of `ids` that are peer ids. A manifest may name ids that this libp2p does not know; they cannot connect.
pub(super) fn known(ids: &[TransportId]) -> Vec<PeerId> {
    let mut peers = Vec::with_capacity(ids.len());
    for id in ids {
        match peer_id(id) {
            Ok(peer) => peers.push(peer),
            Err(error) => tracing::warn!(%error, "this transport key can never connect"),
        }
    }
    peers
}
