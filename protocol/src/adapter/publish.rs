//! What a member may publish after training: encoded, bounded in norm, frozen factors untouched.

use super::{
    Layout, Payload, PayloadError, encode_q32,
    simd::Level,
    update::{ONE, Update, keep_lost},
    within_bound,
};
use crate::{
    base::limit::VALUE_Q32,
    manifest::{Codec, Phase},
};

/// How often an update is shortened before what rounding lost is dropped, and again before the update is.
const TRIES: u32 = 8;

/// Why a trained adapter cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Training produced a value that is not finite.
    #[error("training produced a value that is not finite in tensor {tensor}")]
    NotFinite {
        /** whose */
        tensor: String,
    },
    /// A number of values that is not the layout's.
    #[error("{got} values of the {what}, the layout has {want}")]
    Count {
        /** merge result, trained adapter or residual */
        what: &'static str,
        /** values that came */
        got: usize,
        /** values of the layout */
        want: usize,
    },
    /// The merge result, or the trained adapter under a very wide norm bound, is beyond what a payload holds.
    #[error("the adapter cannot be encoded: {0}")]
    Encode(#[from] PayloadError),
    /// The norm bound is less than what rounding moves the merge result by.
    #[error(
        "even the unchanged merge result, once encoded, lies outside the norm bound; the network's norm bound is too small"
    )]
    Bound,
}

/// A publication: the node's new state is exactly this payload.
#[derive(Debug)]
pub struct Published {
    /// What travels.
    pub payload: Payload,
    /// ‖P − M‖₂ as a real, for people.
    pub norm: f64,
    /// The factor by which the update was shortened to stay within the norm bound; 1 if it was not.
    pub shrink: f64,
}

/// P = Q(M + clip(y − M) + e) on what trained, encode(M) on what was frozen; e ← what rounding lost (clipping is not
/// carried over). Shrinks until the decoded ‖P − M‖² ≤ C² holds in integers.
///
/// `merged` [Q.32] is M, `trained` y, `residual` e; all in layout order. `norm_bound` is C in units of 2^-16. Of
/// `trained` and `residual` only the trained factors are read, and only theirs of `residual` written. Where C leaves no
/// room for e beside the update, e is dropped; where it leaves none for the update, `shrink` is 0.
///
/// # Errors
/// A trained value is not finite, a length is wrong, or nothing can be encoded; `residual` stays as it was.
#[allow(clippy::too_many_arguments)]
pub fn publish(
    layout: &Layout,
    codec: Codec,
    phase: Phase,
    norm_bound: u64,
    merged: &[i64],
    trained: &[f32],
    residual: &mut [f32],
) -> Result<Published, PublishError> {
    let lengths = [("merge result", merged.len()), ("trained adapter", trained.len()), ("residual", residual.len())];
    for (what, got) in lengths {
        if got != layout.len() {
            return Err(PublishError::Count { what, got, want: layout.len() });
        }
    }
    // Beyond this range nothing can be encoded; within it all below is exact or small.
    check_range(layout, merged)?;
    let update = Update { layout, codec, phase, merged, trained, residual, level: Level::widest() };
    let length = update.length()?;
    let bound = real(norm_bound) / 65_536.0;
    let mut shrink = if length > bound { bound / length } else { 1.0 };
    let mut carry = true;
    for attempt in 0..=2 * TRIES {
        if attempt == TRIES {
            carry = false;
        }
        if attempt == 2 * TRIES {
            shrink = 0.0;
        }
        let target = update.target(shrink, carry);
        let payload = Payload::check(layout, codec, encode_q32(layout, codec, &target)?)?;
        let distance2 = payload.distance2_q32(merged, layout);
        let norm = square_root(distance2);
        if within_bound(distance2, norm_bound) {
            keep_lost(layout, phase, &target, &payload, residual);
            return Ok(Published { payload, norm, shrink });
        }
        // A little more than it takes, so that a second rounding rarely needs a third.
        shrink *= (bound / norm).min(1.0) * (1.0 - 1.0 / 1024.0);
    }
    Err(PublishError::Bound)
}

/// Whether what was frozen in `phase` is in `payload` exactly the encoding of `merged` [Q.32, layout order].
#[must_use]
pub fn check_frozen(layout: &Layout, codec: Codec, phase: Phase, merged: &[i64], payload: &Payload) -> bool {
    if payload.codec() != codec {
        return false;
    }
    if layout.slots().iter().all(|slot| phase.trains(slot.factor)) {
        return true;
    }
    let Ok(wanted) = encode_q32(layout, codec, merged) else { return false };
    layout.tiles(codec).all(|tile| {
        layout.slots().get(tile.slot).is_some_and(|slot| phase.trains(slot.factor))
            || [tile.exponents, tile.mantissas].into_iter().all(|place| {
                let wanted = wanted.get(place.clone());
                wanted.is_some() && wanted == payload.bytes().get(place)
            })
    })
}

/// ‖·‖₂ as a real, from its square in units of 2⁻⁶⁴.
fn square_root(distance2: u128) -> f64 {
    #[allow(clippy::cast_precision_loss)] // For people, and for a first guess that integers then check.
    let square = distance2 as f64;
    square.sqrt() / ONE
}

#[allow(clippy::cast_precision_loss)] // As above.
fn real(value: u64) -> f64 {
    value as f64
}

fn check_range(layout: &Layout, merged: &[i64]) -> Result<(), PayloadError> {
    let large = merged.iter().position(|value| value.unsigned_abs() >= VALUE_Q32.unsigned_abs());
    large.map_or(Ok(()), |place| {
        let slot = layout.slots().iter().position(|slot| slot.values.contains(&place));
        Err(PayloadError::TooLarge { tensor: layout.name(slot.unwrap_or(0)) })
    })
}
