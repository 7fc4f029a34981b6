//! The asking side of a stream.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use chorale_protocol::base::TransportId;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::Control;
use tokio::time::timeout;

use super::{Pace, Slow};
use crate::net::{BlobFiles, NetError, Tap, blob::Fills, peer_id::peer_id, task::Connected, traffic::Counters};

/// How long a peer may take to agree on a protocol.
const OPEN: Duration = Duration::from_secs(10);

/// What asking needs; cheap to clone.
#[derive(Clone)]
pub(in crate::net) struct Client {
    control: Control,
    connected: Connected,
    pub(in crate::net) counters: Arc<Counters>,
    pub(in crate::net) blobs: Arc<dyn BlobFiles>,
    pub(in crate::net) fills: Arc<Fills>,
    pub(in crate::net) pace: Pace,
    pub(in crate::net) tap: Option<Arc<dyn Tap>>,
}

impl Client {
    pub(in crate::net) fn new(
        control: Control,
        connected: Connected,
        counters: Arc<Counters>,
        blobs: Arc<dyn BlobFiles>,
        stall: Duration,
        tap: Option<Arc<dyn Tap>>,
    ) -> Self {
        Self { control, connected, counters, blobs, fills: Arc::default(), pace: Pace(stall), tap }
    }

    /// A stream to a connected peer.
    pub(in crate::net) async fn open(&self, to: &TransportId, protocol: StreamProtocol) -> Result<Stream, NetError> {
        let peer = peer_id(to)?;
        // libp2p-stream would try to dial.
        if !self.connected.read().unwrap_or_else(PoisonError::into_inner).contains(&peer) {
            return Err(NetError::NotConnected { peer: to.clone() });
        }
        let broke = |why: String| NetError::Peer { peer: to.clone(), why };
        match timeout(OPEN, self.control.clone().open_stream(peer, protocol)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(broke(error.to_string())),
            Err(_) => Err(broke("did not open a stream in time".to_owned())),
        }
    }

    /// A stream's end as an error that names the peer.
    pub(in crate::net) fn blame(&self, peer: &TransportId, slow: Slow) -> NetError {
        match slow {
            Slow::Stalled => NetError::Stalled { peer: peer.clone(), seconds: self.pace.0.as_secs() },
            Slow::Io(error) => NetError::Peer { peer: peer.clone(), why: error.to_string() },
        }
    }

    /// Shows the tap what leaves.
    pub(in crate::net) fn tapped(&self, protocol: &StreamProtocol, bytes: &[u8]) {
        if let Some(tap) = &self.tap {
            tap.sent(protocol.as_ref(), bytes);
        }
    }
}
