//! `chorale pretrain` and `chorale train-alone`: what a federated run is compared with.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use chorale::train::{
    DeviceChoice, Format, Options, Schedule,
    torch::{Inference, Pretraining, Shape, pretrain, train_alone},
};
use serde_json::json;

use super::{eval, model, out::Out};

/// Initialise and pre-train a small Llama on a text corpus
#[derive(Debug, clap::Args)]
pub(crate) struct PretrainArgs {
    /// Text or JSON lines
    #[arg(long, required = true, num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    /// Width
    #[arg(long, default_value_t = 96)]
    hidden: u32,
    /// Width of the MLP
    #[arg(long, default_value_t = 256)]
    intermediate: u32,
    /// Layers
    #[arg(long, default_value_t = 3)]
    layers: u32,
    /// Heads
    #[arg(long, default_value_t = 4)]
    heads: u32,
    /// Tokens of the vocabulary at most
    #[arg(long, default_value_t = 512)]
    vocabulary: u32,
    /// Positions
    #[arg(long, default_value_t = 128)]
    context: u32,
    /// Optimiser steps
    #[arg(long, default_value_t = 500)]
    steps: u64,
    /// Rows of a batch
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Tokens of a row
    #[arg(long, default_value_t = 64)]
    sequence_length: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 3e-3)]
    learning_rate: f64,
    /// Seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// CPU threads
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl PretrainArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let (hidden, intermediate, layers, heads) = (self.hidden, self.intermediate, self.layers, self.heads);
        let plan = Pretraining {
            shape: Shape {
                hidden,
                intermediate,
                layers,
                heads,
                kv_heads: heads,
                vocabulary: self.vocabulary,
                context: self.context,
                tied: true,
            },
            corpus: self.corpus,
            folder: self.out.clone(),
            steps: self.steps,
            batch_size: self.batch,
            sequence_length: self.sequence_length,
            learning_rate: self.learning_rate,
            seed: self.seed,
            threads: self.threads,
            device: DeviceChoice::Auto,
            ..Pretraining::default()
        };
        let bar = out.bar("pre-training", self.steps);
        let loss = pretrain(&plan, &mut |step, loss| {
            bar.set_position(step);
            bar.set_message(format!("loss {loss:.3}"));
            if !out.terminal() && step % 50 == 0 {
                out.record(&json!({ "event": "step", "step": step, "loss": loss }));
            }
        })?;
        bar.finish_and_clear();
        let path = self.out.display().to_string();
        out.result(&json!({ "event": "done", "model": path, "loss": loss }), format!("wrote {path}, loss {loss:.3}"));
        Ok(())
    }
}

/// Train an adapter on files without a network, and measure it: the baseline of every comparison
#[derive(Debug, clap::Args)]
pub(crate) struct AloneArgs {
    /// The base model
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Training examples
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Test examples
    #[arg(long)]
    pub(crate) test: PathBuf,
    /// Optimiser steps
    #[arg(long)]
    pub(crate) steps: u64,
    /// Measure the loss every so many
    #[arg(long, default_value_t = 15)]
    pub(crate) every: u64,
    /// Rows of a batch
    #[arg(long, default_value_t = 16)]
    pub(crate) batch: usize,
    /// Batches of a step
    #[arg(long, default_value_t = 1)]
    pub(crate) accumulate: usize,
    /// Tokens of a row
    #[arg(long, default_value_t = 256)]
    pub(crate) sequence_length: usize,
    /// One example a row
    #[arg(long)]
    pub(crate) no_packing: bool,
    /// Peak learning rate, falling to 0 along a cosine
    #[arg(long, default_value_t = 5e-3)]
    pub(crate) learning_rate: f64,
    /// LoRA rank
    #[arg(long, default_value_t = 8)]
    pub(crate) rank: u64,
    /// LoRA alpha
    #[arg(long, default_value_t = 16)]
    pub(crate) alpha: u64,
    /// Seed of the starting adapter
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Test examples behind each point of the curve; all of them behind the last
    #[arg(long, default_value_t = 256)]
    pub(crate) holdout_limit: usize,
    /// CPU threads
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
    /// Measure the base model only
    #[arg(long)]
    pub(crate) base: bool,
}

impl AloneArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        ensure!(self.steps > 0 || self.base, "--steps: got 0, wanted 1 or more");
        let options = self.options();
        model::threads(self.threads);
        let bar = out.bar("alone", if self.base { 0 } else { self.steps.div_ceil(self.every.max(1)) });
        let mut point = 0_u64;
        let mut told = |loss: Option<f64>, train: f64| {
            point += 1;
            bar.set_position(point);
            bar.set_message(format!("training {train:.3}, held out {:.3}", loss.unwrap_or(f64::NAN)));
            if !out.terminal() {
                out.record(&json!({ "event": "point", "point": point, "loss": loss, "train_loss": train }));
            }
        };
        let trained = if self.base {
            None
        } else {
            Some(train_alone(options.clone(), self.steps, self.every, &mut |outcome| {
                told(outcome.loss_after, outcome.train_loss);
            })?)
        };
        let adapter = trained.as_ref().map(|alone| (&alone.spec, alone.values.as_slice()));
        let inference = Inference::open(&options.model, adapter, options.dtype, options.device)?;
        let evaluation = inference.evaluate(&self.test, &options).context("--test")?;
        bar.finish_and_clear();
        let mut value = eval::describe(&evaluation);
        value["event"] = json!("done");
        let text = format!("loss {:.4}, {:.1} % exact", evaluation.loss, 100.0 * evaluation.accuracy());
        out.result(&value, text);
        Ok(())
    }

    fn options(&self) -> Options {
        Options {
            model: self.model.clone(),
            data: self.data.clone(),
            validation: Some(self.test.clone()),
            format: Format::default(),
            rank: self.rank,
            alpha: self.alpha,
            seed: self.seed,
            learning_rate: self.learning_rate,
            schedule: Schedule::Cosine { total_steps: self.steps.max(1) },
            batch_size: self.batch,
            accumulate: self.accumulate,
            sequence_length: self.sequence_length,
            packing: !self.no_packing,
            holdout_limit: self.holdout_limit,
            threads: self.threads,
            ..Options::default()
        }
    }
}
