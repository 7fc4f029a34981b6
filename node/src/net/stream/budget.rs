//! What one peer may ask of us: questions at once, and questions per second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use libp2p::PeerId;

/// Peers remembered; beyond it idle ones are forgotten.
const PEERS: usize = 1024;

/// The budget of one protocol.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct Limits {
    /// Questions of one peer at once.
    pub(in crate::net) at_once: usize,
    /// Questions of one peer per second, in the long run.
    pub(in crate::net) per_second: f64,
    /// And in one go.
    pub(in crate::net) burst: f64,
}

#[derive(Debug)]
struct Account {
    running: usize,
    tokens: f64,
    at: Instant,
}

/// Accounts by peer.
#[derive(Debug)]
pub(in crate::net) struct Budget {
    limits: Limits,
    peers: Mutex<BTreeMap<PeerId, Account>>,
}

/// One question's place; dropping it gives the place back.
#[derive(Debug)]
pub(in crate::net) struct Place {
    budget: Arc<Budget>,
    peer: PeerId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.budget.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = peers.get_mut(&self.peer) {
            account.running = account.running.saturating_sub(1);
        }
    }
}

impl Budget {
    pub(in crate::net) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, peers: Mutex::default() })
    }

    /// A place for one question, or `None` if the peer asks too much.
    pub(in crate::net) fn admit(self: &Arc<Self>, peer: PeerId, now: Instant) -> Option<Place> {
        let Limits { at_once, per_second, burst } = self.limits;
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, account| account.running > 0);
        }
        let account = peers.entry(peer).or_insert(Account { running: 0, tokens: burst, at: now });
        let earned = now.saturating_duration_since(account.at).as_secs_f64() * per_second;
        account.tokens = (account.tokens + earned).min(burst);
        account.at = now;
        if account.running >= at_once || account.tokens < 1.0 {
            return None;
        }
        account.tokens -= 1.0;
        account.running += 1;
        Some(Place { budget: Arc::clone(self), peer })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_peer_gets_its_places_and_its_rate_and_others_get_theirs() {
        let budget = Budget::new(Limits { at_once: 2, per_second: 1.0, burst: 4.0 });
        let (one, other, now) = (PeerId::random(), PeerId::random(), Instant::now());
        let places: Vec<_> = (0..5).filter_map(|_| budget.admit(one, now)).collect();
        assert_eq!(places.len(), 2, "two at once");
        drop(places);
        assert!(budget.admit(one, now).is_some());
        assert!(budget.admit(one, now).is_some());
        assert!(budget.admit(one, now).is_none(), "the burst is spent");
        assert!(budget.admit(other, now).is_some());
        assert!(budget.admit(one, now + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn accounts_are_bounded() {
        let budget = Budget::new(Limits { at_once: 1, per_second: 1.0, burst: 1.0 });
        for _ in 0..3 * PEERS {
            drop(budget.admit(PeerId::random(), Instant::now()));
        }
        assert!(budget.peers.lock().unwrap().len() <= PEERS);
    }
}
