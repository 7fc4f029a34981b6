//! Checked payloads kept in memory from their arrival to their merge, up to a bound: they are not read and checked twice.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chorale_protocol::{adapter::Payload, base::BlobHash};

/// Bytes kept; what does not fit is read from disk again.
const BYTES: usize = 96 << 20;

/// The payloads at hand.
#[derive(Debug, Default)]
pub(super) struct Larder {
    payloads: Mutex<BTreeMap<BlobHash, Payload>>,
}

impl Larder {
    /// Keeps a payload if there is room.
    pub(super) fn keep(&self, hash: BlobHash, payload: &Payload) {
        let mut payloads = self.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = payloads.values().map(|payload| payload.bytes().len()).sum();
        if held + payload.bytes().len() <= BYTES {
            payloads.insert(hash, payload.clone());
        }
    }

    /// Takes a payload out.
    pub(super) fn take(&self, hash: &BlobHash) -> Option<Payload> {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner).remove(hash)
    }

    /// Takes everything out: what a merge did not want will hardly be wanted by the next.
    pub(super) fn clear(&self) {
        self.payloads.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
