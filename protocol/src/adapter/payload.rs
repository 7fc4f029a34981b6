//! A payload whose bytes are the one encoding of its values.

use bytes::Bytes;

use super::{
    Layout, PayloadError,
    block::{BLOCK, Form, LEAST, power_f32, read, shift},
    distance,
    layout::Tile,
    simd::{Kernel, Level},
};
use crate::manifest::Codec;

/// A canonical payload. Only [`Payload::check`] makes one.
///
/// Where a method takes a layout, it is the one that the payload was checked with.
#[derive(Debug, Clone)]
pub struct Payload {
    codec: Codec,
    bytes: Bytes,
}

/// A tile's part of a payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// i8 each.
    pub(crate) exponents: &'a [u8],
    /// Little-endian.
    pub(crate) mantissas: &'a [u8],
}

impl Payload {
    /// Checks length, exponents, mantissas and canonical form.
    ///
    /// # Errors
    /// The first block that breaks a rule.
    pub fn check(layout: &Layout, codec: Codec, bytes: Bytes) -> Result<Self, PayloadError> {
        Self::check_at(layout, codec, bytes, Level::widest())
    }

    pub(super) fn check_at(layout: &Layout, codec: Codec, bytes: Bytes, level: Level) -> Result<Self, PayloadError> {
        let (got, want) = (bytes.len() as u64, layout.payload_len(codec));
        if got != want {
            return Err(PayloadError::Length { got, want });
        }
        let payload = Self { codec, bytes };
        for tile in layout.tiles(codec) {
            if let Some((block, fault)) = level.run(Check { form: Form::of(codec), part: payload.part(&tile) }) {
                let (tensor, block) = (layout.name(tile.slot), tile.block + block);
                return Err(match fault {
                    Fault::Exponent(got) => PayloadError::Exponent { tensor, block, got, top: Form::of(codec).top },
                    Fault::Mantissa => PayloadError::Mantissa { tensor, block },
                    Fault::NotCanonical(exponent) => PayloadError::NotCanonical { tensor, block, exponent },
                });
            }
        }
        Ok(payload)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How they are written.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Its values as f32, exactly.
    #[must_use]
    pub fn to_f32(&self, layout: &Layout) -> Vec<f32> {
        self.decode(layout, Level::widest())
    }

    /// Its values in Q.32, exactly.
    #[must_use]
    pub fn to_q32(&self, layout: &Layout) -> Vec<i64> {
        self.decode(layout, Level::widest())
    }

    /// ‖self − other‖² in units of 2⁻⁶⁴, exactly.
    #[must_use]
    pub fn distance2(&self, other: &Self, layout: &Layout) -> u128 {
        distance::between(self, other, layout, Level::widest())
    }

    /// ‖self − values‖² for Q.32 `values`, in units of 2⁻⁶⁴, exactly.
    #[must_use]
    pub fn distance2_q32(&self, values: &[i64], layout: &Layout) -> u128 {
        distance::to_values(self, values, layout, Level::widest())
    }

    /// The bytes of `tile`; empty if it lies outside, which it does not for the layout that the payload was checked with.
    #[inline]
    pub(crate) fn part(&self, tile: &Tile) -> Part<'_> {
        Part::of(&self.bytes, tile)
    }

    pub(super) fn decode<V: Decoded>(&self, layout: &Layout, level: Level) -> Vec<V> {
        let mut values = vec![V::default(); layout.len()];
        for tile in layout.tiles(self.codec) {
            if let Some(values) = values.get_mut(tile.values.clone()) {
                decode_part(self.part(&tile), self.codec, values, level);
            }
        }
        values
    }
}

impl<'a> Part<'a> {
    /// The part of `tile` in a payload's bytes; empty if it lies outside.
    #[inline]
    pub(super) fn of(bytes: &'a [u8], tile: &Tile) -> Self {
        Self {
            exponents: bytes.get(tile.exponents.clone()).unwrap_or_default(),
            mantissas: bytes.get(tile.mantissas.clone()).unwrap_or_default(),
        }
    }
}

/// The values of a part.
pub(super) fn decode_part<V: Decoded>(part: Part<'_>, codec: Codec, values: &mut [V], level: Level) {
    level.run(Decode { form: Form::of(codec), part, values });
}

/// What a block broke.
enum Fault {
    Exponent(i8),
    Mantissa,
    NotCanonical(i8),
}

struct Check<'a> {
    form: Form,
    part: Part<'a>,
}

impl Kernel for Check<'_> {
    type Output = Option<(usize, Fault)>;

    /// The first block that breaks a rule.
    #[inline(always)]
    fn run(self) -> Self::Output {
        if self.form.bytes == 2 { self.go::<2>() } else { self.go::<1>() }
    }
}

impl Check<'_> {
    #[inline(always)]
    fn go<const BYTES: usize>(self) -> Option<(usize, Fault)> {
        let Self { form, part } = self;
        let least = form.max + 1;
        let used = 1 << form.used_bits();
        let blocks = part.exponents.iter().zip(part.mantissas.chunks(BLOCK * BYTES));
        for (block, (exponent, mantissas)) in blocks.enumerate() {
            let exponent = exponent.cast_signed();
            if exponent < LEAST || exponent > form.top {
                return Some((block, Fault::Exponent(exponent)));
            }
            let mut top = 0;
            for word in read::<BYTES>(mantissas) {
                top = top.max(word.unsigned_abs());
            }
            if top == least {
                return Some((block, Fault::Mantissa));
            }
            if exponent != LEAST && top < used {
                return Some((block, Fault::NotCanonical(exponent)));
            }
        }
        None
    }
}

/// A number that a payload decodes to, exactly.
pub(super) trait Decoded: Copy + Default {
    /// What a block multiplies its mantissas with.
    type Scale: Copy;
    /// The scale of a block.
    fn scale(exponent: i8) -> Self::Scale;
    /// One value.
    fn value(word: i16, scale: Self::Scale) -> Self;
}

impl Decoded for f32 {
    type Scale = Self;

    #[inline(always)]
    fn scale(exponent: i8) -> Self {
        power_f32(i32::from(exponent))
    }

    #[inline(always)]
    fn value(word: i16, scale: Self) -> Self {
        Self::from(word) * scale
    }
}

impl Decoded for i64 {
    type Scale = u32;

    #[inline(always)]
    fn scale(exponent: i8) -> u32 {
        shift(exponent)
    }

    #[inline(always)]
    fn value(word: i16, scale: u32) -> Self {
        Self::from(word) << scale
    }
}

struct Decode<'a, V> {
    form: Form,
    part: Part<'a>,
    values: &'a mut [V],
}

impl<V: Decoded> Kernel for Decode<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if self.form.bytes == 2 { self.go::<2>() } else { self.go::<1>() }
    }
}

impl<V: Decoded> Decode<'_, V> {
    #[inline(always)]
    fn go<const BYTES: usize>(self) {
        let Self { part, values, .. } = self;
        let blocks = part.exponents.iter().zip(part.mantissas.chunks(BLOCK * BYTES));
        for (values, (exponent, mantissas)) in values.chunks_mut(BLOCK).zip(blocks) {
            let scale = V::scale(exponent.cast_signed());
            for (value, word) in values.iter_mut().zip(read::<BYTES>(mantissas)) {
                *value = V::value(word, scale);
            }
        }
    }
}
