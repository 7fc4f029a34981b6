//! Exact squared distances, in units of 2⁻⁶⁴.

use super::{
    Layout, Payload,
    block::{BLOCK, Form, read, shift},
    layout::Tile,
    payload::Part,
    simd::{Kernel, Level},
};
use crate::manifest::Codec;

/// Whether a squared distance [2⁻⁶⁴] is at most the square of `bound` [2⁻¹⁶].
#[must_use]
pub fn within_bound(distance2: u128, bound: u64) -> bool {
    // (bound · 2^16)² is in units of 2^-64; where it passes 2^128 nothing is out of bounds.
    let bound = u128::from(bound) << 16;
    bound.checked_mul(bound).is_none_or(|most| distance2 <= most)
}

/// The squared distance of two payloads of one codec within one tile.
pub(crate) fn in_tile(a: &Payload, b: &Payload, tile: &Tile, level: Level) -> u128 {
    level.run(Between { a: a.part(tile), b: b.part(tile), form: Form::of(a.codec()) })
}

/// No less than the squared distance of two payloads of one codec within one tile: by the exponents alone, which are a
/// hundredth of the bytes.
pub(crate) fn most_in_tile(a: &Payload, b: &Payload, tile: &Tile) -> u128 {
    let most = u128::from(Form::of(a.codec()).max);
    let pairs = a.part(tile).exponents.iter().zip(b.part(tile).exponents);
    let block = |(a, b): (&u8, &u8)| {
        let gap = (most << shift(a.cast_signed())) + (most << shift(b.cast_signed()));
        (gap * gap).saturating_mul(BLOCK as u128)
    };
    pairs.map(block).fold(0, u128::saturating_add)
}

pub(super) fn between(a: &Payload, b: &Payload, layout: &Layout, level: Level) -> u128 {
    if a.codec() != b.codec() {
        return to_values(a, &b.to_q32(layout), layout, level);
    }
    layout.tiles(a.codec()).map(|tile| in_tile(a, b, &tile, level)).fold(0, u128::saturating_add)
}

pub(super) fn to_values(a: &Payload, values: &[i64], layout: &Layout, level: Level) -> u128 {
    layout
        .tiles(a.codec())
        .map(|tile| {
            let values = values.get(tile.values.clone()).unwrap_or_default();
            from_values(a.part(&tile), a.codec(), values, level)
        })
        .fold(0, u128::saturating_add)
}

/// The squared distance of a tile's part from its Q.32 `values`.
pub(crate) fn from_values(part: Part<'_>, codec: Codec, values: &[i64], level: Level) -> u128 {
    level.run(ToValues { a: part, form: Form::of(codec), values })
}

struct Between<'a> {
    a: Part<'a>,
    b: Part<'a>,
    form: Form,
}

impl Kernel for Between<'_> {
    type Output = u128;

    #[inline(always)]
    fn run(self) -> u128 {
        if self.form.bytes == 2 { self.go::<2>() } else { self.go::<1>() }
    }
}

impl Between<'_> {
    #[inline(always)]
    fn go<const BYTES: usize>(self) -> u128 {
        let Self { a, b, .. } = self;
        let left = a.exponents.iter().zip(a.mantissas.chunks(BLOCK * BYTES));
        let right = b.exponents.iter().zip(b.mantissas.chunks(BLOCK * BYTES));
        let mut sum: u128 = 0;
        for ((ea, a), (eb, b)) in left.zip(right) {
            let (up, down) = (shift(ea.cast_signed()), shift(eb.cast_signed()));
            let low = up.min(down);
            let (a, b) = (&read::<BYTES>(a).0, &read::<BYTES>(b).0);
            let (up, down) = (up - low, down - low);
            // Within 2^12 of each other the difference is below 2^28, and 64 of its squares below 2^62.
            let part = if up.max(down) <= 12 { near(a, up, b, down) } else { far(a, up, b, down) };
            sum = sum.saturating_add(part << (2 * low));
        }
        sum
    }
}

#[inline(always)]
fn near(a: &[i16; BLOCK], up: u32, b: &[i16; BLOCK], down: u32) -> u128 {
    let mut sum = 0_i64;
    for (a, b) in a.iter().zip(b) {
        let gap = (i32::from(*a) << up) - (i32::from(*b) << down);
        sum += i64::from(gap) * i64::from(gap);
    }
    u128::from(sum.cast_unsigned())
}

#[inline(always)]
fn far(a: &[i16; BLOCK], up: u32, b: &[i16; BLOCK], down: u32) -> u128 {
    let mut gaps = [0; BLOCK];
    for (gap, (a, b)) in gaps.iter_mut().zip(a.iter().zip(b)) {
        *gap = (i64::from(*a) << up) - (i64::from(*b) << down);
    }
    squares(&gaps)
}

/// Σ gap² for |gap| < 2^48: each in halves of 24 bits, whose products a register multiplies exactly.
#[inline(always)]
fn squares(gaps: &[i64; BLOCK]) -> u128 {
    let (mut high2, mut cross, mut low2) = (0_u64, 0_u64, 0_u64);
    for gap in gaps {
        let gap = gap.unsigned_abs();
        let (high, low) = ((gap >> 24) & 0xff_ffff, gap & 0xff_ffff);
        high2 += high * high;
        cross += high * low;
        low2 += low * low;
    }
    (u128::from(high2) << 48) + (u128::from(cross) << 25) + u128::from(low2)
}

struct ToValues<'a> {
    a: Part<'a>,
    form: Form,
    values: &'a [i64],
}

impl Kernel for ToValues<'_> {
    type Output = u128;

    #[inline(always)]
    fn run(self) -> u128 {
        if self.form.bytes == 2 { self.go::<2>() } else { self.go::<1>() }
    }
}

impl ToValues<'_> {
    #[inline(always)]
    fn go<const BYTES: usize>(self) -> u128 {
        let Self { a, values, .. } = self;
        let blocks = a.exponents.iter().zip(a.mantissas.chunks(BLOCK * BYTES));
        let mut sum: u128 = 0;
        for (values, (exponent, words)) in values.chunks(BLOCK).zip(blocks) {
            let (words, shift) = (&read::<BYTES>(words).0, shift(exponent.cast_signed()));
            let mut gaps = [0_i64; BLOCK];
            let mut all = 0;
            for (gap, (value, word)) in gaps.iter_mut().zip(values.iter().zip(words)) {
                *gap = value.wrapping_sub(i64::from(*word) << shift);
                all |= *gap ^ (*gap >> 63) | *value ^ (*value >> 63);
            }
            let part = if all < (1 << 48) - 1 { squares(&gaps) } else { wide(values, words, shift) };
            sum = sum.saturating_add(part);
        }
        sum
    }
}

/// Values that no payload holds: rare, so one by one; held at the largest number.
#[cold]
fn wide(values: &[i64], words: &[i16; BLOCK], shift: u32) -> u128 {
    let gap = |value: i64, word: i16| (i128::from(value) - (i128::from(word) << shift)).unsigned_abs();
    values.iter().zip(words).fold(0, |sum: u128, (value, word)| {
        let gap = gap(*value, *word);
        sum.saturating_add(gap.saturating_mul(gap))
    })
}
