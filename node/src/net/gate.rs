//! The gate: only transport keys that the manifest names, and that were not banned, get past the handshake.
//!
//! It stands first among the behaviours: a connection that it refuses is seen by no other, and closed before any protocol
//! runs on it.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};

/// Strangers knock as often as they like; the log hears of them this often.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Bans remembered; who is banned leaves the manifest sooner or later.
const BANS: usize = 4096;

/// Who may connect.
#[derive(Debug, Default)]
pub(super) struct Gate {
    allowed: BTreeSet<PeerId>,
    banned: BTreeSet<PeerId>,
    logged: Option<Instant>,
    unlogged: u64,
}

/// Why the gate stayed shut.
#[derive(Debug, thiserror::Error)]
#[error("peer {0} is not named by the manifest, or banned")]
pub(super) struct Stranger(PeerId);

impl Gate {
    pub(super) fn new(allowed: Vec<PeerId>) -> Self {
        Self { allowed: allowed.into_iter().collect(), ..Self::default() }
    }

    /// Replaces the set.
    pub(super) fn allow(&mut self, peers: Vec<PeerId>) {
        self.allowed = peers.into_iter().collect();
    }

    /// Refuses `peer`, whatever is allowed.
    pub(super) fn ban(&mut self, peer: PeerId) {
        self.banned.insert(peer);
        if self.banned.len() > BANS {
            // Whoever is not allowed anyway needs no ban.
            self.banned.retain(|peer| self.allowed.contains(peer));
        }
    }

    /// Takes a ban back.
    pub(super) fn pardon(&mut self, peer: &PeerId) {
        self.banned.remove(peer);
    }

    pub(super) fn admits(&self, peer: &PeerId) -> bool {
        self.allowed.contains(peer) && !self.banned.contains(peer)
    }

    fn enforce(&mut self, peer: PeerId, address: &Multiaddr) -> Result<(), ConnectionDenied> {
        if self.admits(&peer) {
            return Ok(());
        }
        self.unlogged = self.unlogged.saturating_add(1);
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(%peer, %address, since_last = self.unlogged, "closed a connection with a stranger");
            self.logged = Some(Instant::now());
            self.unlogged = 0;
        }
        Err(ConnectionDenied::new(Stranger(peer)))
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enforce(peer, remote)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let (Some(peer), Some(address)) = (peer, addresses.first()) {
            self.enforce(peer, address)?;
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.enforce(peer, address)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
