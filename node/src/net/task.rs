//! The one task that owns the swarm.
//!
//! Three bounded queues meet here. Commands are always taken, even while nobody takes events, so a caller that waits for a
//! reply never waits for itself. When [`WAITING`] events are not taken, the swarm is left alone until they are: its own
//! bounded queues then hold the connections back.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use chorale_protocol::engine::{Ticket, Verdict};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    gossipsub::{MessageAcceptance, PublishError},
    swarm::dial_opts::DialOpts,
};
use tokio::{
    sync::mpsc::{
        self,
        error::{SendError, TrySendError},
    },
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    Egress, Event, Leaving, NetError, Tap,
    behaviour::Behaviour,
    command::Command,
    dialer::{Dialer, Due, Key},
    resolve,
    score::Penalties,
    ticket::{Open, Tickets},
    topic::{Subject, Topics},
};

/// Events that may wait for the receiver before the swarm is left alone.
const WAITING: usize = 64;
/// Own messages kept for the first subscriber.
const UNSENT: usize = 16;
const TICK: Duration = Duration::from_millis(100);
/// How long a new peer may take to name its topics.
const GREETING: Duration = Duration::from_secs(2);
/// How long connections may take to close.
const GOODBYE: Duration = Duration::from_millis(1500);

/// Peers with a connection, as the handle sees them.
pub(super) type Connected = Arc<RwLock<BTreeSet<PeerId>>>;

/// The swarm and what belongs to it.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: mpsc::Sender<Event>,
    /// Events not yet taken.
    pub(super) waiting: VecDeque<Event>,
    pub(super) tickets: Tickets,
    pub(super) topics: Topics,
    pub(super) dialer: Dialer,
    pub(super) penalties: Penalties,
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) connected: Connected,
    /// Connected peers that have not named their topics yet, and since when.
    pub(super) greeting: BTreeMap<PeerId, Instant>,
    /// Own messages that nobody was there to hear.
    pub(super) unsent: VecDeque<(Subject, Bytes)>,
    pub(super) lookups: JoinSet<(Key, Vec<Multiaddr>)>,
    pub(super) egress: Option<Arc<dyn Egress>>,
    pub(super) tap: Option<Arc<dyn Tap>>,
    /// Ends with the task.
    pub(super) stop: CancellationToken,
}

impl Task {
    /// Runs until shutdown, or until nobody holds a handle or takes events.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let reply = loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown { reply }) => break Some(reply),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                taken = room(&self.events), if !self.waiting.is_empty() => match taken {
                    Ok(()) => self.hand_over(),
                    Err(_) => break None,
                },
                _ = tick.tick() => self.on_tick(Instant::now()),
                Some(found) = self.lookups.join_next() => if let Ok((key, addresses)) = found {
                    self.on_lookup(key, &addresses);
                },
                event = self.swarm.select_next_some(), if self.waiting.len() < WAITING => self.on_swarm(event),
            }
        };
        self.close().await;
        // The ports are free when the swarm is gone: only then the caller goes on.
        drop(self);
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    /// Says goodbye to everybody, so that they need not find out by silence.
    async fn close(&mut self) {
        self.stop.cancel();
        self.commands.close();
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let swarm = &mut self.swarm;
        let goodbye = async {
            while swarm.network_info().connection_counters().num_established() > 0 {
                swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { subject, bytes, reply } => {
                let _ = reply.send(self.publish(subject, bytes));
            }
            Command::Verdict { ticket, verdict } => self.verdict(ticket, verdict),
            Command::Penalise { peer } => {
                let score = self.penalties.add(peer);
                self.swarm.behaviour_mut().gossip.set_application_score(&peer, score);
            }
            Command::Allow { peers, reply } => {
                self.swarm.behaviour_mut().gate.allow(peers);
                self.close_strangers();
                let _ = reply.send(());
            }
            Command::Ban { peer, reply } => {
                self.swarm.behaviour_mut().gate.ban(peer);
                self.close_strangers();
                let _ = reply.send(());
            }
            Command::Pardon { peer, reply } => {
                self.swarm.behaviour_mut().gate.pardon(&peer);
                let _ = reply.send(());
            }
            Command::Dial { peer, addresses } => {
                if self.swarm.behaviour().gate.admits(&peer) {
                    self.dialer.learn(peer, addresses, true, Instant::now());
                    self.dial_due(Instant::now());
                }
            }
            Command::Addresses { reply } => {
                let _ = reply.send(self.addresses.clone());
            }
            Command::Score { peer, reply } => {
                let _ = reply.send(self.swarm.behaviour().gossip.peer_score(&peer));
            }
            Command::Shutdown { reply } => drop(reply),
        }
    }

    pub(super) fn publish(&mut self, subject: Subject, bytes: Bytes) -> Result<(), NetError> {
        if bytes.len() > subject.limit() {
            return Err(NetError::TooLong { got: bytes.len(), limit: subject.limit() });
        }
        self.list(subject, &bytes).map_err(NetError::Unlisted)?;
        let topic = self.topics.of(subject).hash();
        match self.swarm.behaviour_mut().gossip.publish(topic.clone(), bytes.to_vec()) {
            Ok(_) => {
                if let Some(tap) = &self.tap {
                    tap.sent(topic.as_str(), &bytes);
                }
            }
            // Everybody around has it.
            Err(PublishError::Duplicate) => {}
            Err(PublishError::NoPeersSubscribedToTopic) => self.keep(subject, bytes),
            // Anti-entropy brings it later.
            Err(error) => tracing::debug!(%error, "a message was not published"),
        }
        Ok(())
    }

    /// Lists a record that is about to leave.
    fn list(&self, subject: Subject, bytes: &[u8]) -> std::io::Result<()> {
        let Some(egress) = self.egress.as_ref().filter(|_| subject == Subject::Records) else { return Ok(()) };
        let peers = self.swarm.network_info().num_peers();
        if peers > 0 { egress.leaves(Leaving::Gossip { record: bytes, peers }) } else { Ok(()) }
    }

    /// Keeps a message for the first subscriber; of presence, the newest only.
    fn keep(&mut self, subject: Subject, bytes: Bytes) {
        self.unsent.retain(|(kept, old)| !(*kept == subject && (subject == Subject::Presence || *old == bytes)));
        if self.unsent.len() >= UNSENT {
            self.unsent.pop_front();
        }
        self.unsent.push_back((subject, bytes));
    }

    fn verdict(&mut self, ticket: Ticket, verdict: Verdict) {
        match self.tickets.redeem(ticket) {
            Some(open) => self.report(&open, verdict),
            None => tracing::debug!(?ticket, "a verdict came too late"),
        }
    }

    pub(super) fn report(&mut self, open: &Open, verdict: Verdict) {
        let mut verdict = verdict;
        if verdict == Verdict::Accept
            && let Err(error) = self.list(open.subject, &open.bytes)
        {
            tracing::error!(%error, "what leaves cannot be listed: a record is not passed on");
            verdict = Verdict::Ignore;
        }
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let known = gossip.report_message_validation_result(&open.message, &open.forwarder, acceptance);
        if let (true, Verdict::Accept, Some(tap)) = (known, verdict, &self.tap) {
            tap.sent(self.topics.of(open.subject).hash().as_str(), &open.bytes);
        }
    }

    fn close_strangers(&mut self) {
        let gate = &self.swarm.behaviour().gate;
        let strangers: Vec<PeerId> = self.swarm.connected_peers().filter(|peer| !gate.admits(peer)).copied().collect();
        self.dialer.retain(|peer| gate.admits(peer));
        for peer in strangers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn on_tick(&mut self, now: Instant) {
        while let Some(open) = self.tickets.expire(now) {
            self.report(&open, Verdict::Ignore);
        }
        for (peer, score) in self.penalties.decay(now) {
            self.swarm.behaviour_mut().gossip.set_application_score(&peer, score);
        }
        let late = self.greeting.iter().filter(|(_, since)| now.saturating_duration_since(**since) >= GREETING);
        for peer in late.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.welcome(peer);
        }
        self.dial_due(now);
    }

    pub(super) fn dial_due(&mut self, now: Instant) {
        let swarm = &self.swarm;
        for due in self.dialer.due(now, |peer| swarm.is_connected(peer)) {
            match due {
                Due::Dial(key, options) => self.dial(key, *options),
                Due::Resolve(key, address) => {
                    self.lookups.spawn(async move { (key, resolve::resolve(&address).await) });
                }
            }
        }
    }

    fn dial(&mut self, key: Key, options: DialOpts) {
        self.dialer.started(key, options.connection_id());
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(?key, %error, "cannot dial");
            self.dialer.refused(key, Instant::now());
        }
    }

    fn on_lookup(&mut self, key: Key, addresses: &[Multiaddr]) {
        if let Some(options) = self.dialer.resolved(key, addresses, Instant::now()) {
            self.dial(key, options);
        }
    }

    /// Nobody else sends: the room is still there.
    fn hand_over(&mut self) {
        if let Some(event) = self.waiting.pop_front()
            && let Err(TrySendError::Full(event)) = self.events.try_send(event)
        {
            self.waiting.push_front(event);
        }
    }

    /// Marks a peer as connected or not, for the handle.
    pub(super) fn mark(&self, peer: PeerId, up: bool) {
        let mut connected = self.connected.write().unwrap_or_else(PoisonError::into_inner);
        if up {
            connected.insert(peer);
        } else {
            connected.remove(&peer);
        }
    }
}

/// Waits until the receiver takes an event.
async fn room(events: &mpsc::Sender<Event>) -> Result<(), SendError<()>> {
    events.reserve().await.map(drop)
}
