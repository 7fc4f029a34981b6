//! An example as token ids, and its pieces when it is longer than a row.

/// Token ids of one example. The first `masked` of them do not count in the loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    ids: Vec<u32>,
    masked: usize,
    hash: [u8; 32],
}

impl Sequence {
    /// `ids` with `prompt` ids before the completion. The first id is always masked: nothing precedes it.
    #[must_use]
    pub fn new(ids: Vec<u32>, prompt: usize, hash: [u8; 32]) -> Self {
        let masked = prompt.max(1).min(ids.len());
        Self { ids, masked, hash }
    }

    /// All ids.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many ids at the front are masked from the loss.
    #[must_use]
    pub const fn masked(&self) -> usize {
        self.masked
    }

    /// The example's hash.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Ids that count in the loss.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.ids.len() - self.masked
    }

    /// Cuts the end off, if it is longer than `length` ids.
    pub fn truncate(&mut self, length: usize) {
        self.ids.truncate(length);
        self.masked = self.masked.min(self.ids.len());
    }

    /// Rows of at most `columns` inputs that together predict every counted id once. Pieces overlap by one id, which is
    /// the last label of one and the first input of the next.
    pub fn pieces(&self, columns: usize) -> impl Iterator<Item = Piece<'_>> {
        let columns = columns.max(1);
        (0..self.ids.len().saturating_sub(1)).step_by(columns).filter_map(move |start| {
            let end = (start + columns + 1).min(self.ids.len());
            let masked = self.masked.saturating_sub(start).max(1);
            let ids = &self.ids[start..end];
            (masked < ids.len()).then_some(Piece { ids, masked })
        })
    }
}

/// A part of a sequence that fits in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// One more than the row has inputs, at most.
    pub ids: &'a [u32],
    /// How many ids at the front are masked from the loss; at least 1.
    pub masked: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_predict_every_counted_id_once() {
        for (length, prompt, columns) in [(10, 0, 4), (10, 6, 4), (5, 1, 8), (9, 0, 8), (10, 0, 9), (2, 1, 1)] {
            let sequence = Sequence::new((0..length).collect(), prompt, [0; 32]);
            let counted: Vec<u32> = sequence.pieces(columns).flat_map(|p| p.ids[p.masked..].to_vec()).collect();
            assert_eq!(counted, sequence.ids()[sequence.masked()..], "{length} {prompt} {columns}");
            assert!(sequence.pieces(columns).all(|piece| piece.ids.len() <= columns + 1));
        }
    }
}
