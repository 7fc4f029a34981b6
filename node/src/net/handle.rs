//! The handle: one line of meaning per method.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use chorale_protocol::{
    base::TransportId,
    engine::{Ticket, Verdict},
    feed::Body,
    wire::SyncRequest,
};
use libp2p::{Multiaddr, PeerId, Swarm, swarm};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    BlobFiles, Config, Event, FeedSource, Frame, NetError, Traffic,
    behaviour::Behaviour,
    blob,
    command::Command,
    dialer::Dialer,
    feed,
    peer_id::{self, peer_id, transport_id},
    stream::{Client, Serve, Server},
    task::{Connected, Task},
    topic::{Subject, Topics},
    traffic::Counters,
    transport::transport,
    witness,
};

const COMMANDS: usize = 256;
const EVENTS: usize = 256;
/// Connections to participants stay, used or not.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Net {
    commands: mpsc::Sender<Command>,
    client: Client,
    counters: Arc<Counters>,
    connected: Connected,
    stop: CancellationToken,
}

impl Net {
    /// Starts the swarm task; listens on every address of the configuration when this returns.
    ///
    /// # Errors
    /// An address cannot be listened on; the identity or mDNS cannot be used.
    pub async fn start(
        config: Config,
        blobs: Arc<dyn BlobFiles>,
        feeds: Arc<dyn FeedSource>,
    ) -> Result<(Self, mpsc::Receiver<Event>), NetError> {
        let (commands_in, commands) = mpsc::channel(COMMANDS);
        let (events, events_out) = mpsc::channel(EVENTS);
        let counters = Arc::new(Counters::default());
        let connected = Connected::default();
        let stop = CancellationToken::new();
        let topics = Topics::new(&config.network);
        let me = config.identity.public().to_peer_id();
        let behaviour = Behaviour::new(&config.identity, peer_id::known(&config.allowed), &topics, config.mdns)?;
        let transport = transport(&config.identity, Arc::clone(&counters))?;
        let swarm_config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE);
        let mut control = behaviour.streams.new_control();
        let client = Client::new(
            control.clone(),
            Arc::clone(&connected),
            Arc::clone(&counters),
            Arc::clone(&blobs),
            config.stall,
            config.tap.clone(),
        );
        let server = Arc::new(Server::new(
            blobs,
            feeds,
            Arc::clone(&counters),
            config.stall,
            config.egress.clone(),
            config.witness,
            config.tap.clone(),
        ));
        let mut task = Task {
            swarm: Swarm::new(transport, behaviour, me, swarm_config),
            commands,
            events,
            waiting: Default::default(),
            tickets: Default::default(),
            topics,
            dialer: Dialer::new(me, config.bootstrap, Instant::now()),
            penalties: Default::default(),
            addresses: Vec::new(),
            connected: Arc::clone(&connected),
            greeting: Default::default(),
            unsent: Default::default(),
            lookups: JoinSet::new(),
            egress: config.egress,
            tap: config.tap,
            stop: stop.clone(),
        };
        let protocols: [(_, Serve, _); 3] = [
            (feed::PROTOCOL, feed::serve, feed::LIMITS),
            (blob::PROTOCOL, blob::serve, blob::LIMITS),
            (witness::PROTOCOL, witness::serve, witness::LIMITS),
        ];
        for (protocol, serve, limits) in protocols {
            let incoming = control.accept(protocol).map_err(|error| NetError::Setup(error.to_string()))?;
            tokio::spawn(Arc::clone(&server).accept(incoming, serve, limits, stop.clone()));
        }
        let listening = task.listen(config.listen).await;
        if let Err(error) = listening {
            stop.cancel();
            return Err(error);
        }
        tokio::spawn(task.run());
        Ok((Self { commands: commands_in, client, counters, connected, stop }, events_out))
    }

    /// Publishes on the records topic. With nobody connected it is kept for the first who comes.
    ///
    /// # Errors
    /// [`NetError::TooLong`], [`NetError::Stopped`].
    pub async fn announce(&self, record: Bytes) -> Result<(), NetError> {
        self.ask(|reply| Command::Publish { subject: Subject::Records, bytes: record, reply }).await?
    }

    /// Publishes on the presence topic. With nobody connected the newest is kept for the first who comes.
    ///
    /// # Errors
    /// [`NetError::TooLong`], [`NetError::Stopped`].
    pub async fn presence(&self, presence: Bytes) -> Result<(), NetError> {
        self.ask(|reply| Command::Publish { subject: Subject::Presence, bytes: presence, reply }).await?
    }

    /// Answers a gossip message. A ticket that is not answered within 12 s is ignored by itself.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn verdict(&self, ticket: Ticket, verdict: Verdict) -> Result<(), NetError> {
        self.tell(Command::Verdict { ticket, verdict }).await
    }

    /// Lowers a peer's application score.
    ///
    /// # Errors
    /// [`NetError::PeerId`], [`NetError::Stopped`].
    pub async fn penalise(&self, peer: TransportId) -> Result<(), NetError> {
        self.tell(Command::Penalise { peer: peer_id(&peer)? }).await
    }

    /// Replaces the set of transport keys that may connect; closes others.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn allow(&self, peers: Vec<TransportId>) -> Result<(), NetError> {
        let peers = peer_id::known(&peers);
        self.ask(|reply| Command::Allow { peers, reply }).await
    }

    /// Closes and refuses a transport key, whatever is allowed.
    ///
    /// # Errors
    /// [`NetError::PeerId`], [`NetError::Stopped`].
    pub async fn ban(&self, peer: TransportId) -> Result<(), NetError> {
        let peer = peer_id(&peer)?;
        self.ask(|reply| Command::Ban { peer, reply }).await
    }

    /// Takes a ban back: the transport key may connect again, if it is allowed.
    ///
    /// # Errors
    /// [`NetError::PeerId`], [`NetError::Stopped`].
    pub async fn pardon(&self, peer: TransportId) -> Result<(), NetError> {
        let peer = peer_id(&peer)?;
        self.ask(|reply| Command::Pardon { peer, reply }).await
    }

    /// Dials a participant at binary multiaddrs, if not connected, and again whenever the connection is lost, until it
    /// may no longer connect. Addresses that are none are skipped.
    ///
    /// # Errors
    /// [`NetError::PeerId`], [`NetError::Stopped`].
    pub async fn dial(&self, peer: TransportId, addresses: Vec<Vec<u8>>) -> Result<(), NetError> {
        let addresses = addresses.into_iter().filter_map(|bytes| Multiaddr::try_from(bytes).ok()).collect();
        self.tell(Command::Dial { peer: peer_id(&peer)?, addresses }).await
    }

    /// Asks a peer what we lack; frames come through the channel, bounded. Ok: it answered to the end.
    ///
    /// # Errors
    /// Any but `Listen`, `TooLong` and those of blobs; frames that came before hold.
    pub async fn sync(
        &self,
        peer: TransportId,
        request: SyncRequest,
        frames: mpsc::Sender<Frame>,
    ) -> Result<(), NetError> {
        self.unless_stopped(feed::ask(&self.client, &peer, &request, &frames)).await
    }

    /// Fetches a blob from one peer into its partial file, from where that stands; every 16 KiB is verified before it is
    /// written. Ok: the partial file is complete and verified. Two fetches of one blob wait for each other; dropping the
    /// future ends the fetch and keeps what is verified.
    ///
    /// # Errors
    /// Whose fault it is says the variant; [`NetError::WrongBytes`] is the peer's alone.
    pub async fn fetch(&self, peer: TransportId, body: Body) -> Result<(), NetError> {
        self.unless_stopped(blob::fetch(&self.client, &peer, &body)).await
    }

    /// Puts a question to a peer's witness, at most [`REQUEST_BYTES`](chorale_protocol::log::REQUEST_BYTES) long; its answer.
    ///
    /// # Errors
    /// Any but `Listen` and those of blobs.
    pub async fn witness(&self, peer: TransportId, question: &[u8]) -> Result<Vec<u8>, NetError> {
        self.unless_stopped(witness::ask(&self.client, &peer, question)).await
    }

    /// Our listen addresses, for presence.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn addresses(&self) -> Result<Vec<Multiaddr>, NetError> {
        self.ask(|reply| Command::Addresses { reply }).await
    }

    /// A peer's gossip score: 0 at first, below −100 it is not listened to. `None`: never seen.
    ///
    /// # Errors
    /// [`NetError::PeerId`], [`NetError::Stopped`].
    pub async fn score(&self, peer: &TransportId) -> Result<Option<f64>, NetError> {
        let peer = peer_id(peer)?;
        self.ask(|reply| Command::Score { peer, reply }).await
    }

    /// Connected participants.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn peers(&self) -> Result<Vec<TransportId>, NetError> {
        if self.stop.is_cancelled() {
            return Err(NetError::Stopped);
        }
        let connected = self.connected.read().unwrap_or_else(PoisonError::into_inner);
        Ok(connected.iter().map(|peer: &PeerId| transport_id(peer)).collect())
    }

    /// Bytes so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.counters.snapshot()
    }

    /// Closes connections and ends the task, within 2 s. Calls in progress end with [`NetError::Stopped`].
    pub async fn shutdown(self) {
        self.stop.cancel();
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Shutdown { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, NetError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| NetError::Stopped)
    }

    async fn tell(&self, command: Command) -> Result<(), NetError> {
        self.commands.send(command).await.map_err(|_| NetError::Stopped)
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(NetError::Stopped),
            result = work => result,
        }
    }
}
