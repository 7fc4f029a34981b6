//! Rows of token ids with their labels.

use super::{Order, Piece, Sequence};

/// The label that does not count, as in `cross_entropy`.
pub const IGNORE: i64 = -100;

/// A rectangle of inputs and labels. `labels[i]` is what should follow `ids[..=i]` in its row, or [`IGNORE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<i64>,
    labels: Vec<i64>,
    columns: usize,
    counted: usize,
    examples: u64,
}

impl Batch {
    /// One row a piece, padded at the end with id 0 and [`IGNORE`]. Attention is causal, so padding changes nothing.
    #[must_use]
    pub fn padded(pieces: &[Piece<'_>]) -> Self {
        let columns = pieces.iter().map(|piece| piece.ids.len() - 1).max().unwrap_or(0);
        let mut batch = Self::empty(columns, pieces.len());
        for piece in pieces {
            let inputs = piece.ids.len() - 1;
            for at in 0..columns {
                batch.ids.push(if at < inputs { i64::from(piece.ids[at]) } else { 0 });
                let counts = at < inputs && at + 1 >= piece.masked;
                batch.labels.push(if counts { i64::from(piece.ids[at + 1]) } else { IGNORE });
            }
        }
        batch.counted = batch.labels.iter().filter(|&&label| label != IGNORE).count();
        batch.examples = pieces.len() as u64;
        batch
    }

    fn empty(columns: usize, rows: usize) -> Self {
        let room = columns * rows;
        Self { ids: Vec::with_capacity(room), labels: Vec::with_capacity(room), columns, counted: 0, examples: 0 }
    }

    /// Inputs, row by row.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Labels, row by row.
    #[must_use]
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// [rows, columns].
    #[must_use]
    pub fn shape(&self) -> [i64; 2] {
        let rows = self.ids.len().checked_div(self.columns).unwrap_or(0);
        [i64::try_from(rows).unwrap_or(0), i64::try_from(self.columns).unwrap_or(0)]
    }

    /// Labels that count.
    #[must_use]
    pub const fn counted(&self) -> usize {
        self.counted
    }

    /// Examples that ended in this batch.
    #[must_use]
    pub const fn examples(&self) -> u64 {
        self.examples
    }
}

/// Draws `rows` rows of at most `columns` inputs in `order`. Packed rows are full: examples follow one another, each
/// behind its end-of-text token, and a row may attend to the examples before it (Brown et al. 2020, appendix B).
#[must_use]
pub fn rows(sequences: &[Sequence], order: &mut Order, rows: usize, columns: usize, packing: bool) -> Batch {
    if packing { packed(sequences, order, rows, columns) } else { single(sequences, order, rows, columns) }
}

fn packed(sequences: &[Sequence], order: &mut Order, rows: usize, columns: usize) -> Batch {
    let mut batch = Batch::empty(columns, rows);
    while batch.ids.len() < rows * columns {
        let Some((which, offset)) = order.current() else { break };
        let Some(sequence) = sequences.get(which) else { break };
        let ids = sequence.ids();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(ids.len());
        let end = ids.len().min(start + rows * columns - batch.ids.len());
        for at in start..end {
            batch.ids.push(i64::from(ids[at]));
            // What follows the last id is another example: nothing to predict.
            let label = ids.get(at + 1).filter(|_| at + 1 >= sequence.masked());
            batch.counted += usize::from(label.is_some());
            batch.labels.push(label.map_or(IGNORE, |&id| i64::from(id)));
        }
        if end == ids.len() {
            batch.examples += 1;
            order.next();
        } else {
            order.take_to(end as u64);
        }
    }
    batch
}

fn single(sequences: &[Sequence], order: &mut Order, rows: usize, columns: usize) -> Batch {
    let mut pieces = Vec::with_capacity(rows);
    let mut examples = 0;
    while pieces.len() < rows {
        let Some((which, piece)) = order.current() else { break };
        let Some(sequence) = sequences.get(which) else { break };
        let skip = usize::try_from(piece).unwrap_or(usize::MAX);
        let mut rest = sequence.pieces(columns).skip(skip);
        pieces.extend(rest.next());
        if rest.next().is_some() {
            // Without packing the offset counts pieces.
            order.take_to(piece + 1);
        } else {
            examples += 1;
            order.next();
        }
    }
    Batch { examples, ..Batch::padded(&pieces) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences() -> Vec<Sequence> {
        (0..5_u32).map(|i| Sequence::new((0..7 + i).map(|t| i * 100 + t).collect(), 3, [0; 32])).collect()
    }

    #[test]
    fn packed_rows_are_full_and_prompts_are_masked() {
        let sequences = sequences();
        let mut order = Order::new(1, 5);
        let batch = rows(&sequences, &mut order, 3, 8, true);
        assert_eq!(batch.shape(), [3, 8]);
        for (&id, &label) in batch.ids().iter().zip(batch.labels()) {
            let sequence = &sequences[(id / 100) as usize];
            let at = (id % 100) as usize;
            let masked = at + 1 < 3 || at + 1 == sequence.ids().len();
            assert_eq!(label, if masked { IGNORE } else { id + 1 });
        }
        assert_eq!(batch.counted(), batch.labels().iter().filter(|&&label| label != IGNORE).count());
    }

    #[test]
    fn a_resumed_order_draws_the_same_batches() {
        let sequences = sequences();
        for packing in [true, false] {
            let mut order = Order::new(9, 5);
            let _ = rows(&sequences, &mut order, 3, 4, packing);
            let mut again = Order::resume(9, order.position(), 5);
            for _ in 0..10 {
                assert_eq!(rows(&sequences, &mut order, 3, 4, packing), rows(&sequences, &mut again, 3, 4, packing));
            }
        }
    }

    #[test]
    fn unpacked_rows_hold_one_example_each_and_its_rest_comes_next() {
        let sequences = vec![Sequence::new((0..10).collect(), 0, [0; 32])];
        let mut order = Order::new(0, 1);
        let batch = rows(&sequences, &mut order, 3, 4, false);
        assert_eq!(batch.shape(), [3, 4]);
        assert_eq!(batch.labels(), [1, 2, 3, 4, 5, 6, 7, 8, 9, IGNORE, IGNORE, IGNORE]);
        assert_eq!((batch.counted(), batch.examples()), (9, 1));
    }
}
