//! From numbers to payload bytes.
//!
//! A tensor is its blocks' exponents (i8 each) and then its mantissas (i16 or i8, little-endian); a block is 64
//! consecutive values, the last may be shorter. value = q·2^e, e ∈ [−32, −1] (BFP16) or [−32, 7] (BFP8).

use bytes::Bytes;

use super::{Layout, PayloadError};
use crate::manifest::Codec;

/// Encodes `values` (layout order), each rounded once, half to even.
///
/// # Errors
/// Not finite, or 2^14 and more in magnitude.
pub fn encode_f32(layout: &Layout, codec: Codec, values: &[f32]) -> Result<Bytes, PayloadError> {
    let _ = (layout, codec, values);
    todo!("P2")
}

/// Encodes Q.32 `values` (layout order), each rounded once, half to even.
///
/// # Errors
/// 2^46 and more in magnitude.
pub fn encode_q32(layout: &Layout, codec: Codec, values: &[i64]) -> Result<Bytes, PayloadError> {
    let _ = (layout, codec, values);
    todo!("P2")
}

/// The f32 view of Q.32 values: nearest, half to even, times 2⁻³².
#[must_use]
pub fn f32_view(values: &[i64]) -> Vec<f32> {
    let _ = values;
    todo!("P2")
}
