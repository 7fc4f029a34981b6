//! Memory of large files, used again for the next one: fresh memory costs more than the reading.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Files from so many bytes on are read into memory used again, or mapped.
pub(crate) const LARGE: usize = 1 << 20;
/// Bytes that are read before they are looked at: a processor's own cache holds them, and BLAKE3 works on whole subtrees.
pub(crate) const PIECE: u64 = 256 << 10;
/// Buffers that wait to be used again.
const WAITING: usize = 8;

/// Shows bytes that are all there by and by, as if they were read.
pub(crate) fn look_along(bytes: &[u8], look: &mut dyn FnMut(&[u8])) {
    for end in (0..bytes.len()).step_by(PIECE as usize).skip(1).chain([bytes.len()]) {
        look(bytes.get(..end).unwrap_or_default());
    }
}

/// Buffers that nobody uses any more.
#[derive(Default)]
pub(crate) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer on loan.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Spare {
    /// An empty buffer with room for `length` bytes.
    pub(crate) fn take(&self, length: usize) -> Vec<u8> {
        if length < LARGE {
            return Vec::with_capacity(length);
        }
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = waiting.iter().position(|buffer| buffer.capacity() >= length);
        let found = fits.map(|at| waiting.swap_remove(at));
        drop(waiting);
        found.unwrap_or_else(|| Vec::with_capacity(length))
    }

    /// The bytes of a buffer, which comes back when nobody uses them any more.
    pub(crate) fn lend(&self, bytes: Vec<u8>) -> Bytes {
        if bytes.len() < LARGE {
            return bytes.into();
        }
        Bytes::from_owner(Lent { bytes, home: Arc::clone(&self.0) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut waiting = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            waiting.push(bytes);
        }
    }
}
