//! The frames of a feed answer: u32-LE length, a tag (0 manifest, 1 record), the bytes; length 0 ends it.

/// Frames up to a bound.
#[derive(Debug)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    limit: usize,
}

impl Frames {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// Adds a manifest; `false` if it no longer fits.
    pub(super) fn manifest(&mut self, bytes: &[u8]) -> bool {
        self.push(0, bytes)
    }

    /// Adds a record; `false` if it no longer fits.
    pub(super) fn record(&mut self, bytes: &[u8]) -> bool {
        self.push(1, bytes)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes
    }

    fn push(&mut self, tag: u8, bytes: &[u8]) -> bool {
        // The frame's own length and tag, and the end mark.
        let Ok(length) = u32::try_from(bytes.len() + 1) else { return false };
        if self.bytes.len() + bytes.len() + 9 > self.limit {
            return false;
        }
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.push(tag);
        self.bytes.extend_from_slice(bytes);
        true
    }
}
