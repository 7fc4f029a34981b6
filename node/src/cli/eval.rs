//! `chorale eval`: loss and exact answers over a file.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chorale::{
    config::Home,
    train::torch::{Evaluation, Inference},
};
use serde_json::{Value, json};

use super::{
    adapter::{Which, held},
    card, model,
    out::Out,
};

/// Measure loss and exact answers of this home's adapter over a file
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder; its node must not run
    #[arg(long)]
    home: PathBuf,
    /// The examples; data.held_out of chorale.toml if absent
    #[arg(long)]
    file: Option<PathBuf>,
    /// Which adapter
    #[arg(long, value_enum, default_value = "own")]
    adapter: Which,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let config = card::load(&home)?;
        let held = held(&home, self.adapter)?;
        let options = model::options(&config, &held.spec, 0);
        let file = self.file.or_else(|| options.validation.clone()).context("--file: which examples?")?;
        model::threads(options.threads);
        let adapter = held.values.as_deref().map(|values| (&held.spec, values));
        let inference = Inference::open(&options.model, adapter, options.dtype, options.device)?;
        let evaluation = inference.evaluate(&file, &options)?;
        let mut value = describe(&evaluation);
        value["round"] = json!(held.round.0);
        let text = format!(
            "loss {:.4} nats per token over {} tokens; {} of {} answers exact ({:.1} %); adapter of round {}",
            evaluation.loss,
            evaluation.tokens,
            evaluation.exact,
            evaluation.examples,
            100.0 * evaluation.accuracy(),
            held.round
        );
        out.result(&value, text);
        Ok(())
    }
}

/// An evaluation as JSON.
pub(crate) fn describe(evaluation: &Evaluation) -> Value {
    json!({
        "loss": evaluation.loss, "tokens": evaluation.tokens, "examples": evaluation.examples, "exact": evaluation.exact,
        "accuracy": evaluation.accuracy(),
    })
}
