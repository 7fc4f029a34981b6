//! `chorale export`: the adapter for other programs.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use chorale::{
    config::Home,
    train::torch::{export_merged, export_peft},
};
use serde_json::json;

use super::{
    adapter::{Which, held},
    card,
    out::Out,
};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A Hugging Face PEFT folder: adapter_config.json, adapter_model.safetensors
    Peft,
    /// A whole model folder, the adapter added to its weights
    Safetensors,
}

/// Write this home's adapter for other programs
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder; its node must not run
    #[arg(long)]
    home: PathBuf,
    /// The form
    #[arg(long, value_enum, default_value = "peft")]
    format: Form,
    /// Which adapter: own or merged
    #[arg(long, value_enum, default_value = "own")]
    adapter: Which,
    /// A new folder
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let model = card::load(&home)?.train.model;
        ensure!(!self.out.exists(), "{} exists; nothing is overwritten: name a new folder", self.out.display());
        let held = held(&home, self.adapter)?;
        let values = held.values.as_deref().context("--adapter base: there is no adapter to export; copy the model")?;
        match self.format {
            Form::Peft => export_peft(&held.spec, values, &model.display().to_string(), &self.out)?,
            Form::Safetensors => export_merged(&model, &held.spec, values, &self.out)?,
        }
        let path = self.out.display().to_string();
        out.result(&json!({ "folder": path, "round": held.round.0 }), format!("wrote {path}, round {}", held.round));
        Ok(())
    }
}
