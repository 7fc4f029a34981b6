//! From numbers to payload bytes.
//!
//! A tensor is its blocks' exponents (i8 each) and then its mantissas (i16 or i8, little-endian); a block is 64
//! consecutive values, the last may be shorter. value = q·2^e, e ∈ [−32, −1] (BFP16) or [−32, 7] (BFP8).
//!
//! A block takes the least e whose mantissas, each value·2^−e rounded half to even, lie within ±(2^(n−1) − 1); where
//! even the largest e has one beyond (values of almost 2^14), that mantissa is held at the end of the range.

use bytes::Bytes;

use super::{
    Layout, PayloadError,
    block::{BLOCK, Form, LEAST, Words, power_f32, power_f64, write},
    layout::Tile,
    simd::{Kernel, Level},
    view::{MAGIC, whole},
};
use crate::{base::limit::VALUE_Q32, manifest::Codec};

/// The same for f32 below 2^22: 1.5 · 2^23.
const MAGIC_F32: f32 = 12_582_912.0;
/// The bits of 2^14 as f32; those of NaN and infinity are larger.
const TOO_LARGE_F32: u32 = 0x4680_0000;

/// Encodes `values` (layout order), each rounded once, half to even.
///
/// # Errors
/// Not as many as the layout has, not finite, or 2^14 and more in magnitude.
pub fn encode_f32(layout: &Layout, codec: Codec, values: &[f32]) -> Result<Bytes, PayloadError> {
    encode(layout, codec, values, Level::widest())
}

/// Encodes Q.32 `values` (layout order), each rounded once, half to even.
///
/// # Errors
/// Not as many as the layout has, or 2^46 and more in magnitude.
pub fn encode_q32(layout: &Layout, codec: Codec, values: &[i64]) -> Result<Bytes, PayloadError> {
    encode(layout, codec, values, Level::widest())
}

/// A number that can be encoded.
pub(super) trait Value: Copy + Default {
    /// The block's exponent and its mantissas; `None` if one is too large.
    fn encode(form: Form, values: &[Self; BLOCK], words: &mut Words) -> Option<i8>;
    /// Why this value was too large.
    fn refuse(self, tensor: String) -> Option<PayloadError>;
}

pub(super) fn encode<V: Value>(
    layout: &Layout,
    codec: Codec,
    values: &[V],
    level: Level,
) -> Result<Bytes, PayloadError> {
    if values.len() != layout.len() {
        return Err(PayloadError::Count { got: values.len(), want: layout.len() });
    }
    let mut bytes = vec![0; layout.bytes(codec)];
    for tile in layout.tiles(codec) {
        let values = values.get(tile.values.clone()).unwrap_or_default();
        encode_tile(layout, codec, &tile, values, &mut bytes, level)?;
    }
    Ok(bytes.into())
}

/// Encodes one tile's `values` into its places in the payload's `bytes`.
pub(super) fn encode_tile<V: Value>(
    layout: &Layout,
    codec: Codec,
    tile: &Tile,
    values: &[V],
    bytes: &mut [u8],
    level: Level,
) -> Result<(), PayloadError> {
    let Tile { exponents, mantissas, slot, .. } = tile.clone();
    let places = bytes.split_at_mut_checked(mantissas.start);
    let places = places.and_then(|(head, tail)| head.get_mut(exponents).zip(tail.get_mut(..mantissas.len())));
    // A layout's tiles lie within its own length.
    let Some((exponents, mantissas)) = places else { return Ok(()) };
    if level.run(Encode { form: Form::of(codec), values, exponents, mantissas }) {
        return Ok(());
    }
    let refused = values.iter().find_map(|value| value.refuse(layout.name(slot)));
    Err(refused.unwrap_or_else(|| PayloadError::TooLarge { tensor: layout.name(slot) }))
}

struct Encode<'a, V> {
    form: Form,
    values: &'a [V],
    exponents: &'a mut [u8],
    mantissas: &'a mut [u8],
}

impl<V: Value> Kernel for Encode<'_, V> {
    type Output = bool;

    /// Whether all values were within bounds.
    #[inline(always)]
    fn run(self) -> bool {
        if self.form.bytes == 2 { self.go::<2>() } else { self.go::<1>() }
    }
}

impl<V: Value> Encode<'_, V> {
    #[inline(always)]
    fn go<const BYTES: usize>(self) -> bool {
        let Self { form, values, exponents, mantissas } = self;
        let mut words = Words::ZERO;
        let blocks = values.chunks(BLOCK).zip(mantissas.chunks_mut(BLOCK * BYTES));
        for (exponent, (values, mantissas)) in exponents.iter_mut().zip(blocks) {
            let encoded = if let Ok(values) = <&[V; BLOCK]>::try_from(values) {
                V::encode(form, values, &mut words)
            } else {
                let mut padded = [V::default(); BLOCK];
                for (to, from) in padded.iter_mut().zip(values) {
                    *to = *from;
                }
                V::encode(form, &padded, &mut words)
            };
            let Some(e) = encoded else { return false };
            *exponent = e.cast_unsigned();
            write::<BYTES>(&words, mantissas);
        }
        true
    }
}

impl Value for f32 {
    #[inline(always)]
    fn encode(form: Form, values: &[Self; BLOCK], words: &mut Words) -> Option<i8> {
        let mut top = 0;
        for value in values {
            top = top.max(value.to_bits() & 0x7fff_ffff);
        }
        if top >= TOO_LARGE_F32 {
            return None;
        }
        // The largest value lies in [2^power, 2^(power + 1)); a subnormal one far below the least exponent.
        let power = (top >> 23).cast_signed() - 127;
        let e = exponent(form, power, |e| f64::from(Self::from_bits(top) * power_f32(-e)));
        let (scale, max) = (power_f32(-i32::from(e)), Self::from(form.max));
        for (word, value) in words.0.iter_mut().zip(values) {
            let scaled = value * scale;
            let held = if scaled > max { max } else { scaled };
            let held = if held < -max { -max } else { held };
            *word = low16(u64::from((held + MAGIC_F32).to_bits()));
        }
        Some(e)
    }

    fn refuse(self, tensor: String) -> Option<PayloadError> {
        match self {
            value if !value.is_finite() => Some(PayloadError::NotFinite { tensor }),
            value if value.abs() >= 16_384.0 => Some(PayloadError::TooLarge { tensor }),
            _ => None,
        }
    }
}

impl Value for i64 {
    #[inline(always)]
    fn encode(form: Form, values: &[Self; BLOCK], words: &mut Words) -> Option<i8> {
        // Folding the sign away: v ≥ 0 is v, v < 0 is −v − 1, so the bound holds one value too many: −2^46.
        let (mut top, mut least) = (0, 0);
        for value in values {
            top = top.max(*value);
            least = least.min(*value);
        }
        if top >= VALUE_Q32 || least <= -VALUE_Q32 {
            return None;
        }
        let top = top.max(-least);
        let power = 31 - top.leading_zeros().cast_signed();
        let real = whole(top);
        let e = exponent(form, power, |e| real * power_f64(-32 - e));
        // Below 2^46 an i64 is exact as f64, and so is a power of two times it: the sum with MAGIC is the one rounding.
        let (scale, max) = (power_f64(-32 - i32::from(e)), f64::from(form.max));
        for (word, value) in words.0.iter_mut().zip(values) {
            let scaled = whole(*value) * scale;
            let held = if scaled > max { max } else { scaled };
            let held = if held < -max { -max } else { held };
            *word = low16((held + MAGIC).to_bits());
        }
        Some(e)
    }

    fn refuse(self, tensor: String) -> Option<PayloadError> {
        (self.unsigned_abs() >= VALUE_Q32.unsigned_abs()).then_some(PayloadError::TooLarge { tensor })
    }
}

/// The least exponent at which the largest magnitude of a block, in [2^power, 2^(power + 1)), fits; `scaled` is it · 2^−e.
#[inline(always)]
fn exponent(form: Form, power: i32, scaled: impl Fn(i32) -> f64) -> i8 {
    let bits = form.used_bits().cast_signed();
    let e = (power - bits).clamp(i32::from(LEAST), i32::from(form.top));
    // The half above the odd maximum would be rounded up, out of the range.
    let e = if scaled(e) >= f64::from(form.max) + 0.5 { e + 1 } else { e };
    i8::try_from(e).unwrap_or(form.top).min(form.top)
}

/// The low 16 bits: of a sum with a magic number, the rounded integer in two's complement.
#[inline(always)]
fn low16(bits: u64) -> i16 {
    let [a, b, ..] = bits.to_le_bytes();
    i16::from_le_bytes([a, b])
}
