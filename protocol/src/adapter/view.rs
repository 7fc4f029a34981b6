//! Q.32 integers as floats: the f32 view that libtorch sees and that hashes cover.

use super::{
    block::{BLOCK, power_f32},
    simd::{Kernel, Level},
};
use crate::code::tree::Run;

/// 1.5 · 2^52: added to an f64 below 2^51 it rounds half to even and leaves the integer in the low bits.
pub(crate) const MAGIC: f64 = 6_755_399_441_055_744.0;
/// Values turned to f32 at a time.
const VIEWED: usize = 16_384;

/// The f32 view of Q.32 values: nearest, half to even, times 2⁻³².
#[must_use]
pub fn f32_view(values: &[i64]) -> Vec<f32> {
    let mut view = Vec::new();
    f32_view_into(values, &mut view);
    view
}

/// As [`f32_view`], in memory that is there already.
pub fn f32_view_into(values: &[i64], view: &mut Vec<f32>) {
    view.resize(values.len(), 0.0);
    let level = Level::widest();
    for (view, values) in view.chunks_mut(VIEWED).zip(values.chunks(VIEWED)) {
        level.run(View { values, view });
    }
}

/// Adds the little-endian bytes of the f32 view of `values` to a run of a hash.
pub(crate) fn hash_view(run: &mut Run, mut values: &[i64], level: Level) {
    while !values.is_empty() {
        let room = run.room();
        let (now, later) = values.split_at(values.len().min(room.len() / 4));
        level.run(ViewBytes { values: now, bytes: room });
        run.advance(4 * now.len());
        values = later;
    }
}

/// An integer below 2^51 in magnitude as f64, exactly, without the scalar conversion that only wide registers replace.
#[inline(always)]
pub(crate) fn whole(value: i64) -> f64 {
    f64::from_bits(value.cast_unsigned().wrapping_add(MAGIC.to_bits())) - MAGIC
}

struct View<'a> {
    values: &'a [i64],
    view: &'a mut [f32],
}

impl Kernel for View<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (view, values) in self.view.chunks_mut(BLOCK).zip(self.values.chunks(BLOCK)) {
            let small = is_small(values);
            for (view, value) in view.iter_mut().zip(values) {
                *view = real(*value, small);
            }
        }
    }
}

struct ViewBytes<'a> {
    values: &'a [i64],
    bytes: &'a mut [u8],
}

impl Kernel for ViewBytes<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (bytes, values) in self.bytes.chunks_mut(4 * BLOCK).zip(self.values.chunks(BLOCK)) {
            let small = is_small(values);
            for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *bytes = real(*value, small).to_le_bytes();
            }
        }
    }
}

/// Whether all are below 2^51 in magnitude.
#[inline(always)]
fn is_small(values: &[i64]) -> bool {
    let mut all = 0;
    for value in values {
        all |= value ^ (value >> 63);
    }
    all < (1 << 51) - 1
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // The rounding is the point: once, half to even.
fn real(value: i64, small: bool) -> f32 {
    let rounded = if small { whole(value) as f32 } else { value as f32 };
    rounded * power_f32(-32)
}
