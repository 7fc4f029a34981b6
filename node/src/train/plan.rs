//! A round's training order and what came of it.

use chorale_protocol::{base::Round, manifest::Phase};

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
