//! Why bytes are not a payload, or values cannot become one.

/// Why bytes are not a payload, or values cannot become one.
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
    /// Outside the codec's range.
    #[error("tensor {tensor}, block {block}: the exponent is {got}, the codec allows -32 to {top}")]
    Exponent {
        /** whose */
        tensor: String,
        /** counted within the tensor, from 0 */
        block: usize,
        /** what came */
        got: i8,
        /** the largest allowed */
        top: i8,
    },
    /// The one mantissa without a negative.
    #[error("tensor {tensor}, block {block}: a mantissa is the least of its width; the range is symmetric")]
    Mantissa {
        /** whose */
        tensor: String,
        /** counted within the tensor, from 0 */
        block: usize,
    },
    /// A smaller exponent would do.
    #[error("tensor {tensor}, block {block}: exponent {exponent} is not the least that holds its values")]
    NotCanonical {
        /** whose */
        tensor: String,
        /** counted within the tensor, from 0 */
        block: usize,
        /** what came */
        exponent: i8,
    },
    /// Values to encode do not fit the layout.
    #[error("{got} values to encode, the layout has {want}")]
    Count {
        /** values that came */
        got: usize,
        /** values of the layout */
        want: usize,
    },
    /// NaN or infinite.
    #[error("tensor {tensor} has a value that is not finite")]
    NotFinite {
        /** whose */
        tensor: String,
    },
    /// 2^14 or more in magnitude.
    #[error("tensor {tensor} has a value of 16384 or more in magnitude")]
    TooLarge {
        /** whose */
        tensor: String,
    },
}

impl PayloadError {
    /// A stable code, such as `PAY-003`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "PAY-001",
            Self::Exponent { .. } => "PAY-002",
            Self::Mantissa { .. } => "PAY-003",
            Self::NotCanonical { .. } => "PAY-004",
            Self::Count { .. } => "PAY-005",
            Self::NotFinite { .. } => "PAY-006",
            Self::TooLarge { .. } => "PAY-007",
        }
    }
}
