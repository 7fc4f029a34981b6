//! The hash of the state that a merge leaves: plain BLAKE3 of the f32 view of M, or with momentum of the checkpoint blob. It is
//! taken while the values are made, tile by tile, by every thread of its own.

use super::state;
use crate::{
    adapter::{hash_view, simd::Level},
    base::BlobHash,
    code::tree::{Joined, Run},
};

/// What one thread adds to it: of consecutive values.
pub(super) struct Digest {
    /// The number of the next value.
    next: usize,
    /// Values of the adapter.
    count: usize,
    x: Run,
    v: Option<Run>,
    /// Entries of wide numbers of X and of v.
    wide: [Vec<u8>; 2],
    level: Level,
}

impl Digest {
    /// Of values from number `start` on, of `count` in all.
    pub(super) fn new(start: usize, count: usize, momentum: bool, level: Level) -> Self {
        let v = momentum.then(|| Run::new(4 * (count as u64 + start as u64)));
        Self { next: start, count, x: Run::new(4 * start as u64), v, wide: Default::default(), level }
    }

    /// Takes the next values of M and, with momentum, of v.
    pub(super) fn take(&mut self, values: &[i64], v: &[i64]) {
        let [wide_x, wide_v] = &mut self.wide;
        if let Some(run) = &mut self.v {
            state::hash_low(&mut self.x, values, self.next, wide_x, self.level);
            state::hash_low(run, v, self.count + self.next, wide_v, self.level);
        } else {
            hash_view(&mut self.x, values, self.level);
        }
        self.next += values.len();
    }

    /// All parts together, in the order of their values.
    pub(super) fn finish(parts: &[Self]) -> BlobHash {
        let mut joined = Joined::default();
        for part in parts {
            joined.run(&part.x);
        }
        for run in parts.iter().filter_map(|part| part.v.as_ref()) {
            joined.run(run);
        }
        for side in [0, 1] {
            for wide in parts.iter().filter_map(|part| part.wide.get(side)) {
                joined.bytes(wide);
            }
        }
        BlobHash(joined.finish())
    }
}
