//! The question's 48 bytes, and the status.

use chorale_protocol::base::BlobHash;

use super::plan::GROUP;

/// A range of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) hash: BlobHash,
    /// Bytes from the blob's beginning.
    pub(super) start: u64,
    /// Bytes from there.
    pub(super) wanted: u64,
}

impl Question {
    pub(super) const BYTES: usize = 48;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.hash.0);
        bytes[32..40].copy_from_slice(&self.start.to_le_bytes());
        bytes[40..].copy_from_slice(&self.wanted.to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8; Self::BYTES]) -> Self {
        let (mut hash, mut start, mut wanted) = ([0; 32], [0; 8], [0; 8]);
        hash.copy_from_slice(&bytes[..32]);
        start.copy_from_slice(&bytes[32..40]);
        wanted.copy_from_slice(&bytes[40..]);
        Self { hash: BlobHash(hash), start: u64::from_le_bytes(start), wanted: u64::from_le_bytes(wanted) }
    }

    /// The end of the range in a blob of `length` bytes; `None`: the range is empty, not within it, or not at boundaries.
    pub(super) fn end(&self, length: u64) -> Option<u64> {
        let end = self.start.checked_add(self.wanted)?;
        let aligned = self.start.is_multiple_of(GROUP) && (end == length || end.is_multiple_of(GROUP));
        (aligned && self.wanted > 0 && end <= length).then_some(end)
    }
}

/// What the holder says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Status {
    /// The length and the range follow.
    Here = 0,
    /// Not held.
    Absent = 1,
    /// Ask again later.
    Busy = 2,
    /// No such range.
    Range = 3,
}

impl Status {
    pub(super) fn parse(byte: u8) -> Option<Self> {
        [Self::Here, Self::Absent, Self::Busy, Self::Range].into_iter().find(|status| *status as u8 == byte)
    }
}
