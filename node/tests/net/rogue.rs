//! A peer that speaks libp2p and keeps to no rule of ours.

use std::time::Duration;

use chorale::net::transport_id;
use chorale_protocol::base::TransportId;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, gossipsub,
    identity::Keypair,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use libp2p_stream::{Control, IncomingStreams};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::node::{NETWORK, Node, PATIENCE};

pub(crate) const BLOB: StreamProtocol = StreamProtocol::new("/chorale/1/blob");
pub(crate) const FEED: StreamProtocol = StreamProtocol::new("/chorale/1/feed");

#[derive(NetworkBehaviour)]
struct Wild {
    streams: libp2p_stream::Behaviour,
    gossip: gossipsub::Behaviour,
}

/// What happens to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Up(PeerId),
    Down(PeerId),
    Subscribed(String),
}

enum Do {
    Dial(Multiaddr),
    Publish(Vec<u8>),
}

pub(crate) struct Rogue {
    pub(crate) id: TransportId,
    pub(crate) control: Control,
    seen: mpsc::Receiver<Seen>,
    orders: mpsc::Sender<Do>,
    task: AbortHandle,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn records_topic() -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(format!("chorale/{}/records", hex::encode(&NETWORK.0[..8])))
}

fn wild() -> Wild {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .message_id_fn(|message: &gossipsub::Message| gossipsub::MessageId::new(blake3::hash(&message.data).as_bytes()))
        .max_transmit_size(4 << 20)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .build()
        .unwrap();
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config).unwrap();
    gossip.subscribe(&records_topic()).unwrap();
    Wild { streams: libp2p_stream::Behaviour::new(), gossip }
}

impl Rogue {
    pub(crate) async fn start(identity: &Keypair) -> Self {
        let swarm = SwarmBuilder::with_existing_identity(identity.clone())
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| wild())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        let control = swarm.behaviour().streams.new_control();
        let (orders, inbox) = mpsc::channel(64);
        let (told, seen) = mpsc::channel(1024);
        let task = tokio::spawn(live(swarm, inbox, told)).abort_handle();
        Self { id: transport_id(&identity.public().to_peer_id()), control, seen, orders, task }
    }

    pub(crate) async fn dial(&self, node: &Node) {
        self.orders.send(Do::Dial(node.address.clone())).await.unwrap();
    }

    pub(crate) async fn publish(&self, bytes: Vec<u8>) {
        self.orders.send(Do::Publish(bytes)).await.unwrap();
    }

    pub(crate) async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) {
        let found = async { while !wanted(&self.seen.recv().await.expect("the rogue stopped")) {} };
        timeout(PATIENCE, found).await.expect("the rogue saw nothing of what was promised");
    }

    /// Connects, and waits until gossip runs too.
    pub(crate) async fn join(&mut self, node: &mut Node) {
        self.dial(node).await;
        node.up(&self.id).await;
        self.until(|seen| matches!(seen, Seen::Subscribed(topic) if topic.ends_with("/records"))).await;
    }

    /// Answers every stream of `protocol` with `answer`.
    pub(crate) fn answer<F>(&mut self, protocol: StreamProtocol, answer: impl Fn(Stream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut incoming: IncomingStreams = self.control.accept(protocol).unwrap();
        tokio::spawn(async move {
            let mut running = JoinSet::new();
            while let Some((_, stream)) = incoming.next().await {
                running.spawn(answer(stream));
            }
        });
    }
}

async fn live(mut swarm: Swarm<Wild>, mut orders: mpsc::Receiver<Do>, told: mpsc::Sender<Seen>) {
    loop {
        let seen = tokio::select! {
            order = orders.recv() => {
                match order {
                    Some(Do::Dial(address)) => swarm.dial(address).unwrap(),
                    Some(Do::Publish(bytes)) => {
                        let _ = swarm.behaviour_mut().gossip.publish(records_topic(), bytes);
                    }
                    None => return,
                }
                continue;
            }
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => Seen::Up(peer_id),
                SwarmEvent::ConnectionClosed { peer_id, .. } => Seen::Down(peer_id),
                SwarmEvent::Behaviour(WildEvent::Gossip(gossipsub::Event::Subscribed { topic, .. })) => {
                    Seen::Subscribed(topic.into_string())
                }
                _ => continue,
            },
        };
        let _ = told.try_send(seen);
    }
}
