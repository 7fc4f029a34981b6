//! Opening the ears: every address of the configuration must be ours, or the start fails.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use futures::StreamExt;
use libp2p::{Multiaddr, multiaddr::Protocol, swarm::SwarmEvent};

use super::{NetError, task::Task};

/// How long the system may take to name an address.
const PATIENCE: Duration = Duration::from_secs(10);

impl Task {
    /// Listens on all addresses, and waits until each has its first real address.
    pub(super) async fn listen(&mut self, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        let mut silent = Vec::with_capacity(addresses.len());
        for address in addresses {
            probe(&address)?;
            let listener = self
                .swarm
                .listen_on(address.clone())
                .map_err(|error| NetError::Listen { address: address.clone(), why: error.to_string() })?;
            silent.push((listener, address));
        }
        let named = async {
            while let Some((_, first)) = silent.first() {
                let event = self.swarm.select_next_some().await;
                match &event {
                    SwarmEvent::NewListenAddr { listener_id, .. } => silent.retain(|(id, _)| id != listener_id),
                    SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                        if let Some((_, address)) = silent.iter().find(|(id, _)| id == listener_id) {
                            let why = format!("{reason:?}");
                            return Err(NetError::Listen { address: address.clone(), why });
                        }
                    }
                    _ => tracing::trace!(waits_for = %first, "an early event"),
                }
                self.on_swarm(event);
            }
            Ok(())
        };
        // An interface without addresses may come up later; then its events say so.
        tokio::time::timeout(PATIENCE, named).await.unwrap_or(Ok(()))
    }
}

/// libp2p opens TCP listeners with `SO_REUSEPORT`, so two nodes of one user would share a port in silence and each get half
/// of the connections. A plain listener finds out.
fn probe(address: &Multiaddr) -> Result<(), NetError> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    let Some(Protocol::Tcp(port)) = parts.next() else { return Ok(()) };
    if port == 0 {
        return Ok(());
    }
    TcpListener::bind(SocketAddr::new(ip, port))
        .map(drop)
        .map_err(|error| NetError::Listen { address: address.clone(), why: error.to_string() })
}
