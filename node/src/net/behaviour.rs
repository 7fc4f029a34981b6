//! What runs on every connection. The order counts: the gate is asked first.

use std::time::Duration;

use libp2p::{
    PeerId,
    connection_limits::{self, ConnectionLimits},
    identify,
    identity::Keypair,
    mdns, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};

use super::{
    NetError,
    gate::Gate,
    gossip::{Gossip, gossip},
    topic::Topics,
};

/// How often an idle connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(4);
/// And how long the answer may take; a host under full load may be slow.
const PING_TIMEOUT: Duration = Duration::from_secs(12);

/// Gate, limits, streams, gossip, identify, ping and perhaps mDNS.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) gate: Gate,
    limits: connection_limits::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
    pub(super) gossip: Gossip,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    pub(super) fn new(
        identity: &Keypair,
        allowed: Vec<PeerId>,
        topics: &Topics,
        with_mdns: bool,
    ) -> Result<Self, NetError> {
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(128))
            .with_max_pending_outgoing(Some(128))
            .with_max_established(Some(2048))
            .with_max_established_per_peer(Some(4));
        let identify = identify::Config::new("/chorale/1".to_owned(), identity.public())
            .with_agent_version(concat!("chorale/", env!("CARGO_PKG_VERSION")).to_owned());
        let ping = ping::Config::new().with_interval(PING_EVERY).with_timeout(PING_TIMEOUT);
        let mdns = if with_mdns {
            let behaviour = mdns::tokio::Behaviour::new(mdns::Config::default(), identity.public().to_peer_id());
            Some(behaviour.map_err(|error| NetError::Setup(format!("mDNS: {error}")))?)
        } else {
            None
        };
        Ok(Self {
            gate: Gate::new(allowed),
            limits: connection_limits::Behaviour::new(limits),
            streams: libp2p_stream::Behaviour::new(),
            gossip: gossip(topics)?,
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            mdns: mdns.into(),
        })
    }
}
