//! Plain BLAKE3 of long input whose parts are made side by side: BLAKE3 is a tree, so whole groups of it are hashed by whoever
//! makes them, and joined at the end.

use blake3::{
    Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

/// Bytes of a group: a subtree of 64 chunks.
pub(crate) const GROUP: usize = 1 << 16;

/// A run of the input that one thread makes: bytes before the first border of groups, whole groups, and bytes after the last one.
#[derive(Debug)]
pub(crate) struct Run {
    /// Where in the input the next byte goes.
    place: u64,
    /// Before the first border.
    head: Vec<u8>,
    groups: Vec<ChainingValue>,
    /// What is not yet a group; up to the next border of memory.
    waiting: Vec<u8>,
    filled: usize,
    /// Whether what waits begins at a border, other than the first one of the input.
    inside: bool,
}

impl Run {
    /// One that begins `start` bytes into the input.
    pub(crate) fn new(start: u64) -> Self {
        // The first group of the input may be all of it, which is hashed in another way: it stays as it is.
        let inside = start > 0 && start.is_multiple_of(GROUP as u64);
        Self { place: start, head: Vec::new(), groups: Vec::new(), waiting: vec![0; room(start)], filled: 0, inside }
    }

    /// Memory for the next bytes of the input: never none, and of a length that a multiple of 4 divides if all lengths so far do.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.waiting.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes the first `count` bytes of the room as written.
    pub(crate) fn advance(&mut self, count: usize) {
        let count = count.min(self.waiting.len() - self.filled);
        self.filled += count;
        self.place += count as u64;
        if self.filled < self.waiting.len() {
            return;
        }
        if self.inside {
            self.groups.push(group(self.place - GROUP as u64, &self.waiting));
        } else {
            self.head = std::mem::replace(&mut self.waiting, vec![0; GROUP]);
            self.inside = true;
        }
        self.filled = 0;
    }
}

/// Bytes from `place` to the next border.
fn room(place: u64) -> usize {
    GROUP - usize::try_from(place % GROUP as u64).unwrap_or(0)
}

fn group(start: u64, bytes: &[u8]) -> ChainingValue {
    Hasher::new().set_input_offset(start).update(bytes).finalize_non_root()
}

/// The runs of an input, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    groups: Vec<ChainingValue>,
    /// What follows the groups: at most one more.
    rest: Vec<u8>,
}

impl Joined {
    /// Adds the next run, which begins where the last one ended.
    pub(crate) fn run(&mut self, run: &Run) -> &mut Self {
        self.bytes(&run.head);
        if !run.groups.is_empty() {
            self.close();
            self.groups.extend(&run.groups);
        }
        self.bytes(run.waiting.get(..run.filled).unwrap_or_default())
    }

    /// Adds the next bytes.
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) -> &mut Self {
        while !bytes.is_empty() {
            if self.rest.len() == GROUP {
                self.close();
            }
            let (now, later) = bytes.split_at(bytes.len().min(GROUP - self.rest.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
        }
        self
    }

    /// BLAKE3 of it all.
    pub(crate) fn finish(mut self) -> [u8; 32] {
        if self.groups.is_empty() {
            return *blake3::hash(&self.rest).as_bytes();
        }
        self.close();
        let (left, right) = halves(&self.groups);
        *merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).as_bytes()
    }

    /// Makes a group of the rest.
    fn close(&mut self) {
        if !self.rest.is_empty() {
            self.groups.push(group(self.groups.len() as u64 * GROUP as u64, &self.rest));
            self.rest.clear();
        }
    }
}

fn subtree(groups: &[ChainingValue]) -> ChainingValue {
    match groups {
        [] => ChainingValue::default(),
        [one] => *one,
        _ => {
            let (left, right) = halves(groups);
            merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// To the left the largest power of two that leaves something to the right.
fn halves(groups: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    groups.split_at(groups.len().div_ceil(2).next_power_of_two().min(groups.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: usize, mut bytes: &[u8], piece: usize) -> Run {
        let mut run = Run::new(start as u64);
        while !bytes.is_empty() {
            let room = run.room();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()).min(piece));
            room[..now.len()].copy_from_slice(now);
            run.advance(now.len());
            bytes = later;
        }
        run
    }

    #[test]
    fn runs_give_the_plain_hash_however_long_and_wherever_they_meet() {
        let input: Vec<u8> =
            (0..9 * GROUP as u32 + 77).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let borders = [0, 1, 4, 1023, 1024, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP, 3 * GROUP + 5, 8 * GROUP];
        for length in borders.into_iter().chain([5 * GROUP + 1024, input.len()]) {
            let input = &input[..length];
            let expected = *blake3::hash(input).as_bytes();
            for first in borders.into_iter().filter(|at| *at <= length) {
                for second in [first, (first + 700).min(length), (first + 2 * GROUP).min(length), length] {
                    let mut joined = Joined::default();
                    joined.run(&run(0, &input[..first], GROUP)).run(&run(first, &input[first..second], 9000));
                    joined.bytes(&input[second..]);
                    assert_eq!(joined.finish(), expected, "{length} bytes, cut at {first} and {second}");
                }
            }
        }
    }
}
