//! How far an audit is: its parts weighed by what they take, so that what is left can be told in time.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Options;

// Work for each byte, by the figures of `examples/bench_audit`: about quarters of a nanosecond of a processor. Only how they stand to
// each other matters.

/// Checking records and their signatures.
const SIGNED: u64 = 400;
/// The same without signatures.
const UNSIGNED: u64 = 40;
/// Walking through records.
const WALKED: u64 = 28;
/// Payloads that are merged again.
const MERGED: u64 = 14;
/// Payloads that are hashed and checked alone.
const HASHED: u64 = 1;

/// Tells of work done and work in all.
pub(super) struct Effort<'a> {
    tell: &'a (dyn Fn(u64, u64) + Sync),
    done: AtomicU64,
    total: AtomicU64,
    scanned: u64,
    payload: u64,
}

impl<'a> Effort<'a> {
    /// `feeds` is their length in bytes, `blobs` that of all blobs: an estimate until [`expect`](Self::expect).
    pub(super) fn new(tell: &'a (dyn Fn(u64, u64) + Sync), options: &Options, feeds: u64, blobs: u64) -> Self {
        let scanned = if options.heads_only { UNSIGNED } else { SIGNED };
        let payload = if options.recompute { MERGED } else { HASHED };
        let total = feeds.saturating_mul(scanned + WALKED).saturating_add(blobs.saturating_mul(payload));
        Self { tell, done: AtomicU64::default(), total: AtomicU64::new(total), scanned, payload }
    }

    /// Bytes of feeds were scanned.
    pub(super) fn scanned(&self, bytes: u64) {
        self.add(bytes.saturating_mul(self.scanned));
    }

    /// Everything was scanned: so many bytes of records and of their payloads are left to be walked through.
    pub(super) fn expect(&self, records: u64, payloads: u64) {
        self.total
            .store(self.done.load(Ordering::Relaxed).saturating_add(self.work(records, payloads)), Ordering::Relaxed);
    }

    /// So many of them were.
    pub(super) fn walked(&self, records: u64, payloads: u64) {
        self.add(self.work(records, payloads));
    }

    fn work(&self, records: u64, payloads: u64) -> u64 {
        records.saturating_mul(WALKED).saturating_add(payloads.saturating_mul(self.payload))
    }

    fn add(&self, work: u64) {
        let done = self.done.fetch_add(work, Ordering::Relaxed).saturating_add(work);
        let total = self.total.load(Ordering::Relaxed);
        (self.tell)(done.min(total), total);
    }
}
