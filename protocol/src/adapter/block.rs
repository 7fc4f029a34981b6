//! The block: 64 consecutive values of a tensor that share one exponent; the constants of each codec, and words to bytes.

use crate::manifest::Codec;

/// Values in a block; the last block of a tensor may be shorter.
pub(crate) const BLOCK: usize = 64;
/// The least exponent. A block that is all zero, or too small to use half its range, has it.
pub(crate) const LEAST: i8 = -32;

/// A block's mantissas, zero past its end. In lines of the cache: what is stored across two of them is slow to read back, and where
/// a thread's stack begins would else decide that.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Words(pub(crate) [i16; BLOCK]);

impl Words {
    pub(crate) const ZERO: Self = Self([0; BLOCK]);
}

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
}

/// Reads at most a block of mantissas of `BYTES` bytes each.
#[inline(always)]
pub(crate) fn read<const BYTES: usize>(bytes: &[u8]) -> Words {
    let (chunks, _) = bytes.as_chunks::<BYTES>();
    match <&[[u8; BYTES]; BLOCK]>::try_from(chunks) {
        Ok(chunks) => read_block(chunks),
        Err(_) => read_short(chunks),
    }
}

#[inline(always)]
fn read_block<const BYTES: usize>(chunks: &[[u8; BYTES]; BLOCK]) -> Words {
    let mut words = Words::ZERO;
    for (word, chunk) in words.0.iter_mut().zip(chunks) {
        *word = match chunk.as_slice() {
            [low, high] => i16::from_le_bytes([*low, *high]),
            [byte] => i16::from(byte.cast_signed()),
            _ => 0,
        };
    }
    words
}

/// Apart, so that the compiler does not make whole blocks wait for a copy of any length.
#[cold]
#[inline(never)]
fn read_short<const BYTES: usize>(chunks: &[[u8; BYTES]]) -> Words {
    let mut padded = [[0; BYTES]; BLOCK];
    for (to, from) in padded.iter_mut().zip(chunks) {
        *to = *from;
    }
    read_block(&padded)
}

/// Writes as many mantissas as `bytes` holds; each is within the codec's range.
#[inline(always)]
pub(crate) fn write<const BYTES: usize>(words: &Words, bytes: &mut [u8]) {
    let (chunks, _) = bytes.as_chunks_mut::<BYTES>();
    match <&mut [[u8; BYTES]; BLOCK]>::try_from(&mut *chunks) {
        Ok(chunks) => write_block(words, chunks),
        Err(_) => write_short(words, chunks),
    }
}

#[inline(always)]
fn write_block<const BYTES: usize>(words: &Words, chunks: &mut [[u8; BYTES]; BLOCK]) {
    for (chunk, word) in chunks.iter_mut().zip(&words.0) {
        for (to, from) in chunk.iter_mut().zip(word.to_le_bytes()) {
            *to = from;
        }
    }
}

/// As [`read_short`].
#[cold]
#[inline(never)]
fn write_short<const BYTES: usize>(words: &Words, chunks: &mut [[u8; BYTES]]) {
    let mut padded = [[0; BYTES]; BLOCK];
    write_block(words, &mut padded);
    for (to, from) in chunks.iter_mut().zip(padded) {
        *to = from;
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
