//! `chorale generate`: ask the model, with this home's adapter.

use std::{io::Write as _, path::PathBuf};

use anyhow::Result;
use chorale::{
    config::Home,
    train::torch::{Inference, Sampling, Stop},
};
use serde_json::json;

use super::{
    adapter::{Which, held},
    card, model,
    out::{Out, safe_lines},
};

/// Continue a prompt, or answer a question, with this home's adapter
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder; its node must not run
    #[arg(long)]
    home: PathBuf,
    /// The text to continue
    #[arg(required_unless_present = "question", conflicts_with = "question")]
    prompt: Option<String>,
    /// A question, put into data.template of chorale.toml
    #[arg(long)]
    question: Option<String>,
    /// Which adapter
    #[arg(long, value_enum, default_value = "own")]
    adapter: Which,
    /// New tokens at most
    #[arg(long, default_value_t = 128)]
    max_tokens: usize,
    /// 0: always the likeliest token
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Draw from the likeliest tokens that together have this chance
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Seed of the draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let config = card::load(&home)?;
        let held = held(&home, self.adapter)?;
        let options = model::options(&config, &held.spec, 0);
        model::threads(options.threads);
        let adapter = held.values.as_deref().map(|values| (&held.spec, values));
        let inference = Inference::open(&options.model, adapter, options.dtype, options.device)?;
        let prompt = match (&self.question, self.prompt) {
            (Some(question), _) => {
                let template = &options.format.template;
                let end = template.find("{answer}").unwrap_or(template.len());
                template[..end].trim_end().replace("{question}", question)
            }
            (None, prompt) => prompt.unwrap_or_default(),
        };
        let Self { max_tokens, temperature, top_p, seed, .. } = self;
        let live = out.terminal();
        let mut listen = |piece: &str| {
            if live {
                // Tokens are the model's: foreign text.
                let _ = write!(std::io::stdout(), "{}", safe_lines_live(piece));
                let _ = std::io::stdout().flush();
            }
            true
        };
        let done = inference.complete(&prompt, &Sampling { max_tokens, temperature, top_p, seed }, &mut listen)?;
        if live {
            out.line("");
            return Ok(());
        }
        let stop = match done.stop {
            Stop::End => "end",
            Stop::Length => "length",
            Stop::Listener => "listener",
        };
        let value = json!({
            "text": done.text, "tokens": done.ids.len(), "prompt_tokens": done.prompt_tokens, "stop": stop, "round": held.round.0,
        });
        out.result(&value, safe_lines(&done.text));
        Ok(())
    }
}

/// A piece of a text; its line breaks stay, also at its end.
fn safe_lines_live(piece: &str) -> String {
    piece.split('\n').map(super::out::safe).collect::<Vec<_>>().join("\n")
}
