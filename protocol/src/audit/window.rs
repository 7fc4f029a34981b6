//! Records read again from their feed file, a stretch of it at a time.

use std::io;

use bytes::Bytes;

use super::{layout::Name, source::Source};

/// Bytes that are read at a time.
pub(super) const PART: usize = 256 << 10;

/// A part of a feed file that moves along with the records asked for.
pub(super) struct Window {
    name: Name,
    start: u64,
    bytes: Bytes,
}

impl Window {
    pub(super) fn new(name: Name) -> Self {
        Self { name, start: 0, bytes: Bytes::new() }
    }

    /// Which file it looks into.
    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// The envelope of the frame at `offset`.
    pub(super) fn envelope(&mut self, source: &Source<'_>, offset: u64, length: usize) -> io::Result<Bytes> {
        let start = offset.saturating_add(4);
        if let Some(envelope) = self.slice(start, length) {
            return Ok(envelope);
        }
        let left = source.length(self.name).unwrap_or_default().saturating_sub(start);
        let part = usize::try_from(left).map_or(PART, |left| left.min(PART)).max(length);
        self.bytes = source.read_at(self.name, start, part)?;
        self.start = start;
        self.slice(start, length).ok_or_else(|| io::Error::other(format!("{} changed while it was audited", self.name)))
    }

    fn slice(&self, start: u64, length: usize) -> Option<Bytes> {
        let from = usize::try_from(start.checked_sub(self.start)?).ok()?;
        let range = from..from.checked_add(length)?;
        (range.end <= self.bytes.len()).then(|| self.bytes.slice(range))
    }
}
