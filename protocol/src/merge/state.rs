//! The outer momentum's state along one member's feed: X, its previous merge, and v.
//!
//! Checkpoint blob: X, then v, i64 little-endian in layout order.

use bytes::Bytes;

use crate::{
    adapter::{
        Layout,
        simd::{Kernel, Level},
    },
    base::limit::VALUE_Q32,
};

/// Values looked at at a time.
const CHUNK: usize = 4096;

/// X and v in Q.32, layout order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// X: the result of the member's previous merge.
    pub x: Vec<i64>,
    /// v: the momentum.
    pub v: Vec<i64>,
}

impl State {
    /// The checkpoint blob.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        checkpoint(&self.x, &self.v)
    }

    /// Reads a checkpoint blob; `None` if the length or a magnitude is out of bounds.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || words.len() != layout.len().checked_mul(2)? {
            return None;
        }
        let (x, v) = words.split_at(layout.len());
        let read = |words: &[[u8; 8]]| words.iter().map(|word| i64::from_le_bytes(*word)).collect();
        Some(Self { x: read(x), v: read(v) }).filter(Self::is_bounded)
    }

    /// Whether all magnitudes are below 2^46, as those of every merge are.
    fn is_bounded(&self) -> bool {
        let level = Level::widest();
        self.x.chunks(CHUNK).chain(self.v.chunks(CHUNK)).all(|values| level.run(Bounded(values)))
    }
}

/// The checkpoint blob of X and v.
pub(super) fn checkpoint(x: &[i64], v: &[i64]) -> Bytes {
    let mut bytes = vec![0; 8 * (x.len() + v.len())];
    for (to, value) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(x.iter().chain(v)) {
        *to = value.to_le_bytes();
    }
    bytes.into()
}

struct Bounded<'a>(&'a [i64]);

impl Kernel for Bounded<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        // Without an early end, so that registers can work on many at a time.
        let mut beyond = false;
        for value in self.0 {
            beyond |= *value >= VALUE_Q32;
            beyond |= *value <= -VALUE_Q32;
        }
        !beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{AdapterSpec, Factor, TensorSpec};

    #[test]
    fn a_checkpoint_reads_back_and_nothing_out_of_bounds_does() {
        let tensors = vec![TensorSpec { name: "a".into(), factor: Factor::A, rows: 1, columns: 2 }];
        let spec = AdapterSpec { rank: 1, alpha: 1, seed: 0, start: [0; 32], tensors };
        let layout = Layout::new(&spec).unwrap();
        let most = VALUE_Q32 - 1;
        let state = State { x: vec![1, -most], v: vec![most, -1] };
        let bytes = state.to_bytes();
        assert_eq!(State::parse(&bytes, &layout), Some(state));
        assert_eq!(State::parse(&bytes[..24], &layout), None);
        assert_eq!(State::parse(&[&bytes[..], &[0]].concat(), &layout), None);
        for place in 0..4 {
            for bad in [VALUE_Q32, -VALUE_Q32, i64::MIN, i64::MAX] {
                let mut bytes = bytes.to_vec();
                bytes[8 * place..8 * place + 8].copy_from_slice(&bad.to_le_bytes());
                assert_eq!(State::parse(&bytes, &layout), None);
            }
        }
    }
}
