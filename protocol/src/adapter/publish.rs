//! What a member may publish after training: encoded, bounded in norm, frozen factors untouched.

use super::{Layout, Payload};
use crate::manifest::{Codec, Phase};

/// Why a trained adapter cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Training produced a value that is not finite.
    #[error("training produced a value that is not finite in tensor {tensor}")]
    NotFinite {
        /** whose */
        tensor: String,
    },
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
/// `merged` [Q.32] is M, `trained` y, `residual` e; all in layout order. `norm_bound` is C in units of 2^-16.
///
/// # Errors
/// A trained value is not finite; `residual` stays as it was.
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
    let _ = (layout, codec, phase, norm_bound, merged, trained, residual);
    todo!("P2")
}
