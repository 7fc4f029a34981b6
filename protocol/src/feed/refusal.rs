//! Why a record, payload or presence message was refused, and whose fault it is.

use crate::code::cbor::CborError;

/// Whose fault a refusal is; decides gossip validation and scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever handed it over: an honest node would not have forwarded it.
    Sender,
    /// The author signed something wrong: nobody else could have made it.
    Author,
    /// Nobody: late, duplicate, or not yet understandable.
    Nobody,
}

/// Why something was refused. P1 completes the list; every variant says what came and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not strict CBOR.
    #[error("not a record: {0}")]
    Cbor(#[from] CborError),
}

impl Refusal {
    /// A stable code, such as `SIG-003` or `FEED-002`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        todo!("P1")
    }

    /// Whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        todo!("P1")
    }
}
