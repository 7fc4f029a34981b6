//! Memory of merges, for the next ones: fresh memory costs more than a merge.

use std::sync::{Mutex, PoisonError};

/// Vectors that no merge uses any more: at most as many as merges were under way at once.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Vec<i64>>>);

impl Pool {
    /// One of them, whatever it holds, or an empty one.
    pub(super) fn take(&self) -> Vec<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes one back.
    pub(super) fn give(&self, values: Vec<i64>) {
        if values.capacity() > 0 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(values);
        }
    }
}
