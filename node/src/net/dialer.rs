//! Whom to dial, and when again: bootstrap addresses and members' announced addresses, with back-off, for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    multiaddr::Protocol,
    swarm::{ConnectionId, dial_opts::DialOpts},
};
use rand::RngExt;

use super::resolve::is_named;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Addresses kept of one member.
const ADDRESSES: usize = 16;

/// Which target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A bootstrap address, by its place in the list.
    Bootstrap(usize),
    /// A member.
    Member(PeerId),
}

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    /// Dial this; boxed, for it is large.
    Dial(Key, Box<DialOpts>),
    /// Resolve the name first, then tell [`Dialer::resolved`].
    Resolve(Key, Multiaddr),
}

#[derive(Debug)]
struct Target {
    peer: Option<PeerId>,
    addresses: Vec<Multiaddr>,
    next: Instant,
    wait: Duration,
    busy: bool,
    connection: Option<ConnectionId>,
}

impl Target {
    fn new(peer: Option<PeerId>, addresses: Vec<Multiaddr>, now: Instant) -> Self {
        Self { peer, addresses, next: now, wait: FIRST_WAIT, busy: false, connection: None }
    }

    fn failed(&mut self, now: Instant) {
        self.busy = false;
        self.connection = None;
        // A spread of a quarter keeps many members from dialling in step.
        self.next = now + self.wait.mul_f64(rand::rng().random_range(0.75..1.25));
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }

    fn reached(&mut self, peer: PeerId) {
        self.peer = Some(peer);
        self.busy = false;
        self.connection = None;
        self.wait = FIRST_WAIT;
    }
}

/// The address book, with its timers.
#[derive(Debug)]
pub(super) struct Dialer {
    me: PeerId,
    targets: BTreeMap<Key, Target>,
}

impl Dialer {
    pub(super) fn new(me: PeerId, bootstrap: Vec<Multiaddr>, now: Instant) -> Self {
        let targets = bootstrap.into_iter().enumerate().filter_map(|(place, address)| {
            let peer = peer_of(&address);
            (peer != Some(me)).then(|| (Key::Bootstrap(place), Target::new(peer, vec![address], now)))
        });
        Self { me, targets: targets.collect() }
    }

    /// Remembers where a member listens; it is dialled at the next [`Self::due`] unless connected. `replace`: these are all
    /// its addresses, else one more.
    pub(super) fn learn(&mut self, peer: PeerId, mut addresses: Vec<Multiaddr>, replace: bool, now: Instant) {
        addresses.truncate(ADDRESSES);
        if peer == self.me || addresses.is_empty() {
            return;
        }
        let target = self.targets.entry(Key::Member(peer)).or_insert_with(|| Target::new(Some(peer), Vec::new(), now));
        let news = addresses.iter().any(|address| !target.addresses.contains(address));
        if replace {
            target.addresses = addresses;
        } else {
            for address in addresses {
                if target.addresses.len() < ADDRESSES && !target.addresses.contains(&address) {
                    target.addresses.push(address);
                }
            }
        }
        if news {
            target.next = now;
            target.wait = FIRST_WAIT;
        }
    }

    /// Forgets members that may not connect.
    pub(super) fn retain(&mut self, admitted: impl Fn(&PeerId) -> bool) {
        self.targets.retain(|key, _| match key {
            Key::Bootstrap(_) => true,
            Key::Member(peer) => admitted(peer),
        });
    }

    /// What to dial now.
    pub(super) fn due(&mut self, now: Instant, connected: impl Fn(&PeerId) -> bool) -> Vec<Due> {
        let mut due = Vec::new();
        // A member may be known by a bootstrap address too: one dial at a time.
        let mut dialling: BTreeSet<PeerId> =
            self.targets.values().filter(|target| target.busy).filter_map(|target| target.peer).collect();
        for (key, target) in &mut self.targets {
            let waits = target.peer.is_some_and(|peer| connected(&peer) || dialling.contains(&peer));
            if target.busy || target.next > now || waits {
                continue;
            }
            target.busy = true;
            dialling.extend(target.peer);
            due.push(match target.addresses.first() {
                Some(address) if is_named(address) => Due::Resolve(*key, address.clone()),
                _ => Due::Dial(*key, Box::new(options(*key, &target.addresses))),
            });
        }
        due
    }

    /// A name has these addresses; what to dial, if any.
    pub(super) fn resolved(&mut self, key: Key, addresses: &[Multiaddr], now: Instant) -> Option<DialOpts> {
        let target = self.targets.get_mut(&key)?;
        if addresses.is_empty() {
            target.failed(now);
            return None;
        }
        Some(options(key, addresses))
    }

    /// The dial runs as this connection.
    pub(super) fn started(&mut self, key: Key, connection: ConnectionId) {
        if let Some(target) = self.targets.get_mut(&key) {
            target.connection = Some(connection);
        }
    }

    /// The dial could not start.
    pub(super) fn refused(&mut self, key: Key, now: Instant) {
        if let Some(target) = self.targets.get_mut(&key) {
            target.failed(now);
        }
    }

    /// A dial of ours reached this peer.
    pub(super) fn reached(&mut self, connection: ConnectionId, peer: PeerId) {
        for target in self.targets.values_mut().filter(|target| target.connection == Some(connection)) {
            target.reached(peer);
        }
    }

    /// A dial of ours failed. `ourselves`: the address is our own, and is forgotten.
    pub(super) fn failed(&mut self, connection: ConnectionId, ourselves: bool, now: Instant) {
        let Some((&key, target)) = self.targets.iter_mut().find(|(_, target)| target.connection == Some(connection))
        else {
            return;
        };
        target.failed(now);
        if ourselves {
            self.targets.remove(&key);
        }
    }

    /// The last connection to a peer is gone: try again soon.
    pub(super) fn lost(&mut self, peer: PeerId, now: Instant) {
        for target in self.targets.values_mut().filter(|target| target.peer == Some(peer)) {
            target.next = now + FIRST_WAIT.mul_f64(rand::rng().random_range(0.5..1.5));
            target.wait = FIRST_WAIT;
        }
    }
}

/// New ports for outgoing connections: two members that dial each other from their listening ports would meet in a TCP
/// simultaneous open, where both sides take the dialler's part in the handshake.
fn options(key: Key, addresses: &[Multiaddr]) -> DialOpts {
    match (key, addresses) {
        (Key::Bootstrap(_), [address]) => {
            DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build()
        }
        (Key::Bootstrap(_), addresses) => {
            // Several addresses of one name: one after the other would be slow, and libp2p wants a peer id for many.
            let pick = rand::rng().random_range(0..addresses.len().max(1));
            let address = addresses.get(pick).cloned().unwrap_or_else(Multiaddr::empty);
            DialOpts::unknown_peer_id().address(address).allocate_new_port().build()
        }
        (Key::Member(peer), addresses) => {
            DialOpts::peer_id(peer).addresses(addresses.to_vec()).allocate_new_port().build()
        }
    }
}

fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|part| match part {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    })
}
