//! A deterministic trainer without libtorch, for tests, simulations and benchmarks of everything else.

use std::{thread, time::Duration};

use chorale_protocol::manifest::{AdapterSpec, Factor, TensorSpec};

use super::{Outcome, Plan, TrainError, Trainer};

const RANK: u64 = 8;
/// How far a step goes towards the target.
const PULL: f64 = 0.05;
/// Magnitude of targets.
const SCALE: f32 = 0.05;
/// Share of a target that all seeds have in common; the rest is each seed's own.
const COMMON: f32 = 0.75;

/// What goes wrong, for tests of everyone else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mischief {
    /// Nothing.
    #[default]
    None,
    /// Values as large as a payload can carry.
    Huge,
    /// Values that are no numbers.
    NotFinite,
    /// The round ends with an error.
    Fails,
}

/// How the fake trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FakeOptions {
    /// Draws the targets; members with different seeds pull in partly different directions.
    pub seed: u64,
    /// Values of the adapter, roughly: rounded down to whole tensors, at least 256.
    pub values: u64,
    /// How long a step takes.
    pub step: Duration,
    /// Whether to measure held-out losses; without them targets are cheap ones, for benchmarks of everything else.
    pub losses: bool,
    /// What goes wrong.
    pub mischief: Mischief,
    /// In which rounds: from this on.
    pub mischief_from: u64,
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self { seed: 0, values: 4096, step: Duration::ZERO, losses: true, mischief: Mischief::None, mischief_from: 0 }
    }
}

/// Pulls every value towards a target that its seed draws; the loss is the mean squared distance to it.
#[derive(Debug)]
pub struct FakeTrainer {
    options: FakeOptions,
    adapter: AdapterSpec,
    steps: u64,
}

impl FakeTrainer {
    /// A trainer whose shape depends on `options.values` alone.
    #[must_use]
    pub fn new(options: FakeOptions) -> Self {
        Self { options, adapter: shape(options.values), steps: 0 }
    }

    fn target(&self, index: u64) -> f32 {
        if !self.options.losses {
            // Other ones for each seed: equal payloads are one blob, and nobody would fetch anything.
            let index = index.wrapping_add(self.options.seed.wrapping_mul(37));
            return SCALE * ((index & 0xff) as f32 / 128.0 - 1.0);
        }
        SCALE * (COMMON * uniform(0, index) + (1.0 - COMMON) * uniform(self.options.seed.wrapping_add(1), index))
    }

    fn loss(&self, values: &[f32]) -> f64 {
        let sum: f64 = values.iter().zip(0..).map(|(value, at)| f64::from(value - self.target(at)).powi(2)).sum();
        // In units of the targets' own scale, so that it is a number near 1 at the start.
        sum / values.len().max(1) as f64 / f64::from(SCALE * SCALE)
    }
}

impl Trainer for FakeTrainer {
    fn adapter(&self) -> &AdapterSpec {
        &self.adapter
    }

    fn base_model(&self) -> [u8; 32] {
        *blake3::hash(b"fake").as_bytes()
    }

    fn round(&mut self, base: &[f32], plan: &Plan) -> Result<Outcome, TrainError> {
        let wrong = if plan.round.0 >= self.options.mischief_from { self.options.mischief } else { Mischief::None };
        if wrong == Mischief::Fails {
            return Err(TrainError::Other("the fake was told to fail".into()));
        }
        if !self.options.step.is_zero() {
            thread::sleep(self.options.step.saturating_mul(u32::try_from(plan.steps).unwrap_or(u32::MAX)));
        }
        let steps = i32::try_from(plan.steps).unwrap_or(i32::MAX);
        let way = (1.0 - (1.0 - PULL).powi(steps)) as f32;
        let mut values = base.to_vec();
        let mut start = 0;
        for tensor in &self.adapter.tensors {
            let end = start + usize::try_from(tensor.rows * tensor.columns).unwrap_or(0);
            if plan.phase.trains(tensor.factor) {
                for (at, value) in (start as u64..).zip(values.get_mut(start..end).unwrap_or_default()) {
                    *value += way * (self.target(at) - *value);
                }
            }
            start = end;
        }
        match wrong {
            Mischief::Huge => values.fill(16_000.0),
            Mischief::NotFinite => values.fill(f32::NAN),
            Mischief::None | Mischief::Fails => {}
        }
        self.steps += plan.steps;
        let losses = self.options.losses.then(|| (self.loss(base), self.loss(&values)));
        Ok(Outcome {
            values,
            steps: plan.steps,
            examples: plan.steps * 8,
            train_loss: losses.map_or(0.0, |(before, _)| before),
            loss_before: losses.map(|(before, _)| before),
            loss_after: losses.map(|(_, after)| after),
        })
    }

    fn evaluate(&mut self, adapter: &[f32]) -> Result<Option<f64>, TrainError> {
        Ok(Some(self.loss(adapter)))
    }

    fn step_ms(&self) -> Option<f64> {
        (!self.options.step.is_zero()).then_some(self.options.step.as_secs_f64() * 1e3)
    }

    fn save(&self) -> Result<Vec<u8>, TrainError> {
        Ok([self.options.seed.to_le_bytes(), self.steps.to_le_bytes()].concat())
    }

    fn load(&mut self, state: &[u8]) -> Result<(), TrainError> {
        match state.as_chunks::<8>() {
            (&[seed, steps], []) if u64::from_le_bytes(seed) == self.options.seed => {
                self.steps = u64::from_le_bytes(steps);
                Ok(())
            }
            _ => Err(TrainError::State("not of this fake")),
        }
    }

    fn reset(&mut self) {
        self.steps = 0;
    }

    fn dataset(&self) -> Option<[u8; 32]> {
        Some(*blake3::hash(&self.options.seed.to_le_bytes()).as_bytes())
    }
}

/// Square projections with both factors, named as a Llama's.
fn shape(values: u64) -> AdapterSpec {
    let modules = (values / 65_536).clamp(1, 64);
    let width = (values / modules / (2 * RANK)).max(16);
    let mut tensors: Vec<TensorSpec> = (0..modules)
        .flat_map(|layer| {
            let name = |factor| format!("model.layers.{layer}.self_attn.q_proj.lora_{factor}.weight");
            [
                TensorSpec { name: name("A"), factor: Factor::A, rows: RANK, columns: width },
                TensorSpec { name: name("B"), factor: Factor::B, rows: RANK, columns: width },
            ]
        })
        .collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    AdapterSpec { rank: RANK, alpha: 2 * RANK, seed: 1, start: [0; 32], tensors }
}

/// A number in [−1, 1) that depends on both arguments (splitmix64).
fn uniform(seed: u64, index: u64) -> f32 {
    let mut z = seed.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use chorale_protocol::{base::Round, manifest::Phase};

    #[test]
    fn the_loss_falls_and_frozen_factors_stay() {
        let mut trainer = FakeTrainer::new(FakeOptions { values: 1 << 18, ..FakeOptions::default() });
        let count: u64 = trainer.adapter().tensors.iter().map(|tensor| tensor.rows * tensor.columns).sum();
        assert_eq!(count, 1 << 18);
        let base = vec![0.0; count as usize];
        let plan = Plan { round: Round(1), phase: Phase::B, steps: 3 };
        let outcome = trainer.round(&base, &plan).unwrap();
        assert!(outcome.loss_after < outcome.loss_before, "{outcome:?}");
        let first = &trainer.adapter().tensors[0];
        assert_eq!(first.factor, Factor::A);
        let frozen = usize::try_from(first.rows * first.columns).unwrap();
        assert!(outcome.values[..frozen].iter().all(|&value| value == 0.0));
    }

    #[test]
    fn no_two_seeds_train_to_the_same_values() {
        for losses in [true, false] {
            let trained = |seed| {
                let mut trainer = FakeTrainer::new(FakeOptions { seed, losses, ..FakeOptions::default() });
                let plan = Plan { round: Round(1), phase: Phase::Both, steps: 1 };
                trainer.round(&vec![0.0; 4096], &plan).unwrap().values
            };
            assert_ne!(trained(0), trained(1), "losses {losses}");
        }
    }

    #[test]
    fn a_saved_state_of_another_seed_is_refused() {
        let other = FakeTrainer::new(FakeOptions { seed: 7, ..FakeOptions::default() });
        let mut trainer = FakeTrainer::new(FakeOptions::default());
        assert!(trainer.load(&other.save().unwrap()).is_err());
        let saved = trainer.save().unwrap();
        trainer.load(&saved).unwrap();
    }
}
