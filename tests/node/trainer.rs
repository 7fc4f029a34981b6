//! Which trainer the flags ask for.

use std::time::Duration;

use anyhow::Result;
use chorale::train::{FakeOptions, FakeTrainer, Mischief, Trainer};

use crate::Args;

/// The fake, unless there is a model folder.
pub(crate) fn trainer(args: &Args) -> Result<Box<dyn Trainer>> {
    if let (Some(model), Some(data)) = (&args.model, &args.data) {
        return lora(model, data);
    }
    Ok(Box::new(FakeTrainer::new(FakeOptions {
        seed: args.seed,
        values: args.values,
        step: Duration::from_millis(args.step_ms),
        losses: !args.cheap,
        mischief: match args.mischief.as_deref() {
            Some("huge") => Mischief::Huge,
            Some("not-finite") => Mischief::NotFinite,
            Some("fails") => Mischief::Fails,
            _ => Mischief::None,
        },
        mischief_from: args.mischief_from,
    })))
}

#[cfg(feature = "torch")]
fn lora(model: &std::path::Path, data: &std::path::Path) -> Result<Box<dyn Trainer>> {
    Ok(Box::new(chorale::train::LoraTrainer::new(chorale_tests::fleet::lora(model, data))?))
}

#[cfg(not(feature = "torch"))]
fn lora(_: &std::path::Path, _: &std::path::Path) -> Result<Box<dyn Trainer>> {
    anyhow::bail!("built without the feature torch")
}
