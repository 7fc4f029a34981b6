//! The only place that asks what time it is.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chorale_protocol::base::{Millis, UnixSeconds};

/// A monotonic clock that started with the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the start, rounded down.
    pub(super) fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Microseconds since the start.
    pub(super) fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Seconds since 1970, as the machine believes.
    pub(super) fn wall(&self) -> UnixSeconds {
        UnixSeconds(unix().as_secs())
    }

    /// Milliseconds since 1970, as the machine believes.
    pub(super) fn unix_ms(&self) -> u64 {
        u64::try_from(unix().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns at `deadline`; never without one.
    pub(super) async fn sleep_until(&self, deadline: Option<Millis>) {
        match deadline.and_then(|at| self.start.checked_add(Duration::from_millis(at.0))) {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
