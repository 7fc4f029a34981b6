//! What the swarm reports, and what follows.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;
use chorale_protocol::engine::{Ticket, Verdict};
use libp2p::{
    PeerId, gossipsub, mdns, ping,
    swarm::{ConnectionId, DialError, SwarmEvent},
};

use super::{Event, behaviour::BehaviourEvent, peer_id::transport_id, task::Task, topic::Subject};

impl Task {
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, num_established, .. } => {
                self.dialer.reached(connection_id, peer_id);
                if num_established.get() == 1 {
                    self.mark(peer_id, true);
                    self.greeting.insert(peer_id, Instant::now());
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "the last connection is gone");
                self.mark(peer_id, false);
                self.dialer.lost(peer_id, Instant::now());
                if self.greeting.remove(&peer_id).is_none() {
                    self.waiting.push_back(Event::PeerDown { peer: transport_id(&peer_id) });
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                tracing::debug!(%error, "a dial failed");
                let ourselves = matches!(error, DialError::LocalPeerId { .. });
                self.dialer.failed(connection_id, ourselves, Instant::now());
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "an incoming connection failed")
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                if !self.addresses.contains(&address) {
                    self.addresses.push(address.clone());
                }
                self.waiting.push_back(Event::Listening { address });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.addresses.retain(|known| *known != address),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "no longer listening");
                self.addresses.retain(|known| !addresses.contains(known));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener stumbled"),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Ping(ping::Event { peer, connection, result: Err(error) }) => {
                self.on_silence(peer, connection, &error);
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    if self.swarm.behaviour().gate.admits(&peer) {
                        self.dialer.learn(peer, vec![address], false, Instant::now());
                    }
                }
                self.dial_due(Instant::now());
            }
            _ => {}
        }
    }

    fn on_silence(&mut self, peer: PeerId, connection: ConnectionId, error: &ping::Failure) {
        if matches!(error, ping::Failure::Unsupported) {
            return;
        }
        tracing::info!(%peer, %error, "a connection is dead: closed");
        self.swarm.close_connection(connection);
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let Some(subject) = self.topics.subject(&message.topic) else { return };
                let bytes = Bytes::from(message.data);
                let (ticket, displaced) =
                    self.tickets.issue(message_id, propagation_source, subject, bytes.clone(), Instant::now());
                if let Some(open) = displaced {
                    self.report(&open, Verdict::Ignore);
                }
                self.deliver(subject, bytes, propagation_source, ticket);
            }
            gossipsub::Event::Subscribed { topic, peer_id, .. } => {
                self.welcome(peer_id);
                if let Some(subject) = self.topics.subject(&topic) {
                    self.send_kept(subject);
                }
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::warn!(peer = %peer_id, "speaks no gossip of ours; only feeds and blobs will work");
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => tracing::debug!(peer = %peer_id, "takes gossip slowly"),
            _ => {}
        }
    }

    /// A peer is up when gossip with it runs: what is announced on that news reaches it. One that closed us out at its
    /// gate never gets so far.
    pub(super) fn welcome(&mut self, peer: PeerId) {
        if self.greeting.remove(&peer).is_some() {
            self.waiting.push_back(Event::PeerUp { peer: transport_id(&peer) });
        }
    }

    fn deliver(&mut self, subject: Subject, bytes: Bytes, from: PeerId, ticket: Ticket) {
        if bytes.len() > subject.limit() {
            tracing::info!(%from, got = bytes.len(), limit = subject.limit(), "an oversized message: rejected");
            if let Some(open) = self.tickets.redeem(ticket) {
                self.report(&open, Verdict::Reject);
            }
            return;
        }
        let from = transport_id(&from);
        self.waiting.push_back(match subject {
            Subject::Records => Event::Record { bytes, from, ticket },
            Subject::Presence => Event::Presence { bytes, from, ticket },
        });
    }

    fn send_kept(&mut self, subject: Subject) {
        let (due, rest) = std::mem::take(&mut self.unsent).into_iter().partition(|(kept, _)| *kept == subject);
        self.unsent = rest;
        let due: VecDeque<(Subject, Bytes)> = due;
        for (subject, bytes) in due {
            let _ = self.publish(subject, bytes);
        }
    }
}
