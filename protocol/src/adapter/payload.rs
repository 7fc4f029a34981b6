//! A payload whose bytes are the one encoding of its values.

use bytes::Bytes;

use super::Layout;
use crate::manifest::Codec;

/// Why bytes are not a payload, or values cannot become one. P2 completes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Short or long.
    #[error("{got} bytes, the layout wants {want}")]
    Length {
        /** bytes that came */
        got: u64,
        /** bytes of the layout */
        want: u64,
    },
}

impl PayloadError {
    /// A stable code, such as `PAY-003`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        todo!("P2")
    }
}

/// A canonical payload. Only [`Payload::check`] makes one.
#[derive(Debug, Clone)]
pub struct Payload {
    codec: Codec,
    bytes: Bytes,
}

impl Payload {
    /// Checks length, exponents, mantissas and canonical form.
    ///
    /// # Errors
    /// The first block that breaks a rule.
    pub fn check(layout: &Layout, codec: Codec, bytes: Bytes) -> Result<Self, PayloadError> {
        let _ = layout;
        let _ = (codec, bytes);
        todo!("P2")
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
        let _ = layout;
        todo!("P2")
    }

    /// Its values in Q.32, exactly.
    #[must_use]
    pub fn to_q32(&self, layout: &Layout) -> Vec<i64> {
        let _ = layout;
        todo!("P2")
    }

    /// ‖self − other‖² in units of 2⁻⁶⁴, exactly.
    #[must_use]
    pub fn distance2(&self, other: &Self, layout: &Layout) -> u128 {
        let _ = (other, layout);
        todo!("P2")
    }

    /// ‖self − values‖² for Q.32 `values`, in units of 2⁻⁶⁴, exactly.
    #[must_use]
    pub fn distance2_q32(&self, values: &[i64], layout: &Layout) -> u128 {
        let _ = (values, layout);
        todo!("P2")
    }
}
