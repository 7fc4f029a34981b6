//! Penalties that the engine gives: they weigh on the gossip score and are forgotten by half in five minutes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use libp2p::PeerId;

/// What one penalty costs.
const COST: f64 = 10.0;
/// Nobody falls lower; from here it takes about an hour to the gossip threshold.
const FLOOR: f64 = -1000.0;
const HALF_LIFE: Duration = Duration::from_secs(300);
/// Below this a penalty is forgotten.
const FORGOTTEN: f64 = 0.5;

/// Penalties by peer; only peers that connected have an entry, so the manifest bounds it.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    peers: BTreeMap<PeerId, f64>,
    decayed: Option<Instant>,
}

impl Penalties {
    /// One more; the new application score.
    pub(super) fn add(&mut self, peer: PeerId) -> f64 {
        let score = self.peers.entry(peer).or_insert(0.0);
        *score = (*score - COST).max(FLOOR);
        *score
    }

    /// Lets time pass; the scores that changed. Does something every ten seconds only.
    pub(super) fn decay(&mut self, now: Instant) -> Vec<(PeerId, f64)> {
        let since = now.saturating_duration_since(*self.decayed.get_or_insert(now));
        if since < Duration::from_secs(10) {
            return Vec::new();
        }
        self.decayed = Some(now);
        let factor = 0.5_f64.powf(since.as_secs_f64() / HALF_LIFE.as_secs_f64());
        let mut changed = Vec::with_capacity(self.peers.len());
        for (peer, score) in &mut self.peers {
            *score *= factor;
            if *score > -FORGOTTEN {
                *score = 0.0;
            }
            changed.push((*peer, *score));
        }
        self.peers.retain(|_, score| *score < 0.0);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_penalty_is_forgotten_in_time() {
        let (mut penalties, peer, start) = (Penalties::default(), PeerId::random(), Instant::now());
        assert!(penalties.decay(start).is_empty());
        assert!((penalties.add(peer) + COST).abs() < 1e-9);
        assert!((penalties.add(peer) + 2.0 * COST).abs() < 1e-9);
        let halved = penalties.decay(start + HALF_LIFE);
        assert!(halved.iter().all(|(who, score)| *who == peer && (score + COST).abs() < 1e-6), "{halved:?}");
        assert_eq!(penalties.decay(start + 8 * HALF_LIFE), [(peer, 0.0)]);
        assert!(penalties.decay(start + 9 * HALF_LIFE).is_empty());
    }
}
