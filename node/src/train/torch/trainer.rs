//! The real trainer: LoRA factors on a frozen Llama, AdamW, a member's own data.

use std::time::Instant;

use chorale_protocol::manifest::{AdapterSpec, Phase};

use super::{
    Adam, Evaluation, Factors, Llama, LlamaConfig, Lora, Step, evaluate, fingerprint, mean_loss, rate, read_weights,
    step,
};
use crate::train::{
    Options, Outcome, Plan, TrainError, Trainer,
    data::{Batch, Order, Report, Sequence, Side, Silo, rows},
    state::State,
    text::Tokenizer,
};

/// How much one step's time counts in the running mean.
const TIME_WEIGHT: f64 = 0.2;

/// Trains LoRA factors on a frozen Llama.
#[derive(Debug)]
pub struct LoraTrainer {
    options: Options,
    base_model: [u8; 32],
    spec: AdapterSpec,
    tokenizer: Tokenizer,
    model: Llama,
    lora: Lora,
    data: Silo,
    validation: Option<Silo>,
    order: Order,
    steps: u64,
    step_ms: Option<f64>,
}

impl LoraTrainer {
    /// Loads model, tokenizer and data. An empty data file is no error yet: lines may be added before the first round.
    ///
    /// # Errors
    /// An option out of range, an unusable model, tokenizer or data file.
    pub fn new(options: Options) -> Result<Self, TrainError> {
        options.check()?;
        if options.threads > 0 {
            tch::set_num_threads(i32::try_from(options.threads).unwrap_or(1));
        }
        let device = step::device(options.device)?;
        let config = LlamaConfig::open(&options.model)?;
        let weights = read_weights(&options.model, &config, step::kind(options.dtype), device)?;
        let model = Llama::assemble(&config, &weights)?;
        if options.sequence_length > model.positions() {
            let got = format!("{}, the model has {} positions", options.sequence_length, model.positions());
            return Err(TrainError::Option { name: "sequence_length", got, want: "at most the model's positions" });
        }
        let tokenizer = Tokenizer::open(&options.model, u32::try_from(config.vocabulary).unwrap_or(u32::MAX))?;
        let spec = Lora::spec(&config, options.rank, options.alpha, options.seed, &options.targets);
        let lora = Lora::new(&config, &spec, device)?;
        let side = if options.validation.is_some() { Side::Training } else { Side::ByHash };
        let mut data = Silo::new(&options.data, side, &options);
        data.read(&tokenizer)?;
        let mut validation = options.validation.as_deref().map(|path| Silo::new(path, Side::HeldOut, &options));
        if let Some(silo) = &mut validation {
            silo.read(&tokenizer)?;
        }
        let order = Order::new(options.data_seed, data.training().len());
        let base_model = fingerprint(&options.model)?;
        let (steps, step_ms) = (0, None);
        Ok(Self { options, base_model, spec, tokenizer, model, lora, data, validation, order, steps, step_ms })
    }

    /// What the data file holds, as far as it was read.
    #[must_use]
    pub const fn report(&self) -> &Report {
        self.data.report()
    }

    /// The options that it was made with.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Optimiser steps taken, for the schedule.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Loss and exact answers of an adapter over a whole data file.
    ///
    /// # Errors
    /// An adapter of another size, or the file cannot be read.
    pub fn evaluate_file(&mut self, adapter: &[f32], path: &std::path::Path) -> Result<Evaluation, TrainError> {
        let mut silo = Silo::new(path, Side::HeldOut, &self.options);
        silo.read(&self.tokenizer)?;
        let sequences: Vec<&Sequence> = silo.held_out().iter().collect();
        self.lora.set(adapter)?;
        Ok(evaluate(&self.model, &self.frozen()?, &sequences, self.options.sequence_length)?)
    }

    /// Looks for new data.
    fn refresh(&mut self) -> Result<(), TrainError> {
        self.data.read(&self.tokenizer)?;
        if let Some(silo) = &mut self.validation {
            silo.read(&self.tokenizer)?;
        }
        let count = self.data.training().len();
        if self.order.position().count != count as u64 {
            self.order = Order::resume(self.options.data_seed, self.order.position(), count);
        }
        Ok(())
    }

    fn frozen(&self) -> Result<Factors, TrainError> {
        let _guard = tch::no_grad_guard();
        Ok(self.lora.factors(self.model.kind(), None)?)
    }

    /// Held-out loss of the adapter as it is.
    fn held_out_loss(&self) -> Result<Option<f64>, TrainError> {
        let silo = self.validation.as_ref().unwrap_or(&self.data);
        let mut sequences: Vec<&Sequence> = silo.held_out().iter().collect();
        // By hash, so that the choice does not depend on the order of lines.
        sequences.sort_by_key(|sequence| *sequence.hash());
        if self.options.holdout_limit > 0 {
            sequences.truncate(self.options.holdout_limit);
        }
        Ok(mean_loss(&self.model, &self.frozen()?, &sequences, self.options.sequence_length)?)
    }

    /// One optimiser step: its summed loss, counted tokens and examples.
    fn step(&mut self, phase: Phase) -> Result<(f64, usize, u64), TrainError> {
        let Options { batch_size, accumulate, sequence_length, packing, .. } = self.options;
        let batches: Vec<Batch> = (0..accumulate)
            .map(|_| rows(self.data.training(), &mut self.order, batch_size, sequence_length, packing))
            .collect();
        let counted: usize = batches.iter().map(Batch::counted).sum();
        let examples = batches.iter().map(Batch::examples).sum();
        let mut sum = 0.0;
        if counted > 0 {
            let options = &self.options;
            let rate = rate(options.learning_rate, options.schedule, options.warmup_steps, self.steps);
            let adam = Adam { betas: options.betas, decay: options.weight_decay, ..Adam::default() };
            let step = Step { phase, rate, adam, clip_norm: options.clip_norm };
            sum = step.take(&self.model, &mut self.lora, &batches, self.steps)?;
        }
        self.steps += 1;
        Ok((sum, counted, examples))
    }

    fn train(&mut self, base: &[f32], plan: &Plan) -> Result<Outcome, TrainError> {
        self.lora.set(base)?;
        let loss_before = self.held_out_loss()?;
        let (mut sum, mut counted, mut examples) = (0.0, 0, 0);
        for _ in 0..plan.steps {
            let start = Instant::now();
            let (loss, tokens, seen) = self.step(plan.phase)?;
            let ms = start.elapsed().as_secs_f64() * 1e3;
            self.step_ms = Some(self.step_ms.map_or(ms, |mean| mean + TIME_WEIGHT * (ms - mean)));
            sum += loss;
            counted += tokens;
            examples += seen;
        }
        let values = self.lora.values()?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(TrainError::NotFinite { loss: f64::NAN, step: self.steps });
        }
        let loss_after = self.held_out_loss()?;
        let train_loss = sum / (counted.max(1) as f64);
        Ok(Outcome { values, steps: plan.steps, examples, train_loss, loss_before, loss_after })
    }

    fn state(&self) -> Result<State, TrainError> {
        let (first, second, steps_a, steps_b) = self.lora.moments()?;
        Ok(State { steps: self.steps, steps_a, steps_b, position: self.order.position(), first, second })
    }

    fn restore(&mut self, state: &State) -> Result<(), TrainError> {
        self.lora.set_moments(&state.first, &state.second, (state.steps_a, state.steps_b))?;
        self.steps = state.steps;
        self.order = Order::resume(self.options.data_seed, state.position, self.data.training().len());
        Ok(())
    }
}

impl Trainer for LoraTrainer {
    fn adapter(&self) -> &AdapterSpec {
        &self.spec
    }

    fn base_model(&self) -> [u8; 32] {
        self.base_model
    }

    fn round(&mut self, base: &[f32], plan: &Plan) -> Result<Outcome, TrainError> {
        self.refresh()?;
        if self.data.training().is_empty() {
            return Err(TrainError::EmptySilo { path: self.options.data.display().to_string() });
        }
        let before = self.state()?;
        // Rounds are a logical clock: who skipped some, or joined late, takes the rate that belongs to this one.
        self.steps = self.steps.max(plan.round.0.saturating_sub(1).saturating_mul(plan.steps));
        self.train(base, plan).inspect_err(|_| {
            if let Err(error) = self.restore(&before) {
                tracing::error!(%error, "optimiser state could not be restored");
            }
        })
    }

    fn evaluate(&mut self, adapter: &[f32]) -> Result<Option<f64>, TrainError> {
        self.lora.set(adapter)?;
        self.held_out_loss()
    }

    fn step_ms(&self) -> Option<f64> {
        self.step_ms
    }

    fn save(&self) -> Result<Vec<u8>, TrainError> {
        Ok(self.state()?.encode(&self.spec))
    }

    fn load(&mut self, state: &[u8]) -> Result<(), TrainError> {
        let state = State::decode(state, &self.spec)?;
        self.restore(&state)
    }

    fn reset(&mut self) {
        let zeros = vec![0.0; self.lora.len()];
        if let Err(error) = self.lora.set_moments(&zeros, &zeros, (0, 0)) {
            tracing::error!(%error, "moments could not be forgotten");
        }
    }

    fn dataset(&self) -> Option<[u8; 32]> {
        let mut hashes: Vec<&[u8; 32]> = self.data.training().iter().map(Sequence::hash).collect();
        hashes.sort_unstable();
        let mut hasher = blake3::Hasher::new_keyed(self.options.salt.as_ref()?);
        hashes.into_iter().for_each(|hash| {
            hasher.update(hash);
        });
        Some(*hasher.finalize().as_bytes())
    }
}
