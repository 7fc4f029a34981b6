//! Bytes that passed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that passed, for status and benchmarks. Totals count what passes in all streams (gossip, feeds, blobs, ping,
/// stream negotiation) before encryption; frames of multiplexing and encryption (about 0.2 %) and IP headers are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// blob bytes received, proofs included
    pub blob_in: u64,
    /// blob bytes sent, proofs included
    pub blob_out: u64,
    /// all bytes received
    pub total_in: u64,
    /// all bytes sent
    pub total_out: u64,
}

/// The counters behind [`Traffic`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) blob_in: AtomicU64,
    pub(super) blob_out: AtomicU64,
    pub(super) total_in: AtomicU64,
    pub(super) total_out: AtomicU64,
}

impl Counters {
    pub(super) fn snapshot(&self) -> Traffic {
        Traffic {
            blob_in: self.blob_in.load(Ordering::Relaxed),
            blob_out: self.blob_out.load(Ordering::Relaxed),
            total_in: self.total_in.load(Ordering::Relaxed),
            total_out: self.total_out.load(Ordering::Relaxed),
        }
    }
}

/// Adds a length to a counter.
pub(super) fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}
