//! Turns for sending blobs: so many at once in all, and of these few to one peer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Blobs that are sent at once; more wait their turn. A member has at most 8 transport ids: reading slowly on all of them, it
/// holds half of the turns.
const ALL: usize = 32;
/// Of these to one peer.
const EACH: usize = 2;

/// The turns.
#[derive(Debug)]
pub(in crate::net) struct Sends {
    all: Arc<Semaphore>,
    each: Mutex<BTreeMap<PeerId, Arc<Semaphore>>>,
}

/// Held while a blob is sent.
pub(in crate::net) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Default for Sends {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), each: Mutex::default() }
    }
}

impl Sends {
    /// Waits for a turn of this peer's; `None` never comes, the semaphores are never closed.
    pub(in crate::net) async fn turn(&self, peer: PeerId) -> Option<Turn> {
        let own = {
            let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
            // One that only the map holds is unused.
            each.retain(|_, own| Arc::strong_count(own) > 1);
            Arc::clone(each.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(EACH))))
        };
        let own = own.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn { _all: all, _own: own })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_peer_has_few_turns_and_leaves_the_others_theirs() {
        let sends = Sends::default();
        let now = |peer| sends.turn(peer).now_or_never().flatten();
        let slow: Vec<PeerId> = (0..8).map(|_| PeerId::random()).collect();
        let held: Vec<Turn> = slow.iter().cycle().take(64).filter_map(|peer| now(*peer)).collect();
        assert_eq!(held.len(), 8 * EACH);
        let other = PeerId::random();
        let turns: Vec<Turn> = (0..9).filter_map(|_| now(other)).collect();
        assert_eq!(turns.len(), EACH);
        drop(held);
        assert!(now(slow[0]).is_some());
    }
}
