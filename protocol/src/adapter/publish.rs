//! What a member may publish after training: encoded, bounded in norm, frozen factors untouched.

use std::mem;

use super::{
    Layout, Payload, PayloadError, encode_q32,
    simd::Level,
    update::{ONE, Share, Update},
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
/// `trained` and `residual` only the trained factors are read, and only theirs of `residual` changed; `spare` is memory to work
/// in, whatever it holds. Where C leaves no room for e beside the update, e is dropped; where it leaves none for the update,
/// `shrink` is 0.
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
    residual: &mut Vec<f32>,
    spare: &mut Vec<f32>,
) -> Result<Published, PublishError> {
    let lengths = [("merge result", merged.len()), ("trained adapter", trained.len()), ("residual", residual.len())];
    for (what, got) in lengths {
        if got != layout.len() {
            return Err(PublishError::Count { what, got, want: layout.len() });
        }
    }
    // Beyond this range nothing can be encoded; within it all below is exact or small.
    check_range(layout, merged)?;
    spare.resize(layout.len(), 0.0);
    let bound = real(norm_bound) / 65_536.0;
    let mut share = Share { shrink: 1.0, carry: true };
    for attempt in 0..=2 * TRIES + 1 {
        let update = Update { layout, codec, phase, merged, trained, residual, level: Level::widest() };
        let encoded = match update.encode(share, spare) {
            // What trained far out may not encode before it is shortened.
            Err(error @ PublishError::Encode(_)) if attempt == 0 => {
                let length = update.length()?;
                if length <= bound {
                    return Err(error);
                }
                share.shrink = bound / length;
                continue;
            }
            encoded => encoded?,
        };
        let norm = square_root(encoded.distance2);
        if within_bound(encoded.distance2, norm_bound) && share.shrink * encoded.length <= bound * (1.0 + 1e-9) {
            let payload = Payload::check(layout, codec, encoded.bytes.into())?;
            mem::swap(residual, spare);
            return Ok(Published { payload, norm, shrink: share.shrink });
        }
        share = shorter(share, attempt, bound, encoded.length, norm);
    }
    Err(PublishError::Bound)
}

/// The next share to try: first the update cut to the bound, then a little less each time; then without e; at last nothing.
fn shorter(share: Share, attempt: u32, bound: f64, length: f64, norm: f64) -> Share {
    let shrink = match attempt {
        0 if length > bound => bound / length,
        // A little more than it takes, so that a second rounding rarely needs a third.
        _ if attempt < 2 * TRIES => share.shrink * (bound / norm).min(1.0) * (1.0 - 1.0 / 1024.0),
        _ => 0.0,
    };
    Share { shrink, carry: attempt < TRIES }
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
    // Without an early end, so that registers can work on many at a time; which value it was is looked for afterwards.
    if merged.iter().fold(0, |all, value| all | (value ^ (value >> 63))) < VALUE_Q32 - 1 {
        return Ok(());
    }
    let large = merged.iter().position(|value| value.unsigned_abs() >= VALUE_Q32.unsigned_abs());
    large.map_or(Ok(()), |place| {
        let slot = layout.slots().iter().position(|slot| slot.values.contains(&place));
        Err(PayloadError::TooLarge { tensor: layout.name(slot.unwrap_or(0)) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapter::f32_view,
        manifest::{AdapterSpec, Factor, TensorSpec},
    };

    const WIDE: u64 = 1 << 40;

    #[allow(clippy::too_many_arguments)]
    fn publish(
        layout: &Layout,
        codec: Codec,
        phase: Phase,
        norm_bound: u64,
        merged: &[i64],
        trained: &[f32],
        residual: &mut Vec<f32>,
    ) -> Result<Published, PublishError> {
        let mut spare = vec![f32::NAN; 3];
        super::publish(layout, codec, phase, norm_bound, merged, trained, residual, &mut spare)
    }

    fn layout() -> Layout {
        let tensors = [("a", Factor::A, 4, 50), ("b", Factor::B, 4, 30)]
            .map(|(name, factor, rows, columns)| TensorSpec { name: name.into(), factor, rows, columns });
        Layout::new(&AdapterSpec { rank: 4, alpha: 4, seed: 0, start: [0; 32], tensors: tensors.into() }).unwrap()
    }

    /// M, and y at about `step` from it in every value.
    fn trained(layout: &Layout, step: f32) -> (Vec<i64>, Vec<f32>) {
        let merged: Vec<i64> = layout.start(1).iter().zip(layout.start(2)).map(|(a, b)| a + b / 3 + 12_345).collect();
        let moved =
            f32_view(&merged).iter().zip(f32_view(&layout.start(3))).map(|(m, n)| m + step * (n + 0.1)).collect();
        (merged, moved)
    }

    #[test]
    fn within_the_bound_what_is_published_and_lost_is_what_was_trained() {
        let layout = layout();
        let (merged, trained) = trained(&layout, 0.01);
        for codec in [Codec::Bfp16, Codec::Bfp8] {
            let mut residual = vec![0.0; layout.len()];
            let published = publish(&layout, codec, Phase::Both, WIDE, &merged, &trained, &mut residual).unwrap();
            assert!((published.shrink - 1.0).abs() < f64::EPSILON);
            let values = published.payload.to_f32(&layout);
            for ((y, p), e) in trained.iter().zip(&values).zip(&residual) {
                assert!((y - (p + e)).abs() < 1e-6, "{y} {p} {e}");
            }
            let norm = square_root(published.payload.distance2_q32(&merged, &layout));
            assert!((published.norm - norm).abs() < 1e-12);
        }
    }

    #[test]
    fn what_rounding_lost_is_made_up_for() {
        let layout = layout();
        let (merged, trained) = trained(&layout, 0.01);
        let mut residual = vec![0.0; layout.len()];
        let rounds = 50_u8;
        let mut sums = vec![0.0; layout.len()];
        for _ in 0..rounds {
            let published = publish(&layout, Codec::Bfp8, Phase::Both, WIDE, &merged, &trained, &mut residual).unwrap();
            for (sum, value) in sums.iter_mut().zip(published.payload.to_f32(&layout)) {
                *sum += f64::from(value);
            }
        }
        // Sum of sent = sum of wanted - what is still owed, which is at most half a step.
        for ((sum, y), e) in sums.iter().zip(&trained).zip(&residual) {
            assert!((sum + f64::from(*e) - f64::from(rounds) * f64::from(*y)).abs() < 1e-4, "{sum} {y} {e}");
        }
    }

    #[test]
    fn what_was_frozen_is_the_merge_encoded_and_keeps_its_residual() {
        let layout = layout();
        let (merged, trained) = trained(&layout, 0.5);
        for (phase, frozen) in [(Phase::A, Factor::B), (Phase::B, Factor::A)] {
            let mut residual = vec![0.001; layout.len()];
            let published = publish(&layout, Codec::Bfp16, phase, WIDE, &merged, &trained, &mut residual).unwrap();
            assert!(check_frozen(&layout, Codec::Bfp16, phase, &merged, &published.payload));
            assert!(!check_frozen(&layout, Codec::Bfp8, phase, &merged, &published.payload));
            for slot in layout.slots() {
                let kept = residual[slot.values.clone()].iter().all(|e| e.to_bits() == 0.001_f32.to_bits());
                assert_eq!(kept, slot.factor == frozen);
            }
            // The other factor trained: seen as this phase's work of another, it is not the merge.
            let other = if phase == Phase::A { Phase::B } else { Phase::A };
            assert!(!check_frozen(&layout, Codec::Bfp16, other, &merged, &published.payload));
            assert!(check_frozen(&layout, Codec::Bfp16, Phase::Both, &merged, &published.payload));
        }
    }

    #[test]
    fn the_bound_holds_in_integers_whatever_was_trained() {
        let layout = layout();
        for step in [0.001, 1.0, 500.0, 1e30] {
            let (merged, trained) = trained(&layout, step);
            for bound in [3000, 65_536, 10 << 16] {
                for lost in [0.0, 0.01, f32::NAN] {
                    let mut residual = vec![lost; layout.len()];
                    let published =
                        publish(&layout, Codec::Bfp16, Phase::Both, bound, &merged, &trained, &mut residual).unwrap();
                    let distance2 = published.payload.distance2_q32(&merged, &layout);
                    assert!(within_bound(distance2, bound), "step {step}, bound {bound}: {distance2}");
                    assert!(residual.iter().all(|e| e.abs() < 0.01));
                }
            }
        }
    }

    #[test]
    fn a_bound_below_what_rounding_moves_is_said_so() {
        let layout = layout();
        let (merged, trained) = trained(&layout, 0.1);
        let mut residual = vec![0.25; layout.len()];
        let result = publish(&layout, Codec::Bfp8, Phase::Both, 0, &merged, &trained, &mut residual);
        assert_eq!(result.unwrap_err(), PublishError::Bound);
        assert!(residual.iter().all(|e| e.to_bits() == 0.25_f32.to_bits()));
    }

    #[test]
    fn what_is_not_finite_is_refused_by_name_and_leaves_the_residual() {
        let layout = layout();
        let (merged, good) = trained(&layout, 0.1);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut trained = good.clone();
            trained[210] = bad;
            let mut residual = vec![0.25; layout.len()];
            let mut attempt = |phase| publish(&layout, Codec::Bfp16, phase, WIDE, &merged, &trained, &mut residual);
            assert_eq!(attempt(Phase::Both).unwrap_err(), PublishError::NotFinite { tensor: "b".into() });
            assert!(attempt(Phase::B).is_err());
            assert!(attempt(Phase::A).is_ok(), "what is frozen is not read");
            assert!(residual[200..].iter().all(|e| e.to_bits() == 0.25_f32.to_bits()));
        }
        let mut residual = vec![0.0; 3];
        let result = publish(&layout, Codec::Bfp16, Phase::Both, WIDE, &merged, &good, &mut residual);
        assert_eq!(result.unwrap_err(), PublishError::Count { what: "residual", got: 3, want: layout.len() });
    }

    #[test]
    fn a_value_beyond_the_codec_is_refused_by_name() {
        let layout = layout();
        let (merged, mut trained) = trained(&layout, 0.1);
        trained[3] = 20_000.0;
        let mut residual = vec![0.0; layout.len()];
        let result = publish(&layout, Codec::Bfp16, Phase::Both, WIDE, &merged, &trained, &mut residual);
        assert_eq!(result.unwrap_err(), PublishError::Encode(PayloadError::TooLarge { tensor: "a".into() }));
    }
}
