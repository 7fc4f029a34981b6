//! How far a log has come.

use serde::{Deserialize, Serialize};

/// How far our log has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// Records in the newest checkpoint that we signed.
    pub signed: u64,
    /// Records in the newest one that enough others cosigned.
    pub witnessed: u64,
    /// Every stored record is witnessed.
    pub settled: bool,
    /// This home lost records that it had signed for: it signs no more checkpoints.
    pub frozen: bool,
}
