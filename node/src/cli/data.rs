//! `chorale data check`: whether a data file can be trained on.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use chorale::{
    config::Home,
    train::{
        Format, Options,
        data::{Report, check},
    },
};
use serde_json::{Value, json};

use super::{card, out::Out, out::safe};

/// Look at training data
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Check(CheckArgs),
}

/// Read a data file as training would: examples, tokens, what is split or skipped, which lines are unusable and why
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The data file: JSON lines, or plain text (.txt); with --home that of chorale.toml if absent
    #[arg(required_unless_present = "home")]
    file: Option<PathBuf>,
    /// The model whose tokenizer counts
    #[arg(long, required_unless_present = "home")]
    model: Option<PathBuf>,
    /// A home folder: its model, data and options
    #[arg(long)]
    home: Option<PathBuf>,
    /// Tokens in a row
    #[arg(long)]
    sequence_length: Option<usize>,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::Check(args) => args.run(out),
        }
    }
}

impl CheckArgs {
    fn run(self, out: &Out) -> Result<()> {
        let mut options = match &self.home {
            Some(home) => card::load(&Home::open(home)?)?.train,
            None => Options::default(),
        };
        if let Some(model) = self.model {
            options.model = model;
        }
        if let Some(file) = self.file {
            options.data = file;
        }
        options.sequence_length = self.sequence_length.unwrap_or(options.sequence_length);
        // All unusable lines are to be named, not the first alone.
        options.format = Format { strict: false, ..options.format };
        let (report, held_out) = check(&options)?;
        let mut value = describe(&report);
        value["file"] = json!(options.data.display().to_string());
        let mut text = format!("{}\n{}", options.data.display(), table(&report));
        if let (Some(report), Some(path)) = (&held_out, &options.validation) {
            value["held_out_file"] = describe(report);
            text = format!("{text}\n{}\n{}", path.display(), table(report));
        }
        out.result(&value, text);
        ensure!(report.training > 0, "{}: nothing to train on", options.data.display());
        let bad = report.bad + held_out.map_or(0, |report| report.bad);
        ensure!(bad == 0, "{bad} unusable lines; training skips them (data.strict = true makes them an error)");
        Ok(())
    }
}

fn describe(report: &Report) -> Value {
    let bad: Vec<Value> =
        report.named.iter().map(|bad| json!({ "line": bad.number, "why": safe(&bad.why.to_string()) })).collect();
    json!({
        "lines": report.lines, "examples": report.examples, "training": report.training, "held_out": report.held_out,
        "tokens": report.tokens, "counted_tokens": report.counted, "split": report.split,
        "truncated": report.truncated, "skipped": report.skipped, "bad": report.bad, "bad_lines": bad,
    })
}

fn table(report: &Report) -> String {
    let mut text = format!(
        "  {} lines, {} examples: {} to train on, {} held out\n  {} tokens, {} of them count in the loss\n  \
         longer than a row: {} split, {} cut, {} left out\n  {} unusable lines",
        report.lines,
        report.examples,
        report.training,
        report.held_out,
        report.tokens,
        report.counted,
        report.split,
        report.truncated,
        report.skipped,
        report.bad
    );
    for bad in &report.named {
        text += &format!("\n  line {}: {}", bad.number, safe(&bad.why.to_string()));
    }
    text
}
