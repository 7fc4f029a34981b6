//! What lies where in the encoding of a range: a walk over the hash tree, cut into sections.

use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges,
    iter::{BaoChunk, ResponseIter},
};

/// Bytes of a BLAKE3 chunk.
const CHUNK: u64 = 1024;
/// Bytes that are proved and used as one.
pub(super) const GROUP: u64 = 16 << 10;
/// `GROUP` is 2^4 chunks of 1 KiB.
pub(super) const BLOCK: BlockSize = BlockSize::from_chunk_log(4);
/// Bytes of blob in one section: one disk job, one step of the pipeline.
const SECTION: usize = 512 << 10;
/// Bytes of a hash pair.
pub(super) const PAIR: usize = 64;

/// Consecutive parts of the encoding.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) parts: Vec<BaoChunk>,
    /// Bytes on the wire.
    pub(super) encoded: usize,
}

/// The sections of one range, in order.
pub(super) struct Plan {
    parts: ResponseIter,
}

impl Plan {
    /// The range `start..end` of a blob of `length` bytes; both are multiples of [`GROUP`], or `end` is `length`.
    pub(super) fn new(length: u64, start: u64, end: u64) -> Self {
        let (first, last) = (ChunkNum(start / CHUNK), ChunkNum(end / CHUNK));
        let chunks = if end == length { ChunkRanges::from(first..) } else { ChunkRanges::from(first..last) };
        Self { parts: ResponseIter::new(BaoTree::new(length, BLOCK), chunks) }
    }
}

impl Iterator for Plan {
    type Item = Section;

    fn next(&mut self) -> Option<Section> {
        let (mut section, mut data) = (Section::default(), 0);
        while data < SECTION {
            let Some(part) = self.parts.next() else { break };
            data += match part {
                BaoChunk::Parent { .. } => 0,
                BaoChunk::Leaf { size, .. } => size,
            };
            section.encoded += encoded(&part);
            section.parts.push(part);
        }
        (!section.parts.is_empty()).then_some(section)
    }
}

/// Bytes of a part on the wire.
pub(super) fn encoded(part: &BaoChunk) -> usize {
    match part {
        BaoChunk::Parent { .. } => PAIR,
        BaoChunk::Leaf { size, .. } => *size,
    }
}
