//! The weighted mean of publications, block by block: exact integers, one division, half to even.
//!
//! acc = Σ w·q·2^(e+32) is below 2^62 for Σw ≤ 2^16. Whatever the way below, the result is the integer nearest to
//! acc / Σw, the even one of two: wide registers, order and tiles cannot show in it.

use crate::adapter::{
    MAGIC, Part,
    block::{BLOCK, Form, Words, power_f64, read, shift},
    simd::Kernel,
    whole,
};

/// A publication's part of a tile, and its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighed<'a> {
    pub(super) part: Part<'a>,
    pub(super) weight: u32,
}

/// The mean of a tile.
pub(super) struct Mean<'a> {
    pub(super) form: Form,
    /// All of the same tile.
    pub(super) voices: &'a [Weighed<'a>],
    /// Σ w, 1 to 2^16.
    pub(super) sum: u32,
    /// The tile's values, to be written.
    pub(super) values: &'a mut [i64],
}

impl Kernel for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.form.bytes == 2 { self.go::<2>() } else { self.go::<1>() }
    }
}

impl Mean<'_> {
    #[inline(always)]
    fn go<const BYTES: usize>(self) {
        let Self { voices, sum, values, .. } = self;
        let divisor = Divisor::new(sum);
        for (block, values) in values.chunks_mut(BLOCK).enumerate() {
            let low = voices.iter().map(|voice| voice.shift(block)).min().unwrap_or(0);
            // Σ w in units of 2^low; |acc| ≤ 2^15 of these.
            let reach: u64 = voices.iter().map(|voice| u64::from(voice.weight) << (voice.shift(block) - low)).sum();
            let mean = if reach << low >= 1 << 36 {
                divide_wide(&sum_wide::<BYTES>(voices, block), sum)
            } else if reach <= 1 << 16 {
                divide(&sum_narrow::<BYTES>(voices, block, low), &divisor)
            } else {
                divide(&sum_wide::<BYTES>(voices, block).map(whole), &divisor)
            };
            if let Ok(values) = <&mut [i64; BLOCK]>::try_from(&mut *values) {
                *values = mean;
            } else {
                for (value, mean) in values.iter_mut().zip(&mean) {
                    *value = *mean;
                }
            }
        }
    }
}

impl Weighed<'_> {
    #[inline(always)]
    fn shift(&self, block: usize) -> u32 {
        self.part.exponents.get(block).map_or(0, |exponent| shift(exponent.cast_signed()))
    }

    #[inline(always)]
    fn words<const BYTES: usize>(&self, block: usize) -> Words {
        let rest = self.part.mantissas.get(block * BLOCK * BYTES..).unwrap_or_default();
        match rest.get(..BLOCK * BYTES) {
            Some(whole) => read::<BYTES>(whole),
            None => read::<BYTES>(rest),
        }
    }
}

/// Exponents near each other, which is nearly always: sums in units of 2^low fit 31 bits, and below 2^51 an f64.
#[inline(always)]
fn sum_narrow<const BYTES: usize>(voices: &[Weighed<'_>], block: usize, low: u32) -> [f64; BLOCK] {
    let mut sums = [0_i32; BLOCK];
    for voice in voices {
        let weight = (voice.weight << (voice.shift(block) - low)).cast_signed();
        for (sum, word) in sums.iter_mut().zip(&voice.words::<BYTES>(block).0) {
            *sum += i32::from(*word) * weight;
        }
    }
    let scale = power_f64(low.cast_signed());
    sums.map(|sum| f64::from(sum) * scale)
}

/// Any exponents.
#[inline(always)]
fn sum_wide<const BYTES: usize>(voices: &[Weighed<'_>], block: usize) -> [i64; BLOCK] {
    let mut sums = [0_i64; BLOCK];
    for voice in voices {
        let (weight, up) = (i64::from(voice.weight), voice.shift(block));
        for (sum, word) in sums.iter_mut().zip(&voice.words::<BYTES>(block).0) {
            *sum += (i64::from(*word) * weight) << up;
        }
    }
    sums
}

/// Σw, and what dividing by it takes.
struct Divisor {
    sum: f64,
    half: f64,
    inverse: f64,
}

impl Divisor {
    #[inline(always)]
    fn new(sum: u32) -> Self {
        let sum = f64::from(sum);
        Self { sum, half: sum / 2.0, inverse: 1.0 / sum }
    }
}

/// Divides integers below 2^51 in magnitude, half to even, without a division.
///
/// The product with the inverse is off by less than 1/4, so that its rounding is off by at most one; the remainder is
/// exact (all terms are integers below 2^53) and says which way.
#[inline(always)]
fn divide(sums: &[f64; BLOCK], by: &Divisor) -> [i64; BLOCK] {
    let mut quotients = [0; BLOCK];
    let mut rests = [0.0; BLOCK];
    for ((quotient, rest), sum) in quotients.iter_mut().zip(&mut rests).zip(sums) {
        let shifted = sum * by.inverse + MAGIC;
        *quotient = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
        *rest = sum - (shifted - MAGIC) * by.sum;
    }
    let mut unsure = false;
    for rest in &rests {
        unsure |= rest.abs() >= by.half;
    }
    if unsure {
        settle(&mut quotients, &rests, by.half);
    }
    quotients
}

/// Sets right the quotients that lie at a tie, or a hair beyond one. Rare.
#[cold]
#[inline(never)]
fn settle(quotients: &mut [i64; BLOCK], rests: &[f64; BLOCK], half: f64) {
    for (quotient, rest) in quotients.iter_mut().zip(rests) {
        let odd = *quotient & 1 != 0;
        if *rest > half || (*rest >= half && odd) {
            *quotient += 1;
        } else if *rest < -half || (*rest <= -half && odd) {
            *quotient -= 1;
        }
    }
}

/// Divides any i64, half to even. Only values of tens and more come here.
#[cold]
fn divide_wide(sums: &[i64; BLOCK], by: u32) -> [i64; BLOCK] {
    let by = i64::from(by.max(1));
    sums.map(|sum| {
        let (floor, rest) = (sum.div_euclid(by), sum.rem_euclid(by));
        let up = 2 * rest > by || (2 * rest == by && floor & 1 != 0);
        floor + i64::from(up)
    })
}
