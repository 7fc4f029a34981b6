//! Opening the ears: every address of the configuration must be ours, or the start fails.

use std::{
    error::Error,
    io,
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use futures::StreamExt;
use libp2p::{Multiaddr, TransportError, core::transport::ListenerId, multiaddr::Protocol, swarm::SwarmEvent};

use super::{NetError, task::Task};

/// How long the system may take to name an address.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a port may stay taken.
const DRAIN: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(50);

impl Task {
    /// Listens on all addresses, and waits until each has its first real address.
    pub(super) async fn listen(&mut self, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        let mut silent = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = self.open(&address).await?;
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

    /// Tries for a while: the port of a node that has just stopped is free as soon as its last connections are drained.
    async fn open(&mut self, address: &Multiaddr) -> Result<ListenerId, NetError> {
        let start = Instant::now();
        loop {
            let why = match probe(address) {
                Err(error) => error.to_string(),
                Ok(()) => match self.swarm.listen_on(address.clone()) {
                    Ok(listener) => return Ok(listener),
                    Err(TransportError::MultiaddrNotSupported(_)) => {
                        let why = "this kind of address is not spoken".to_owned();
                        return Err(NetError::Listen { address: address.clone(), why });
                    }
                    Err(TransportError::Other(error)) => chain(&error),
                },
            };
            if start.elapsed() >= DRAIN {
                return Err(NetError::Listen { address: address.clone(), why });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// libp2p opens TCP listeners with `SO_REUSEPORT`, so two nodes of one user would share a port in silence and each get half
/// of the connections. A plain listener finds out.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// The texts of an error and its causes; some of libp2p's outer ones are empty.
fn chain(error: &dyn Error) -> String {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts.retain(|text| !text.is_empty());
    texts.dedup();
    texts.join(": ")
}
