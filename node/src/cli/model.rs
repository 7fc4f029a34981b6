//! What a member trains: the real trainer under the network's policy, or the fake.

use anyhow::{Context as _, Result};
use chorale::{
    config::{Config, TrainerKind},
    train::{FakeOptions, FakeTrainer, Options, PROJECTIONS, Schedule, Trainer, possible, trainable},
};
use chorale_protocol::manifest::{AdapterSpec, Policy};

/// The adapter of a model and the model's fingerprint, without reading its weights into libtorch.
#[cfg(feature = "torch")]
pub(crate) fn adapter(options: &Options) -> Result<(AdapterSpec, [u8; 32])> {
    use chorale::train::torch::{LlamaConfig, Lora, fingerprint};
    options.check()?;
    let config = LlamaConfig::open(&options.model)?;
    let spec = Lora::spec(&config, options.rank, options.alpha, options.seed, &options.targets);
    Ok((spec, fingerprint(&options.model)?))
}

/// Without libtorch there are no models.
#[cfg(not(feature = "torch"))]
pub(crate) fn adapter(_: &Options) -> Result<(AdapterSpec, [u8; 32])> {
    anyhow::bail!("this program was built without libtorch (feature torch); only the fake trainer is there")
}

/// A real trainer.
#[cfg(feature = "torch")]
pub(crate) fn trainer(options: Options) -> Result<Box<dyn Trainer>> {
    Ok(Box::new(chorale::train::LoraTrainer::new(options)?))
}

/// Without libtorch there is none.
#[cfg(not(feature = "torch"))]
pub(crate) fn trainer(_: Options) -> Result<Box<dyn Trainer>> {
    anyhow::bail!(
        "this program was built without libtorch (feature torch): set trainer = \"fake\" in chorale.toml, or build it in"
    )
}

/// The projections that an adapter touches, from its tensors' names.
fn targets(adapter: &AdapterSpec) -> Vec<String> {
    let touched = |name: &&str| {
        let part = format!(".{name}.");
        adapter.tensors.iter().any(|tensor| tensor.name.contains(&part))
    };
    PROJECTIONS.iter().filter(|name| touched(name)).map(|&name| name.to_owned()).collect()
}

/// A member's own options, completed by what the network decides. `steps`: those of the whole run, for the schedule.
pub(crate) fn options(config: &Config, adapter: &AdapterSpec, steps: u64) -> Options {
    let mut options = config.train.clone();
    options.rank = adapter.rank;
    options.alpha = adapter.alpha;
    options.seed = adapter.seed;
    options.targets = targets(adapter);
    if options.schedule == (Schedule::Cosine { total_steps: 0 }) {
        options.schedule = if steps == 0 { Schedule::Constant } else { Schedule::Cosine { total_steps: steps } };
    }
    options
}

/// What this member would bring to a network with this adapter.
pub(crate) fn own_adapter(config: &Config, want: &AdapterSpec) -> Result<(AdapterSpec, [u8; 32])> {
    trainable(want)?;
    match config.trainer {
        TrainerKind::Fake => {
            let trainer = fake(want, 0);
            Ok((trainer.adapter().clone(), trainer.base_model()))
        }
        TrainerKind::Torch => adapter(&options(config, want, 0))
            .with_context(|| format!("the base model of this home ({})", config.train.model.display())),
    }
}

/// The trainer of a node. `salt` is that of its data commitments; it also draws the fake's targets.
pub(crate) fn node_trainer(config: &Config, policy: &Policy, salt: [u8; 32]) -> Result<Box<dyn Trainer>> {
    possible(policy)?;
    match config.trainer {
        TrainerKind::Fake => {
            let [a, b, c, d, e, f, g, h, ..] = salt;
            Ok(Box::new(fake(&policy.adapter, u64::from_le_bytes([a, b, c, d, e, f, g, h]))))
        }
        TrainerKind::Torch => {
            let steps = policy.rounds.saturating_mul(policy.steps.max);
            trainer(Options { salt: Some(salt), ..options(config, &policy.adapter, steps) })
        }
    }
}

fn fake(adapter: &AdapterSpec, seed: u64) -> FakeTrainer {
    let sizes = adapter.tensors.iter().map(|tensor| tensor.rows.saturating_mul(tensor.columns));
    FakeTrainer::new(FakeOptions { seed, values: sizes.fold(0, u64::saturating_add), ..FakeOptions::default() })
}

/// Lets libtorch use so many threads; 0: as many as it takes by itself.
#[cfg(feature = "torch")]
pub(crate) fn threads(threads: usize) {
    if let Some(threads) = i32::try_from(threads).ok().filter(|threads| *threads > 0) {
        tch::set_num_threads(threads);
    }
}
