//! Training: the trait that the driver knows, the deterministic fake, and the real one on libtorch.

mod fake;

pub use fake::FakeTrainer;

use chorale_protocol::{
    base::Round,
    manifest::{AdapterSpec, Phase},
};

/// One round's training order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The round, for the schedule.
    pub round: Round,
    /// Which factors train.
    pub phase: Phase,
    /// Local optimiser steps to take, fitted to the machine by the caller.
    pub steps: u64,
}

/// What training came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The trained adapter, layout order. Values of frozen factors are as they came.
    pub values: Vec<f32>,
    /// Steps taken.
    pub steps: u64,
    /// Examples seen, with repetition.
    pub examples: u64,
    /// Mean training loss, nats per token.
    pub train_loss: f64,
    /// Held-out loss of the base, nats per token, if there is held-out data.
    pub loss_before: Option<f64>,
    /// Held-out loss after training.
    pub loss_after: Option<f64>,
}

/// Why a round failed. T1 (the trainer's author) completes it; every variant says what came, what was wanted, what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss stopped being a number; nothing was changed.
    #[error("the loss became {loss} at step {step}; lower the learning rate (learning_rate in chorale.toml)")]
    NotFinite {
        /** what it became */
        loss: f64,
        /** when */
        step: u64,
    },
    /// There is nothing to train on.
    #[error("{path}: no usable training example; add lines such as {{\"prompt\": …, \"completion\": …}}")]
    EmptySilo {
        /** the data file */
        path: String,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

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
    fn save(&self) -> Vec<u8>;

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
