//! The weighted mean of publications, block by block: exact integers, one division, half to even.
//!
//! acc = Σ w·q·2^(e+32) is below 2^62 for Σw ≤ 2^16. Whatever the way below, the result is the integer nearest to
//! acc / Σw, the even one of two: wide registers, order and tiles cannot show in it.

use crate::adapter::{
    MAGIC, Part,
    block::{BLOCK, Form, Words, power_f64, shift},
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
        let Self { form, voices, sum, values } = self;
        let divisor = Divisor::new(sum);
        let stride = BLOCK * form.bytes;
        for (block, values) in values.chunks_mut(BLOCK).enumerate() {
            let exponent = |voice: &Weighed<'_>| shift(voice.part.exponents.get(block).map_or(0, |e| e.cast_signed()));
            let words = |voice: &Weighed<'_>| {
                let rest = voice.part.mantissas.get(block * stride..).unwrap_or_default();
                form.read(rest.get(..stride).unwrap_or(rest))
            };
            let low = voices.iter().map(exponent).min().unwrap_or(0);
            // Σ w in units of 2^low; |acc| ≤ 2^15 of these.
            let reach: u64 = voices.iter().map(|voice| u64::from(voice.weight) << (exponent(voice) - low)).sum();
            let mean = if reach << low >= 1 << 36 {
                divide_wide(&sum_wide(voices, exponent, words), sum)
            } else if reach <= 1 << 16 {
                divide(&sum_narrow(voices, exponent, words, low), &divisor)
            } else {
                let wide = sum_wide(voices, exponent, words);
                let mut sums = [0.0; BLOCK];
                for (to, from) in sums.iter_mut().zip(&wide) {
                    *to = whole(*from);
                }
                divide(&sums, &divisor)
            };
            for (value, mean) in values.iter_mut().zip(&mean) {
                *value = *mean;
            }
        }
    }
}

/// Exponents near each other, which is nearly always: sums in units of 2^low fit 31 bits, and below 2^51 an f64.
#[inline(always)]
fn sum_narrow<'a>(
    voices: &[Weighed<'a>],
    exponent: impl Fn(&Weighed<'a>) -> u32,
    words: impl Fn(&Weighed<'a>) -> Words,
    low: u32,
) -> [f64; BLOCK] {
    let mut sums = [0_i32; BLOCK];
    for voice in voices {
        let weight = (voice.weight << (exponent(voice) - low)).cast_signed();
        for (sum, word) in sums.iter_mut().zip(words(voice)) {
            *sum += i32::from(word) * weight;
        }
    }
    let scale = power_f64(low.cast_signed());
    let mut scaled = [0.0; BLOCK];
    for (to, from) in scaled.iter_mut().zip(&sums) {
        *to = f64::from(*from) * scale;
    }
    scaled
}

/// Any exponents.
#[inline(always)]
fn sum_wide<'a>(
    voices: &[Weighed<'a>],
    exponent: impl Fn(&Weighed<'a>) -> u32,
    words: impl Fn(&Weighed<'a>) -> Words,
) -> [i64; BLOCK] {
    let mut sums = [0_i64; BLOCK];
    for voice in voices {
        let (weight, up) = (i64::from(voice.weight), exponent(voice));
        for (sum, word) in sums.iter_mut().zip(words(voice)) {
            *sum += (i64::from(word) * weight) << up;
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
    for (quotient, sum) in quotients.iter_mut().zip(sums) {
        let shifted = sum * by.inverse + MAGIC;
        let near = shifted - MAGIC;
        let rest = sum - near * by.sum;
        let bits = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
        let odd = bits & 1 != 0;
        let up = (rest > by.half) | ((rest == by.half) & odd);
        let down = (rest < -by.half) | ((rest == -by.half) & odd);
        *quotient = bits + i64::from(up) - i64::from(down);
    }
    quotients
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
