//! The block: 64 consecutive values of a tensor that share one exponent; the constants of each codec, and words to bytes.

use crate::manifest::Codec;

/// Values in a block; the last block of a tensor may be shorter.
pub(crate) const BLOCK: usize = 64;
/// The least exponent. A block that is all zero, or too small to use half its range, has it.
pub(crate) const LEAST: i8 = -32;

/// A block's mantissas, zero past its end.
pub(crate) type Words = [i16; BLOCK];

/// What a codec fixes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// Bytes of a mantissa.
    pub(crate) bytes: usize,
    /// The largest exponent: the largest value stays below 2^14.
    pub(crate) top: i8,
    /// The largest mantissa, 2^(n−1) − 1; the least is its negative.
    pub(crate) max: u16,
}

impl Form {
    pub(crate) const fn of(codec: Codec) -> Self {
        match codec {
            Codec::Bfp16 => Self { bytes: 2, top: -1, max: 32_767 },
            Codec::Bfp8 => Self { bytes: 1, top: 7, max: 127 },
        }
    }

    /// n − 2: a canonical block above the least exponent has a mantissa of at least 2^(n−2).
    pub(crate) const fn used_bits(self) -> u32 {
        self.max.count_ones() - 1
    }

    /// Reads at most a block of mantissas.
    #[inline(always)]
    pub(crate) fn read(self, bytes: &[u8]) -> Words {
        let mut words = [0; BLOCK];
        if self.bytes == 2 {
            for (word, pair) in words.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *word = i16::from_le_bytes(*pair);
            }
        } else {
            for (word, byte) in words.iter_mut().zip(bytes) {
                *word = i16::from(byte.cast_signed());
            }
        }
        words
    }

    /// Writes as many mantissas as `bytes` holds; each is within ±`max`.
    #[inline(always)]
    pub(crate) fn write(self, words: &Words, bytes: &mut [u8]) {
        if self.bytes == 2 {
            for (pair, word) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(words) {
                *pair = word.to_le_bytes();
            }
        } else {
            for (byte, word) in bytes.iter_mut().zip(words) {
                *byte = word.to_le_bytes()[0];
            }
        }
    }
}

/// 2^`exponent` as f32, for a normal result.
#[inline(always)]
pub(crate) fn power_f32(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent).cast_unsigned() & 0xff) << 23)
}

/// 2^`exponent` as f64, for a normal result.
#[inline(always)]
pub(crate) fn power_f64(exponent: i32) -> f64 {
    f64::from_bits(u64::from((1023 + exponent).cast_unsigned() & 0x7ff) << 52)
}

/// The place of Q.32's binary point in a block: v = q · 2^shift.
#[inline(always)]
pub(crate) fn shift(exponent: i8) -> u32 {
    (i32::from(exponent) - i32::from(LEAST)).cast_unsigned() & 63
}
