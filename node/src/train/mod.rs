//! Training: the trait that the driver knows, the deterministic fake, and the real one on libtorch.

pub mod data;
mod error;
mod fake;
mod options;
mod plan;
#[cfg(feature = "torch")]
mod state;
pub mod text;
#[cfg(feature = "torch")]
pub mod torch;

pub use error::TrainError;
pub use fake::{FakeOptions, FakeTrainer, Mischief};
pub use options::{DeviceChoice, Dtype, Format, Long, Options, PROJECTIONS, Schedule};
pub use plan::{Outcome, Plan};
#[cfg(feature = "torch")]
pub use torch::LoraTrainer;

use std::{fs::File, io::Read, path::Path};

use chorale_protocol::manifest::{AdapterSpec, Factor, Policy};

/// Trains an adapter on this member's private data. It lives on its own OS thread; calls may take minutes.
pub trait Trainer: Send {
    /// What travels: the adapter of this model under the trainer's configuration, without `start`, which the caller fills in.
    fn adapter(&self) -> &AdapterSpec;

    /// The fingerprint of the frozen base model.
    fn base_model(&self) -> [u8; 32];

    /// Trains from `base` (layout order) and looks for new data first.
    ///
    /// # Errors
    /// Nothing changed: optimiser state and random state are as before the call.
    fn round(&mut self, base: &[f32], plan: &Plan) -> Result<Outcome, TrainError>;

    /// Held-out loss of an adapter, nats per token; `None` without held-out data.
    ///
    /// # Errors
    /// As [`Self::round`].
    fn evaluate(&mut self, adapter: &[f32]) -> Result<Option<f64>, TrainError>;

    /// Milliseconds that one step takes on this machine, once known: lets the caller fit steps to the round's duration.
    fn step_ms(&self) -> Option<f64>;

    /// Optimiser moments, random state and data position: everything that a restart needs.
    ///
    /// # Errors
    /// It cannot be read, from an accelerator say.
    fn save(&self) -> Result<Vec<u8>, TrainError>;

    /// Takes up a saved state.
    ///
    /// # Errors
    /// Not a state of this trainer.
    fn load(&mut self, state: &[u8]) -> Result<(), TrainError>;

    /// Forgets optimiser moments: a member that starts afresh from the others' merge.
    fn reset(&mut self);

    /// Salted commitment to the training data.
    fn dataset(&self) -> Option<[u8; 32]>;
}

/// Checks that this version can train every tensor of an adapter: the format has kinds that it cannot train yet.
///
/// # Errors
/// [`TrainError::Dense`], the first tensor that it cannot train.
pub fn trainable(adapter: &AdapterSpec) -> Result<(), TrainError> {
    let dense = adapter.tensors.iter().find(|tensor| tensor.factor == Factor::Dense);
    dense.map_or(Ok(()), |tensor| Err(TrainError::Dense { what: format!("tensor {}", tensor.name) }))
}

/// Checks that this version can do all that a policy asks of a member's training.
///
/// # Errors
/// [`TrainError::Dense`] or [`TrainError::Private`], the first thing that it cannot do.
pub fn possible(policy: &Policy) -> Result<(), TrainError> {
    trainable(&policy.adapter)?;
    policy.privacy.map_or(Ok(()), |_| Err(TrainError::Private))
}

/// A whole file of at most `limit` bytes.
fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, TrainError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(TrainError::read(path))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(TrainError::read(path))?;
    if bytes.len() as u64 > limit {
        let source = std::io::Error::other(format!("longer than {limit} bytes"));
        return Err(TrainError::Read { path: path.to_owned(), source });
    }
    Ok(bytes)
}
