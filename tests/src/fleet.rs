//! Networks of member processes on this machine: keys, genesis, homes, child processes and what they say.

mod line;
mod network;
mod process;

pub use line::{Line, Round};
pub use network::{Network, Shape};
pub use process::{Member, Options};

/// The longest that a member of a test network waits for another, in milliseconds.
pub const PEER_TIMEOUT_MS: u64 = 5_000;

/// Options of a small LoRA trainer, the same for every member of a test network.
#[must_use]
pub fn lora(model: &std::path::Path, data: &std::path::Path) -> chorale::train::Options {
    chorale::train::Options {
        model: model.to_owned(),
        data: data.to_owned(),
        rank: 2,
        targets: vec!["q_proj".into(), "v_proj".into()],
        batch_size: 2,
        sequence_length: 64,
        threads: 1,
        salt: Some([7; 32]),
        ..Default::default()
    }
}
