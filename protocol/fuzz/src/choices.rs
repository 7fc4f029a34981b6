//! A target's bytes as a row of choices. Past the end every choice is 0.

/// What is left of the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    /// One of 256.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// One of 65,536.
    pub fn short(&mut self) -> u16 {
        let low = self.byte();
        u16::from_le_bytes([low, self.byte()])
    }

    /// A place in a list of `length`; 0 in an empty one.
    pub fn place(&mut self, length: usize) -> usize {
        usize::from(self.byte()) % length.max(1)
    }

    /// A place in `length` bytes; 0 if there are none.
    pub fn offset(&mut self, length: usize) -> usize {
        usize::from(self.short()) % length.max(1)
    }

    /// At most so many bytes.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (now, later) = self.0.split_at(count.min(self.0.len()));
        self.0 = later;
        now
    }

    /// A length and so many bytes.
    pub fn some(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        self.take(count)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `bytes` with a stretch taken out and another put in, as the choices say.
    pub fn splice(&mut self, bytes: &[u8]) -> Vec<u8> {
        let at = self.offset(bytes.len() + 1);
        let (before, after) = bytes.split_at(at);
        let drop = usize::from(self.byte()).min(after.len());
        [before, self.some(), &after[drop..]].concat()
    }
}
