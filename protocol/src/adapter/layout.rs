//! Where each tensor lies in an adapter's flat values and in its payload.

use std::ops::Range;

use crate::manifest::{AdapterSpec, Codec, Factor};

/// Why an adapter spec has no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Out of bounds or out of order; the policy check finds these first.
    #[error("adapter: {0}")]
    Spec(String),
}

/// Tensors in order, row-major, with their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    _p2: (),
}

/// One tensor's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// A or B.
    pub factor: Factor,
    /// [rows, columns].
    pub shape: [usize; 2],
    /// Its values in the flat adapter.
    pub values: Range<usize>,
}

impl Layout {
    /// The layout of a spec.
    ///
    /// # Errors
    /// Names out of order, a zero dimension, or too many values.
    pub fn new(spec: &AdapterSpec) -> Result<Self, LayoutError> {
        let _ = spec;
        todo!("P2")
    }

    /// Values in all.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!("P2")
    }

    /// Never: a layout has at least one tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tensors in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        todo!("P2")
    }

    /// Bytes of a payload.
    #[must_use]
    pub fn payload_len(&self, codec: Codec) -> u64 {
        let _ = codec;
        todo!("P2")
    }

    /// The starting adapter in Q.32: A uniform in ±1/√in from the spec's seed, B zero.
    #[must_use]
    pub fn start(&self, seed: u64) -> Vec<i64> {
        let _ = seed;
        todo!("P2")
    }
}
