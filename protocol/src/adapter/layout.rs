//! Where each tensor lies in an adapter's flat values and in its payload.

use std::ops::Range;

use super::{
    block::{BLOCK, Form},
    start,
};
use crate::{
    base::limit::ADAPTER_VALUES,
    manifest::{AdapterSpec, Codec, Factor},
};

/// Blocks worked on at a time: with its inputs such a tile stays in the second-level cache.
const TILE_BLOCKS: usize = 128;

/// Why an adapter spec has no layout. The policy check finds these first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Nothing would travel.
    #[error("the adapter has no tensor; it needs at least one")]
    Empty,
    /// Out of order, or twice.
    #[error("tensor {tensor} does not follow {previous} in the byte order of names; sort them, each once")]
    Order {
        /** the later one */
        tensor: String,
        /** the one before */
        previous: String,
    },
    /// A dimension is 0.
    #[error("tensor {tensor} is {rows} x {columns}; both must be at least 1")]
    Shape {
        /** whose */
        tensor: String,
        /** its rows */
        rows: u64,
        /** its columns */
        columns: u64,
    },
    /// Too many values.
    #[error(
        "with tensor {tensor} the adapter has more than {ADAPTER_VALUES} values; lower the rank or adapt fewer modules"
    )]
    TooLarge {
        /** the first too many */
        tensor: String,
    },
}

/// Tensors in order, row-major, with their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
    len: usize,
}

/// One tensor's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// A, B or dense.
    pub factor: Factor,
    /// [rows, columns].
    pub shape: [usize; 2],
    /// Its values in the flat adapter.
    pub values: Range<usize>,
}

/// A run of whole blocks of one tensor: where its values and its bytes lie.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    /// Which tensor.
    pub(crate) slot: usize,
    /// Its first block, counted within the tensor.
    pub(crate) block: usize,
    /// In the flat adapter.
    pub(crate) values: Range<usize>,
    /// In the payload.
    pub(crate) exponents: Range<usize>,
    /// In the payload.
    pub(crate) mantissas: Range<usize>,
}

impl Layout {
    /// The layout of a spec.
    ///
    /// # Errors
    /// Names out of order, a zero dimension, or too many values.
    pub fn new(spec: &AdapterSpec) -> Result<Self, LayoutError> {
        let mut slots: Vec<Slot> = Vec::with_capacity(spec.tensors.len());
        let mut len = 0;
        for tensor in &spec.tensors {
            let name = tensor.name.clone();
            if let Some(previous) = slots.last().filter(|slot| slot.name.as_bytes() >= name.as_bytes()) {
                return Err(LayoutError::Order { tensor: name, previous: previous.name.clone() });
            }
            let (rows, columns) = (tensor.rows, tensor.columns);
            if rows == 0 || columns == 0 {
                return Err(LayoutError::Shape { tensor: name, rows, columns });
            }
            let end = rows
                .checked_mul(columns)
                .and_then(|count| count.checked_add(u64::try_from(len).ok()?))
                .filter(|end| *end <= ADAPTER_VALUES)
                .and_then(|end| usize::try_from(end).ok());
            let (Some(end), Ok(rows), Ok(columns)) = (end, usize::try_from(rows), usize::try_from(columns)) else {
                return Err(LayoutError::TooLarge { tensor: name });
            };
            slots.push(Slot { name, factor: tensor.factor, shape: [rows, columns], values: len..end });
            len = end;
        }
        if slots.is_empty() {
            return Err(LayoutError::Empty);
        }
        Ok(Self { slots, len })
    }

    /// Values in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a layout has at least one tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tensors in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Bytes of a payload.
    #[must_use]
    pub fn payload_len(&self, codec: Codec) -> u64 {
        self.bytes(codec) as u64
    }

    /// The starting adapter in Q.32: A uniform in ±1/√in from the spec's seed, all else zero.
    ///
    /// Tensor by tensor, in order. B and dense: zeros. A, with c columns: bound = ⌊√⌊2^64 / c⌋⌋; the stream is the extendable
    /// output of BLAKE3 `derive_key` under "chorale v1 start" of seed as u64 little-endian ‖ the name's UTF-8 bytes; each
    /// value in turn takes the next four bytes u, u32 little-endian, and is ⌊(u − 2^31) · bound / 2^31⌋.
    #[must_use]
    pub fn start(&self, seed: u64) -> Vec<i64> {
        self.start_in(seed, Vec::new())
    }

    /// As [`start`](Self::start), in `memory`, whatever that holds.
    pub(crate) fn start_in(&self, seed: u64, memory: Vec<i64>) -> Vec<i64> {
        start::values(self, seed, memory)
    }

    /// Bytes of a payload; no more than 2^31 and a little.
    pub(crate) fn bytes(&self, codec: Codec) -> usize {
        self.slots.iter().map(|slot| slot.bytes(Form::of(codec))).sum()
    }

    /// The name of tensor `slot`, for errors.
    pub(crate) fn name(&self, slot: usize) -> String {
        self.slots.get(slot).map(|slot| slot.name.clone()).unwrap_or_default()
    }

    /// All tiles, in order.
    pub(crate) fn tiles(&self, codec: Codec) -> impl Iterator<Item = Tile> {
        let form = Form::of(codec);
        let mut start = 0;
        self.slots.iter().enumerate().flat_map(move |(slot, place)| {
            let exponents = start;
            start += place.bytes(form);
            place.tiles(slot, exponents, form)
        })
    }
}

impl Slot {
    fn blocks(&self) -> usize {
        self.values.len().div_ceil(BLOCK)
    }

    fn bytes(&self, form: Form) -> usize {
        self.blocks() + self.values.len() * form.bytes
    }

    /// The tiles of this tensor, whose payload bytes begin at `start`.
    fn tiles(&self, slot: usize, start: usize, form: Form) -> impl Iterator<Item = Tile> {
        let (values, blocks) = (self.values.clone(), self.blocks());
        let mantissas = start + blocks;
        (0..blocks).step_by(TILE_BLOCKS).map(move |block| {
            let end = blocks.min(block + TILE_BLOCKS);
            let (from, to) = (block * BLOCK, values.len().min(end * BLOCK));
            Tile {
                slot,
                block,
                values: values.start + from..values.start + to,
                exponents: start + block..start + end,
                mantissas: mantissas + from * form.bytes..mantissas + to * form.bytes,
            }
        })
    }
}
