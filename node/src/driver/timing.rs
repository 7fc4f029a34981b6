//! How long things may take.

/// How long things may take, in milliseconds. The defaults suit members on the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long to wait at the start for peers' heads before acting alone; twelve times as long for the first answer once
    /// something was published.
    pub start_wait_ms: u64,
    /// The longest wait for peers' publications in a round, as a share of the own usual work, in 2^-16.
    pub wait_share: u64,
    /// What a fetch may take at least before a round goes on without it.
    pub gather_min_ms: u64,
    /// The same where none was observed yet; and how long others may catch up when this member is too far ahead of them.
    pub gather_max_ms: u64,
    /// How long one fetch may take before another holder is tried.
    pub fetch_ms: u64,
    /// How long a blob transfer may stand still before it is given up.
    pub stall_ms: u64,
    /// How often presence is announced when nothing happens.
    pub presence_ms: u64,
    /// How often a checkpoint of the transparency log is signed and sent round, when records came.
    pub checkpoint_ms: u64,
    /// How long a finished node goes on serving peers that are not done yet, at most.
    pub linger_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            start_wait_ms: 5_000,
            wait_share: 1 << 16,
            gather_min_ms: 250,
            gather_max_ms: 30_000,
            fetch_ms: 60_000,
            stall_ms: 5_000,
            presence_ms: 10_000,
            checkpoint_ms: 30_000,
            linger_ms: 10_000,
        }
    }
}
