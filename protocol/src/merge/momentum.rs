//! The outer momentum, in integers.

use crate::{adapter::simd::Kernel, base::limit::VALUE_Q32};

/// The largest magnitude of M and v.
pub(super) const MOST: i64 = VALUE_Q32 - 1;

/// One step on a tile.
pub(super) struct Step<'a> {
    /// μ in units of 2^-16, below 2^16.
    pub(super) momentum: i64,
    /// The mean of the publications.
    pub(super) mean: &'a [i64],
    /// X of the state before in, M out.
    pub(super) x: &'a mut [i64],
    /// v of the state before in, the new one out.
    pub(super) v: &'a mut [i64],
}

impl Kernel for Step<'_> {
    /// Whether X and v were below 2^46 in magnitude, as those of every merge are.
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Self { momentum, mean, x, v } = self;
        // Without an early end, so that registers can work on many at a time.
        let mut beyond = false;
        for ((x, v), mean) in x.iter_mut().zip(v).zip(mean) {
            beyond |= (*x > MOST) | (*x < -MOST) | (*v > MOST) | (*v < -MOST);
            *v = hold(scaled(momentum, *v).wrapping_add(mean.wrapping_sub(*x)));
            *x = hold(mean + scaled(momentum, *v));
        }
        !beyond
    }
}

/// momentum · v / 2^16, half to even; below 2^62 before the shift.
#[inline(always)]
pub(super) fn scaled(momentum: i64, v: i64) -> i64 {
    // Out of bounds the result is of no matter.
    let product = momentum.wrapping_mul(v);
    product.wrapping_add(0x7fff + ((product >> 16) & 1)) >> 16
}

#[inline(always)]
pub(super) fn hold(value: i64) -> i64 {
    value.clamp(-MOST, MOST)
}
