//! The order in which examples are drawn: one seeded permutation an epoch, and a position that can be saved.

/// Where drawing stands. With the same data, the same position gives the same batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// Passes over the data begun.
    pub epoch: u64,
    /// Examples of this epoch already drawn.
    pub index: u64,
    /// Tokens already taken from the next example (packing only).
    pub offset: u64,
    /// Examples in this epoch's permutation; another number on disk starts a new epoch.
    pub count: u64,
}

/// A position and its epoch's permutation.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    position: Position,
    permutation: Vec<u32>,
}

impl Order {
    /// The start of the first epoch over `count` examples.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        Self::resume(seed, Position { count: count as u64, ..Position::default() }, count)
    }

    /// From a saved position; if there are now other than its `count` examples, a new epoch begins over all of them.
    #[must_use]
    pub fn resume(seed: u64, position: Position, count: usize) -> Self {
        let mut order = Self { seed, position, permutation: Vec::new() };
        if position.count != count as u64 || position.index >= position.count {
            order.begin(position.epoch.saturating_add(1), count);
        } else {
            order.permutation = permutation(seed, position.epoch, count);
        }
        order
    }

    /// Where drawing stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The example whose turn it is, and the tokens already taken from it. `None` without examples.
    #[must_use]
    pub fn current(&self) -> Option<(usize, u64)> {
        let at = usize::try_from(self.position.index).ok()?;
        Some((*self.permutation.get(at)? as usize, self.position.offset))
    }

    /// Remembers that `offset` tokens of the current example are taken.
    pub fn take_to(&mut self, offset: u64) {
        self.position.offset = offset;
    }

    /// Goes to the next example, in a new epoch after the last.
    pub fn next(&mut self) {
        self.position.offset = 0;
        self.position.index += 1;
        if self.position.index >= self.position.count {
            self.begin(self.position.epoch.saturating_add(1), self.permutation.len());
        }
    }

    fn begin(&mut self, epoch: u64, count: usize) {
        self.permutation = permutation(self.seed, epoch, count);
        self.position = Position { epoch, index: 0, offset: 0, count: count as u64 };
    }
}

/// The order of `count` examples in an epoch: Fisher–Yates over a BLAKE3 stream of seed and epoch, so that it is the
/// same on every machine and for ever.
#[must_use]
pub fn permutation(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let mut hasher = blake3::Hasher::new_derive_key("chorale v1 example order");
    hasher.update(&seed.to_le_bytes()).update(&epoch.to_le_bytes());
    let mut stream = hasher.finalize_xof();
    let mut order: Vec<u32> = (0..count).collect();
    for last in (1..order.len()).rev() {
        let mut word = [0; 8];
        stream.fill(&mut word);
        // Multiply-shift: the bias is below 2⁻³² for any count of u32.
        let pick = (u128::from(u64::from_le_bytes(word)) * (last as u128 + 1)) >> 64;
        order.swap(last, usize::try_from(pick).unwrap_or(last));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_example_once_and_epochs_differ() {
        let one = permutation(7, 0, 100);
        let mut sorted = one.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
        assert_ne!(one, permutation(7, 1, 100));
        assert_ne!(one, permutation(8, 0, 100));
    }

    #[test]
    fn a_saved_position_goes_on_where_it_was() {
        let mut order = Order::new(3, 10);
        (0..13).for_each(|_| order.next());
        let mut again = Order::resume(3, order.position(), 10);
        for _ in 0..20 {
            assert_eq!(order.current(), again.current());
            order.next();
            again.next();
        }
    }

    #[test]
    fn other_data_begin_a_new_epoch_over_all_of_it() {
        let order = Order::resume(3, Position { epoch: 4, index: 5, offset: 9, count: 10 }, 12);
        assert_eq!(order.position(), Position { epoch: 5, index: 0, offset: 0, count: 12 });
        assert!(Order::new(1, 0).current().is_none());
    }
}
