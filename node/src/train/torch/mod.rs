//! Training on libtorch.

use chorale_protocol::manifest::AdapterSpec;

use super::{Options, Outcome, Plan, TrainError, Trainer};

/// Trains LoRA factors on a frozen Llama.
#[derive(Debug)]
pub struct LoraTrainer {}

impl LoraTrainer {
    /// Loads model, tokenizer and data.
    ///
    /// # Errors
    /// An option out of range, an unusable model, tokenizer or data file.
    pub fn new(options: Options) -> Result<Self, TrainError> {
        options.check()?;
        todo!()
    }
}

impl Trainer for LoraTrainer {
    fn adapter(&self) -> &AdapterSpec {
        todo!()
    }
    fn base_model(&self) -> [u8; 32] {
        todo!()
    }
    fn round(&mut self, _base: &[f32], _plan: &Plan) -> Result<Outcome, TrainError> {
        todo!()
    }
    fn evaluate(&mut self, _adapter: &[f32]) -> Result<Option<f64>, TrainError> {
        todo!()
    }
    fn step_ms(&self) -> Option<f64> {
        todo!()
    }
    fn save(&self) -> Vec<u8> {
        todo!()
    }
    fn load(&mut self, _state: &[u8]) -> Result<(), TrainError> {
        todo!()
    }
    fn reset(&mut self) {
        todo!()
    }
    fn dataset(&self) -> Option<[u8; 32]> {
        todo!()
    }
}
