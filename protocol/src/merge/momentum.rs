//! The outer momentum, in integers.

use crate::{adapter::simd::Kernel, base::limit::VALUE_Q32};

/// The largest magnitude of M and v.
const MOST: i64 = VALUE_Q32 - 1;

/// One step on a tile: `values` comes in as the mean and leaves as M.
pub(super) struct Step<'a> {
    /// μ in units of 2^-16, below 2^16.
    pub(super) momentum: i64,
    /// X and v of the state before; without one X is the mean and v is 0, and the mean stays.
    pub(super) before: Option<(&'a [i64], &'a [i64])>,
    /// Mean in, M out.
    pub(super) values: &'a mut [i64],
    /// The new X: M.
    pub(super) x: &'a mut [i64],
    /// The new v; comes in as zeros.
    pub(super) v: &'a mut [i64],
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { momentum, before, values, x, v } = self;
        if let Some((old_x, old_v)) = before {
            for (((value, new), x), v) in values.iter_mut().zip(v.iter_mut()).zip(old_x).zip(old_v) {
                let gap = *value - x;
                *new = hold(scaled(momentum, *v) + gap);
                *value = hold(x + gap + scaled(momentum, *new));
            }
        }
        x.copy_from_slice(values);
    }
}

/// momentum · v / 2^16, half to even; below 2^62 before the shift.
#[inline(always)]
fn scaled(momentum: i64, v: i64) -> i64 {
    let product = momentum * v;
    (product + 0x7fff + ((product >> 16) & 1)) >> 16
}

#[inline(always)]
fn hold(value: i64) -> i64 {
    value.clamp(-MOST, MOST)
}
