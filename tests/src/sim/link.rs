//! How bad the network is.

use super::rng::Rng;

/// A seeded link: delay (and with it reordering), loss, duplication.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// One way, in milliseconds, uniform from–to.
    pub delay_ms: (u64, u64),
    /// Share of gossip hops, questions and blob transfers that are lost.
    pub loss: f64,
    /// Share of gossip hops that arrive twice.
    pub duplicate: f64,
    /// Milliseconds until a silent connection is noticed.
    pub timeout_ms: u64,
}

impl Default for Link {
    fn default() -> Self {
        Self { delay_ms: (2, 12), loss: 0.0, duplicate: 0.02, timeout_ms: 2_000 }
    }
}

impl Link {
    /// Another link with this loss.
    #[must_use]
    pub const fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    pub(super) fn delay(&self, rng: &mut Rng) -> u64 {
        rng.between(self.delay_ms.0, self.delay_ms.1)
    }

    pub(super) fn loses(&self, rng: &mut Rng) -> bool {
        rng.chance(self.loss)
    }
}
