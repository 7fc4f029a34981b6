//! The outer momentum's state along one member's feed: X, its previous merge, and v.
//!
//! Checkpoint blob, little-endian: of each number of X, then of v, in layout order, the low 32 bits; then for each number that is
//! not within −2^31 to 2^31 − 1 an entry, by place among all these numbers: the place as u32 and what lies above the low 32 bits as
//! i16. Adapter values are small, so that entries are few.

use bytes::Bytes;

use crate::{
    adapter::{
        Layout,
        simd::{Kernel, Level},
    },
    base::limit::VALUE_Q32,
    code::tree::Run,
};

/// Values turned to bytes at a time.
const CHUNK: usize = 4096;
/// Bytes of a number's low part, and of the entry of one that needs more.
const LOW: usize = 4;
const ENTRY: usize = 6;

/// X and v in Q.32, layout order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// X: the result of the member's previous merge.
    pub x: Vec<i64>,
    /// v: the momentum.
    pub v: Vec<i64>,
}

impl State {
    /// The checkpoint blob.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        checkpoint(&self.x, &self.v)
    }

    /// Whether a checkpoint blob of an adapter of so many values can have so many bytes: 8 to 20 a value.
    #[must_use]
    pub fn can_take(values: u64, bytes: u64) -> bool {
        let (least, most) = (values.saturating_mul(2 * LOW as u64), values.saturating_mul(2 * (LOW + ENTRY) as u64));
        (least..=most).contains(&bytes) && (bytes - least).is_multiple_of(ENTRY as u64)
    }

    /// Reads a checkpoint blob; `None` if it is not the one encoding of numbers below 2^46 in magnitude, two a value.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let count = layout.len().checked_mul(2)?;
        let (low, entries) = bytes.split_at_checked(count.checked_mul(LOW)?)?;
        let (entries, []) = entries.as_chunks::<ENTRY>() else { return None };
        let (x, v) = low.as_chunks::<LOW>().0.split_at(layout.len());
        let read = |words: &[[u8; LOW]]| words.iter().map(|word| i64::from(i32::from_le_bytes(*word))).collect();
        let mut state = Self { x: read(x), v: read(v) };
        let mut next = 0;
        for [a, b, c, d, e, f] in entries {
            let place = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()?;
            if place < next {
                return None;
            }
            next = place + 1;
            let number = match place.checked_sub(state.x.len()) {
                None => state.x.get_mut(place)?,
                Some(place) => state.v.get_mut(place)?,
            };
            *number = (i64::from(i16::from_le_bytes([*e, *f])) << 32) | (*number & 0xffff_ffff);
            if !is_wide(*number) || number.unsigned_abs() >= VALUE_Q32.unsigned_abs() {
                return None;
            }
        }
        Some(state)
    }
}

/// The checkpoint blob of X and v.
pub(super) fn checkpoint(x: &[i64], v: &[i64]) -> Bytes {
    let level = Level::widest();
    let mut bytes = vec![0; LOW * (x.len() + v.len())];
    let mut entries = Vec::new();
    let (first, second) = bytes.split_at_mut(LOW * x.len());
    for (bytes, values, start) in [(first, x, 0), (second, v, x.len())] {
        let chunks = bytes.chunks_mut(LOW * CHUNK).zip(values.chunks(CHUNK));
        for (start, (bytes, values)) in (start..).step_by(CHUNK).zip(chunks) {
            if level.run(Low { values, bytes }) {
                enter(values, start, &mut entries);
            }
        }
    }
    bytes.extend_from_slice(&entries);
    bytes.into()
}

/// Adds the low parts of `values`, which are the numbers from `start` on, to a run of the blob's hash, and entries to `entries`.
pub(super) fn hash_low(run: &mut Run, mut values: &[i64], mut start: usize, entries: &mut Vec<u8>, level: Level) {
    while !values.is_empty() {
        let room = run.room();
        let (now, later) = values.split_at(values.len().min(room.len() / LOW));
        if level.run(Low { values: now, bytes: room }) {
            enter(now, start, entries);
        }
        run.advance(LOW * now.len());
        start += now.len();
        values = later;
    }
}

/// Whether a number needs more than 32 bits.
#[inline(always)]
fn is_wide(number: i64) -> bool {
    (number ^ (number >> 63)) >> 31 != 0
}

/// Adds the entries of those that need one. Rare.
#[cold]
fn enter(values: &[i64], start: usize, entries: &mut Vec<u8>) {
    for (place, number) in values.iter().enumerate().filter(|(_, number)| is_wide(**number)) {
        // At most 2^30 values and as many of v, each below 2^46 in magnitude: nothing is cut off.
        entries.extend_from_slice(&((start + place) as u32).to_le_bytes());
        entries.extend_from_slice(&((number >> 32) as i16).to_le_bytes());
    }
}

/// Writes the low parts of numbers; whether there is one that needs more.
struct Low<'a> {
    values: &'a [i64],
    bytes: &'a mut [u8],
}

impl Kernel for Low<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        // Without an early end, so that registers can work on many at a time.
        let mut all = 0;
        for (bytes, value) in self.bytes.as_chunks_mut::<LOW>().0.iter_mut().zip(self.values) {
            all |= value ^ (value >> 63);
            *bytes = (*value as u32).to_le_bytes();
        }
        all >> 31 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        code::tree::Joined,
        manifest::{AdapterSpec, Factor, TensorSpec},
    };

    const MOST: i64 = VALUE_Q32 - 1;

    fn layout(columns: u64) -> Layout {
        let tensors = vec![TensorSpec { name: "a".into(), factor: Factor::A, rows: 1, columns }];
        Layout::new(&AdapterSpec { rank: 1, alpha: 1, seed: 0, start: [0; 32], tensors }).unwrap()
    }

    #[test]
    fn a_checkpoint_reads_back_and_takes_more_only_for_numbers_that_need_more() {
        let layout = layout(3);
        let narrow = [0, -1, i64::from(i32::MAX), i64::from(i32::MIN), 7, 1];
        let wide = [i64::from(i32::MAX) + 1, i64::from(i32::MIN) - 1, MOST, -MOST, 1 << 32, -(1 << 32)];
        for mask in 0..64_u32 {
            let pick = |at: usize| if (mask >> at) & 1 == 0 { narrow[at] } else { wide[at] };
            let state = State { x: (0..3).map(pick).collect(), v: (3..6).map(pick).collect() };
            let bytes = state.to_bytes();
            assert_eq!(bytes.len() as u64, 24 + 6 * u64::from(mask.count_ones()));
            assert!(State::can_take(3, bytes.len() as u64));
            assert_eq!(State::parse(&bytes, &layout), Some(state));
        }
        for bytes in [0, 23, 25, 24 + 6 * 7, 24 + 3, u64::MAX] {
            assert!(!State::can_take(3, bytes), "{bytes}");
        }
    }

    #[test]
    fn no_other_bytes_are_a_checkpoint() {
        let layout = layout(2);
        let state = State { x: vec![1, -MOST], v: vec![MOST, -1] };
        let bytes = state.to_bytes();
        let with = |entries: &[(u32, i16)]| {
            let entries =
                entries.iter().flat_map(|(place, high)| [&place.to_le_bytes()[..], &high.to_le_bytes()].concat());
            [&bytes[..16], &entries.collect::<Vec<u8>>()].concat()
        };
        assert_eq!(with(&[(1, -0x4000), (2, 0x3fff)]), bytes);
        for (why, bytes) in [
            ("short", bytes[..15].to_vec()),
            ("half an entry", bytes[..19].to_vec()),
            ("a byte too many", [&bytes[..], &[0]].concat()),
            ("out of order", with(&[(2, 0x3fff), (1, -0x4000)])),
            ("twice", with(&[(1, -0x4000), (1, -0x4000)])),
            ("beyond the numbers", with(&[(4, 1)])),
            ("too large", with(&[(2, 0x4000)])),
            ("too small", with(&[(0, -0x4001)])),
            ("minus 2^46", [&[0; 16][..], &[0, 0, 0, 0], &(-0x4000_i16).to_le_bytes()].concat()),
            ("an entry that none needs", with(&[(0, 0)])),
            ("another that none needs", with(&[(3, -1)])),
        ] {
            assert_eq!(State::parse(&bytes, &layout), None, "{why}");
        }
    }

    #[test]
    fn every_level_hashes_the_same_numbers_to_the_hash_of_the_blob() {
        let number = |at: i64| if at % 97 == 0 { at << 30 } else { at.wrapping_mul(-86_028_121) % (1 << 31) };
        let values: Vec<i64> = (0..40_001).map(number).collect();
        let (x, v) = (&values[..20_001], &values[20_000..]);
        let expected = *blake3::hash(&checkpoint(x, v)).as_bytes();
        for level in Level::all() {
            let (mut entries, mut joined) = (Vec::new(), Joined::default());
            for (values, start) in [(x, 0), (v, x.len())] {
                let mut run = Run::new(4 * start as u64);
                for (at, part) in values.chunks(777).enumerate() {
                    hash_low(&mut run, part, start + 777 * at, &mut entries, level);
                }
                joined.run(&run);
            }
            joined.bytes(&entries);
            assert_eq!(joined.finish(), expected, "{level:?}");
        }
    }
}
