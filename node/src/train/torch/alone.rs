//! A run without a network: what one member, or all data in one place, comes to. The baseline of every comparison.

use chorale_protocol::{
    adapter::{Layout, f32_view},
    base::Round,
    manifest::{AdapterSpec, Phase},
};

use super::LoraTrainer;
use crate::train::{Options, Outcome, Plan, TrainError, Trainer};

/// What a lone run came to.
#[derive(Debug, Clone)]
pub struct Alone {
    /// What its adapter is, `start` left zero.
    pub spec: AdapterSpec,
    /// Its adapter, layout order.
    pub values: Vec<f32>,
    /// The outcome of each stretch, values left empty.
    pub stretches: Vec<Outcome>,
}

/// Trains `steps` steps on `options.data` from the network's starting adapter, both factors, in stretches of `every`
/// steps after each of which the held-out loss is taken and `on_stretch` called. With the pooled data of all members and
/// their joint batch size this is the pooled baseline.
///
/// # Errors
/// As [`LoraTrainer::new`] and [`Trainer::round`].
pub fn train_alone(
    options: Options,
    steps: u64,
    every: u64,
    on_stretch: &mut dyn FnMut(&Outcome),
) -> Result<Alone, TrainError> {
    let mut trainer = LoraTrainer::new(options)?;
    let spec = trainer.adapter().clone();
    let layout = Layout::new(&spec).map_err(|error| TrainError::Other(error.to_string()))?;
    let mut values = f32_view(&layout.start(spec.seed));
    let mut stretches = Vec::new();
    let mut left = steps;
    while left > 0 {
        let steps = left.min(every.max(1));
        let round = Round(stretches.len() as u64 + 1);
        let mut outcome = trainer.round(&values, &Plan { round, phase: Phase::Both, steps })?;
        on_stretch(&outcome);
        values = std::mem::take(&mut outcome.values);
        stretches.push(outcome);
        left -= steps;
    }
    Ok(Alone { spec, values, stretches })
}
