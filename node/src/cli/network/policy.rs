//! What a new network's members will share: from flags and the base model to a policy.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use chorale::{
    config::{Config, TrainerKind},
    train::{FakeOptions, FakeTrainer, Options, PROJECTIONS, Plan, TrainError, Trainer, trainable},
};
use chorale_protocol::{
    adapter::{Layout, f32_view},
    base::Round,
    code::blob_hash,
    manifest::{ADAPTER_PART, AdapterSpec, Codec, LoraRule, MergeRule, Phase, Policy, Steps},
};

/// What all members will share
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Shape {
    /// The base model: a Hugging Face folder, the same at every member
    #[arg(long, required_unless_present = "fake")]
    pub(crate) model: Option<PathBuf>,
    /// No model: the stand-in trainer with an adapter of so many values
    #[arg(long, value_name = "VALUES", conflicts_with = "model")]
    pub(crate) fake: Option<u64>,
    /// LoRA rank r
    #[arg(long, default_value_t = 8)]
    pub(crate) rank: u64,
    /// LoRA alpha; the scale is alpha / rank
    #[arg(long, default_value_t = 16)]
    pub(crate) alpha: u64,
    /// Adapted projections; `dense`, whole tensors of the base model, is in the format but not trained by this version
    #[arg(long, value_delimiter = ',', default_values_t = PROJECTIONS.map(str::to_owned))]
    pub(crate) targets: Vec<String>,
    /// Seed of the starting adapter; drawn at random if absent
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Rounds in all; 0: until the members close
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: u64,
    /// The most local optimiser steps in a round
    #[arg(long, default_value_t = 15)]
    pub(crate) steps: u64,
    /// The fewest; without --round-ms every round takes --steps
    #[arg(long, default_value_t = 1)]
    pub(crate) min_steps: u64,
    /// How long a round should take, in milliseconds: each member fits its steps to its own speed; 0: always --steps
    #[arg(long, default_value_t = 0)]
    pub(crate) round_ms: u64,
    /// Outer momentum, 0 (off) to below 1
    #[arg(long, default_value_t = 0.5)]
    pub(crate) momentum: f64,
    /// How many members each member merges with in a round; all the others if absent, at most 63
    #[arg(long)]
    pub(crate) draw: Option<u64>,
    /// The most that a round's training may move an adapter (Euclidean norm); by default 0.1 for each value, root mean square
    #[arg(long, conflicts_with = "measure")]
    pub(crate) norm_bound: Option<f64>,
    /// Measure one round on this home's data and take twice its movement as the norm bound
    #[arg(long, value_name = "HOME")]
    pub(crate) measure: Option<PathBuf>,
    /// How far apart two members' adapters may lie and still be merged; four norm bounds if absent
    #[arg(long)]
    pub(crate) reach: Option<f64>,
    /// How adapters travel: bfp16 or bfp8
    #[arg(long, default_value = "bfp16")]
    pub(crate) codec: String,
    /// Which factors train: both, ffa (B only) or alternate:T (B for T rounds, then A for T rounds)
    #[arg(long, default_value = "both")]
    pub(crate) lora_rule: String,
    /// Every how many rounds the momentum state is published, so that a pruned archive can be re-computed; 0: never
    #[arg(long, default_value_t = 5)]
    pub(crate) checkpoint_every: u64,
    /// How many rounds back adapters are kept; 0: all
    #[arg(long, default_value_t = 20)]
    pub(crate) keep_rounds: u64,
    /// How many other participants must cosign a checkpoint of a member's log before an audit counts the records in it as
    /// witnessed; none if absent
    #[arg(long)]
    pub(crate) witnesses: Option<u64>,
    /// How many others' merges a member recomputes after each publication of its own, to find who breaks the rules while the
    /// network runs: 0 to 63
    #[arg(long, default_value_t = 1)]
    pub(crate) checks: u64,
}

impl Default for Shape {
    /// What the command line gives when it is told nothing.
    fn default() -> Self {
        Self {
            model: None,
            fake: None,
            rank: 8,
            alpha: 16,
            targets: PROJECTIONS.map(str::to_owned).to_vec(),
            seed: None,
            rounds: 20,
            steps: 15,
            min_steps: 1,
            round_ms: 0,
            momentum: 0.5,
            draw: None,
            norm_bound: None,
            measure: None,
            reach: None,
            codec: "bfp16".into(),
            lora_rule: "both".into(),
            checkpoint_every: 5,
            keep_rounds: 20,
            witnesses: None,
            checks: 1,
        }
    }
}

/// The policy of a shape for `members` members.
pub(crate) fn shape(shape: &Shape, members: usize) -> Result<Policy> {
    let seed = shape.seed.unwrap_or_else(|| rand::random::<u64>() >> 11);
    if shape.targets.iter().any(|target| target == "dense") {
        bail!(TrainError::Dense { what: "--targets dense".into() });
    }
    let (mut adapter, base_model) = adapter_of(shape, seed)?;
    trainable(&adapter)?;
    let layout = Layout::new(&adapter)?;
    let start = f32_view(&layout.start(adapter.seed));
    let bytes: Vec<u8> = start.iter().flat_map(|value| value.to_le_bytes()).collect();
    adapter.start = blob_hash(&bytes).0;
    #[allow(clippy::cast_precision_loss)]
    let values = layout.len() as f64;
    let norm = match (&shape.measure, shape.norm_bound) {
        (Some(home), _) => 2.0 * measure(home, shape, &adapter, &start)?,
        (None, Some(norm)) => norm,
        (None, None) => 0.1 * values.sqrt(),
    };
    let others = u64::try_from(members.saturating_sub(1))?.clamp(1, 63);
    Ok(Policy {
        base_model,
        adapter,
        lora_rule: lora_rule(&shape.lora_rule)?,
        merge: MergeRule::Mean,
        momentum: scaled("--momentum", shape.momentum, 0.999_98)?,
        ages: vec![65_536, 46_341, 37_837, 32_768],
        draw: shape.draw.unwrap_or(others),
        norm_bound: scaled("--norm-bound", norm, 1e9)?,
        reach: scaled("--reach", shape.reach.unwrap_or(4.0 * norm), 4e9)?,
        codec: codec(&shape.codec)?,
        rounds: shape.rounds,
        steps: Steps { min: shape.min_steps.min(shape.steps), max: shape.steps },
        round_ms: shape.round_ms,
        checkpoint_every: shape.checkpoint_every,
        keep_rounds: shape.keep_rounds,
        parts: vec![ADAPTER_PART.into()],
        witnesses: shape.witnesses.filter(|count| *count > 0),
        checks: Some(shape.checks).filter(|count| *count != 1),
        privacy: None,
    })
}

/// A real number in units of 2^-16.
pub(crate) fn scaled(flag: &str, value: f64, most: f64) -> Result<u64> {
    ensure!(value.is_finite() && (0.0..=most).contains(&value), "{flag}: got {value}, wanted 0 to {most}");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok((value * 65_536.0).round() as u64)
}

fn adapter_of(shape: &Shape, seed: u64) -> Result<(AdapterSpec, [u8; 32])> {
    if let Some(values) = shape.fake {
        let trainer = FakeTrainer::new(FakeOptions { values, ..FakeOptions::default() });
        return Ok((trainer.adapter().clone(), trainer.base_model()));
    }
    let model = shape.model.clone().context("--model: got nothing, wanted a Hugging Face folder")?;
    let (rank, alpha, targets) = (shape.rank, shape.alpha, shape.targets.clone());
    crate::cli::model::adapter(&Options { model, rank, alpha, targets, seed, ..Options::default() })
}

/// How far one round of this home's training moves the starting adapter.
fn measure(home: &std::path::Path, shape: &Shape, adapter: &AdapterSpec, start: &[f32]) -> Result<f64> {
    let home = chorale::config::Home::open(home)?;
    let config = crate::cli::card::load(&home)?;
    let mut trainer = trainer_for(&config, adapter, shape)?;
    let plan = Plan { round: Round(1), phase: Phase::Both, steps: shape.steps };
    let outcome = trainer.round(start, &plan).context("--measure")?;
    let sum: f64 = outcome.values.iter().zip(start).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    ensure!(sum > 0.0, "--measure: the round moved nothing, is the learning rate 0?");
    Ok(sum.sqrt())
}

fn trainer_for(config: &Config, adapter: &AdapterSpec, shape: &Shape) -> Result<Box<dyn Trainer>> {
    if config.trainer == TrainerKind::Fake || shape.fake.is_some() {
        let values = shape.fake.context("--measure: this home's trainer is fake, so is no --model")?;
        return Ok(Box::new(FakeTrainer::new(FakeOptions { values, ..FakeOptions::default() })));
    }
    let steps = shape.rounds.saturating_mul(shape.steps);
    let mut options = crate::cli::model::options(config, adapter, steps);
    if let Some(model) = &shape.model {
        options.model.clone_from(model);
    }
    crate::cli::model::trainer(options)
}

fn codec(text: &str) -> Result<Codec> {
    match text {
        "bfp16" => Ok(Codec::Bfp16),
        "bfp8" => Ok(Codec::Bfp8),
        other => bail!("--codec: got {other:?}, wanted bfp16 or bfp8"),
    }
}

fn lora_rule(text: &str) -> Result<LoraRule> {
    match (text, text.strip_prefix("alternate:").map(str::parse::<u64>)) {
        ("both", _) => Ok(LoraRule::Both),
        ("ffa", _) => Ok(LoraRule::Ffa),
        (_, Some(Ok(period))) if period > 0 => Ok(LoraRule::Alternate(period)),
        _ => bail!("--lora-rule: got {text:?}, wanted both, ffa or alternate:T with T of 1 or more"),
    }
}
