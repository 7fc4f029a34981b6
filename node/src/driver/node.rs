//! A node: its parts put together, started, and taken apart again.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use bytes::Bytes;
use chorale_protocol::{
    base::{MemberId, TransportId},
    code::AuthorKey,
    engine::{self, Engine, Input},
    log::Keyring,
    manifest::Chain,
};
use libp2p::{Multiaddr, identity::Keypair};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::{self, JoinHandle},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    Command, DriverError, Notice, State, Status, Summary, Timing,
    adapters::Shelf,
    clock::Clock,
    disk,
    fetch::{Fetches, Kit, Shape},
    hands::{Faces, Hands, Notarial},
    home,
    join::{self, Door},
    larder::Larder,
    linger::Linger,
    log::Refusals,
    notary::{Circle, LogState, Notary, Witness},
    post::{self, Herald},
    round::Desk,
    run::{self, Ears},
    status, trainer,
};
use crate::{
    net::{self, Net},
    store::Store,
    train::Trainer,
};

/// So long that somebody will have looked: a month.
const NEVER_MS: u64 = 30 * 24 * 3_600_000;
/// Blob fetches at once.
const FETCHES: usize = 8;
/// Ends of jobs that may wait for the loop.
const DONE: usize = 1024;
/// Notices that a slow listener may lag behind.
const NOTICES: usize = 1024;
/// How long the network may take to close.
const CLOSE: Duration = Duration::from_millis(1500);

/// What a node needs to start.
pub struct Setup {
    /// The member's home folder.
    pub home: PathBuf,
    /// Signs its records.
    pub author: AuthorKey,
    /// Keys that the manifest may give it next.
    pub spare: Vec<AuthorKey>,
    /// Its transport key.
    pub identity: Keypair,
    /// The signed genesis manifest.
    pub genesis: Bytes,
    /// Trains.
    pub trainer: Box<dyn Trainer>,
    /// Where to listen, such as `/ip4/127.0.0.1/tcp/0`.
    pub listen: Vec<Multiaddr>,
    /// Addresses of any members.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for members on the local network.
    pub mdns: bool,
    /// How long things may take.
    pub timing: Timing,
    /// Threads of a merge, at least 1.
    pub merge_threads: usize,
    /// Go on serving after the last round until told to stop.
    pub stay: bool,
}

/// A node that runs. Dropping it stops it.
pub struct Running {
    notices: broadcast::Sender<Notice>,
    /// Listens from the very start, for the first who asks.
    first: Mutex<Option<broadcast::Receiver<Notice>>>,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<Summary, DriverError>>>,
}

impl Running {
    /// What the node tells: for the first who asks from the start on, for others from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Notice> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.notices.subscribe())
    }

    /// Where to want something of the node from elsewhere.
    #[must_use]
    pub fn commands(&self) -> mpsc::Sender<Command> {
        self.commands.clone()
    }

    /// Wants something of the node; nothing happens if it has ended.
    pub async fn command(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    /// Stops the node, in under 2 s. A round in progress is lost.
    ///
    /// # Errors
    /// Why it could not go on, if it ended by itself before.
    pub async fn stop(self) -> Result<Summary, DriverError> {
        self.stop.cancel();
        self.wait().await
    }

    /// A switch that stops the node from elsewhere, such as a signal handler.
    #[must_use]
    pub fn switch(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the node has finished or cannot go on.
    ///
    /// # Errors
    /// Why it could not go on.
    pub async fn wait(mut self) -> Result<Summary, DriverError> {
        match self.task.take() {
            Some(task) => task.await.unwrap_or(Err(DriverError::Ended("the node's task"))),
            None => Err(DriverError::Ended("the node's task")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.task.is_some() {
            self.stop.cancel();
        }
    }
}

/// Opens the home, listens, and starts the node's tasks and threads.
///
/// # Errors
/// The home cannot be opened, the genesis is not valid, the trainer does not fit the network, or an address is taken.
pub async fn start(setup: Setup) -> Result<Running, DriverError> {
    let clock = Clock::start();
    let (home, genesis) = (setup.home.clone(), setup.genesis.clone());
    let open = move || -> Result<(Store, Chain), DriverError> {
        let store = Store::open(&home)?;
        for hash in store.recover()? {
            tracing::warn!(blob = %hash.short(), "damaged by an unclean end; deleted, it will be fetched again");
        }
        store.ledger().take_up()?;
        let chain = home::chain(&store, genesis)?;
        Ok((store, chain))
    };
    let (store, chain) = task::spawn_blocking(open).await.map_err(|_| DriverError::Ended("the disk"))??;
    let policy = &chain.current().policy;
    let shape = home::shape(policy)?;
    home::fit(setup.trainer.as_ref(), policy, &shape)?;
    let shelf = Arc::new(Shelf::new(store.clone(), clock));
    let (circle, members) = watch::channel(None);
    let witness = Witness::new(store.clone(), clock, members);
    let config = net::Config {
        identity: setup.identity.clone(),
        network: chain.network(),
        listen: setup.listen.clone(),
        bootstrap: setup.bootstrap.clone(),
        mdns: setup.mdns,
        allowed: home::transports(chain.current()),
        stall: Duration::from_millis(setup.timing.stall_ms),
        egress: Some(Arc::clone(&shelf) as _),
        witness: Some(Arc::new(witness)),
        tap: net::FileTap::from_env()?,
    };
    let (net, events) = Net::start(config, Arc::clone(&shelf) as _, shelf).await?;
    let (notices, first) = broadcast::channel(NOTICES);
    let (commands, inbox) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let node = Node { setup, clock, store, chain, shape, net, circle, events, commands: inbox, stop: stop.clone() };
    let task = tokio::spawn(node.live(notices.clone()));
    Ok(Running { notices, first: Mutex::new(Some(first)), commands, stop, task: Some(task) })
}

/// The parts, before the engine is there.
struct Node {
    setup: Setup,
    clock: Clock,
    store: Store,
    chain: Chain,
    shape: Arc<Shape>,
    net: Net,
    circle: watch::Sender<Option<Arc<Circle>>>,
    events: mpsc::Receiver<net::Event>,
    commands: mpsc::Receiver<Command>,
    stop: CancellationToken,
}

/// What runs beside the loop.
struct Threads {
    disk: thread::JoinHandle<()>,
    notary: JoinHandle<()>,
    quiet: CancellationToken,
}

impl Threads {
    /// Waits until all has ended: the disk's thread has then written what was ordered.
    async fn end(self) {
        self.quiet.cancel();
        let _ = self.notary.await;
        let _ = task::spawn_blocking(move || self.disk.join()).await;
    }
}

impl Node {
    async fn live(self, notices: broadcast::Sender<Notice>) -> Result<Summary, DriverError> {
        let status = Status::new(&self.chain);
        let (newest, watched) = watch::channel(status.clone());
        let writer = status::start(self.store.clone(), watched);
        let faces = Faces { notices, status, newest: newest.clone(), changed: true };
        let (store, net, notices) = (self.store.clone(), self.net.clone(), faces.notices.clone());
        let result = self.work(faces).await;
        if result.is_err() {
            // Whoever listens would wait for ever: the node's handle keeps the channel open.
            let _ = notices.send(Notice::State(State::Failed));
        }
        newest.send_modify(|status| match &result {
            Ok(summary) => status.state = summary.state,
            Err(error) => (status.state, status.error) = (State::Failed, Some(error.to_string())),
        });
        drop(newest);
        let _ = time::timeout(CLOSE, net.shutdown()).await;
        let _ = writer.await;
        let closed = task::spawn_blocking(move || store.close()).await;
        closed.map_err(|_| DriverError::Ended("the disk"))?.map_err(DriverError::Store).and(result)
    }

    async fn work(mut self, mut faces: Faces) -> Result<Summary, DriverError> {
        faces.newest.send_replace(faces.status.clone());
        let door = Door {
            keys: &[std::slice::from_ref(&self.setup.author), self.setup.spare.as_slice()].concat(),
            store: &self.store,
            net: &self.net,
            notices: &faces.notices,
            stop: &self.stop,
        };
        let joined = join::wait(self.chain, door, &mut self.events, &mut self.commands).await?;
        let Some(me) = joined.me else {
            faces.tell(Notice::State(State::Stopped));
            return Ok(Summary { state: State::Stopped, head: None, round: Default::default() });
        };
        self.chain = joined.chain;
        self.put_named_key_first(&me);
        if self.chain.current().version > 0 {
            self.shape = home::shape(&self.chain.current().policy)?;
            home::fit(self.setup.trainer.as_ref(), &self.chain.current().policy, &self.shape)?;
        }
        faces.status.member(&self.chain, me);
        faces.status.listening.extend(joined.listening.iter().map(ToString::to_string));
        let (store, chain, shape) = (self.store.clone(), self.chain.clone(), Arc::clone(&self.shape));
        let stored = task::spawn_blocking(move || home::stored(&store, &chain, me, &shape));
        let (stored, own) = stored.await.map_err(|_| DriverError::Ended("the disk"))??;
        let mut config = self.engine_config(me);
        if self.store.has_published() && !own {
            tracing::warn!(
                "this home has published before, and its store is gone: nothing is signed until a peer has told how far our feed got"
            );
            config.start_wait_ms = NEVER_MS;
        }
        let mut engine =
            Engine::new(config, self.chain.clone(), stored, self.clock.now()).map_err(DriverError::Stored)?;
        let (mut hands, mut ears, threads) = self.build(me, faces)?;
        hands.assemble(&engine);
        hands.faces.status.round = engine.round().0;
        for peer in joined.peers {
            hands.peer(&engine, &peer, true);
            hands.pending.push_back(Input::PeerUp { peer });
        }
        hands.faces.tell(Notice::State(State::Gathering));
        let ended = run::run(&mut engine, &mut hands, &mut ears).await;
        hands.fetches.cancel_all();
        hands.linger.backfill = None;
        let round = hands.faces.status.round;
        if let Ok(state) = &ended {
            hands.faces.tell(Notice::State(*state));
        }
        hands.faces.changed = true;
        hands.show(&engine);
        drop((hands, ears));
        threads.end().await;
        Ok(Summary { state: ended?, head: engine.head(), round: chorale_protocol::base::Round(round) })
    }

    /// The newest version may name a spare key as ours.
    fn put_named_key_first(&mut self, me: &MemberId) {
        let named = self.chain.member(me).map(|member| member.author_key);
        let Setup { author, spare, .. } = &mut self.setup;
        if let Some(key) = spare.iter_mut().find(|key| Some(key.public()) == named) {
            std::mem::swap(author, key);
        }
    }

    fn engine_config(&self, me: MemberId) -> engine::Config {
        let timing = self.setup.timing;
        engine::Config {
            me,
            key: self.setup.author.clone(),
            spare: self.setup.spare.clone(),
            start_wait_ms: timing.start_wait_ms,
            wait_share: timing.wait_share,
            gather_max_ms: timing.gather_max_ms,
            gather_min_ms: timing.gather_min_ms,
            fetch_ms: timing.fetch_ms,
            presence_ms: timing.presence_ms,
            fetches: FETCHES,
        }
    }

    fn build(self, me: MemberId, faces: Faces) -> Result<(Hands, Ears, Threads), DriverError> {
        let Self { setup, clock, store, chain, shape, net, circle, events, commands, stop } = self;
        let adapter = setup.trainer.adapter().clone();
        let larder = Arc::new(Larder::default());
        let (disk, written, thread) =
            disk::start(store.clone(), Arc::clone(&larder)).map_err(|_| DriverError::Ended("the disk's thread"))?;
        let desk = Desk {
            trainer: setup.trainer,
            store: store.downgrade(),
            larder: Arc::clone(&larder),
            clock,
            threads: setup.merge_threads.max(1),
            carried: None,
            start: Vec::new(),
        };
        let (jobs, ended) = trainer::start(desk).map_err(|_| DriverError::Ended("the trainer's thread"))?;
        let herald = Herald {
            network: chain.network(),
            member: me,
            peer: TransportId(setup.identity.public().to_peer_id().to_bytes()),
            key: setup.author,
            counter: clock.unix_ms(),
        };
        let (post, _) = post::start(net.clone(), herald);
        let (done, arrivals) = mpsc::channel(DONE);
        let (state, log) = watch::channel(LogState::default());
        let notary = Notary {
            store: store.clone(),
            net: net.clone(),
            clock,
            circle: circle.subscribe(),
            engine: done.clone(),
            every: Duration::from_millis(setup.timing.checkpoint_ms.max(1)),
            state,
        };
        let quiet = CancellationToken::new();
        let threads = Threads { notary: tokio::spawn(notary.run(quiet.clone())), quiet, disk: thread };
        let kit = Kit { net, store, larder, patience: Duration::from_millis(setup.timing.fetch_ms) };
        let hands = Hands {
            clock,
            kit,
            post,
            disk,
            jobs,
            done,
            shape,
            adapter,
            peers: Default::default(),
            fetches: Fetches::default(),
            refusals: Refusals::default(),
            linger: Linger::new(chain.current().policy.rounds, setup.timing.linger_ms, setup.stay),
            pending: VecDeque::new(),
            notary: Notarial { me, keyring: Arc::new(Keyring::new(&chain)), circle, state: log },
            faces,
        };
        let ears = Ears { stop, written, ended, done: arrivals, events, commands };
        Ok((hands, ears, threads))
    }
}
