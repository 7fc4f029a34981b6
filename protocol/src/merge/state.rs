//! The outer momentum's state along one member's feed: X, its previous merge, and v.
//!
//! Checkpoint blob: X, then v, i64 little-endian in layout order.

use bytes::Bytes;

use crate::adapter::Layout;

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
        todo!("P2")
    }

    /// Reads a checkpoint blob; `None` if the length or a magnitude is out of bounds.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let _ = (bytes, layout);
        todo!("P2")
    }
}
