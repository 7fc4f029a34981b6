//! A payload whose bytes are the one encoding of its values.

use std::iter::Peekable;

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
        let mut checking = Checking { level, ..Checking::new(layout, codec) };
        if bytes.len() as u64 == checking.want {
            checking.take(&bytes);
        }
        checking.finish(bytes)
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

/// A check of a payload while its bytes come.
pub(crate) struct Checking<'a> {
    layout: &'a Layout,
    codec: Codec,
    level: Level,
    /// Bytes that the layout takes.
    want: u64,
    /// Those not yet checked.
    tiles: Peekable<Box<dyn Iterator<Item = Tile> + 'a>>,
    /// Of the first block that breaks a rule.
    error: Option<PayloadError>,
}

impl<'a> Checking<'a> {
    pub(crate) fn new(layout: &'a Layout, codec: Codec) -> Self {
        let tiles: Box<dyn Iterator<Item = Tile>> = Box::new(layout.tiles(codec));
        let want = layout.payload_len(codec);
        Self { layout, codec, level: Level::widest(), want, tiles: tiles.peekable(), error: None }
    }

    /// Checks the tiles that are whole in `so_far`, the payload's bytes from its beginning on.
    pub(crate) fn take(&mut self, so_far: &[u8]) {
        // A tensor's exponents stand before its mantissas, and its tiles in order.
        while let Some(tile) = self.tiles.next_if(|tile| self.error.is_none() && tile.mantissas.end <= so_far.len()) {
            let (form, part) = (Form::of(self.codec), Part::of(so_far, &tile));
            let Some((block, fault)) = self.level.run(Check { form, part }) else { continue };
            let (tensor, block) = (self.layout.name(tile.slot), tile.block + block);
            self.error = Some(match fault {
                Fault::Exponent(got) => PayloadError::Exponent { tensor, block, got, top: form.top },
                Fault::Mantissa => PayloadError::Mantissa { tensor, block },
                Fault::NotCanonical(exponent) => PayloadError::NotCanonical { tensor, block, exponent },
            });
        }
    }

    /// The payload of all `bytes`, which [`take`](Self::take) has been shown whole, be it by and by.
    ///
    /// # Errors
    /// Another length than the layout's, or the first block that breaks a rule.
    pub(crate) fn finish(self, bytes: Bytes) -> Result<Payload, PayloadError> {
        let (got, want) = (bytes.len() as u64, self.want);
        if got != want {
            return Err(PayloadError::Length { got, want });
        }
        self.error.map_or(Ok(Payload { codec: self.codec, bytes }), Err)
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
            for word in &read::<BYTES>(mantissas).0 {
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
            for (value, word) in values.iter_mut().zip(&read::<BYTES>(mantissas).0) {
                *value = V::value(*word, scale);
            }
        }
    }
}
