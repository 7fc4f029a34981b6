//! `chorale init`: a home folder with its keys and an explained configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chorale::config::{Home, label_is_fine, template};
use serde_json::json;

use super::{card::Card, out::Out};

/// Make a home folder: three secret keys (mode 0600) and chorale.toml with every option explained; never overwrites. A home belongs to
/// one network: who takes part in several makes a home for each
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to make
    #[arg(long)]
    pub(crate) home: PathBuf,
    /// What people call this member: 1 to 64 of a-z 0-9 . _ -
    #[arg(long, default_value = "member")]
    pub(crate) label: String,
    /// The base model, a Hugging Face folder
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// The private examples, JSON lines or plain text
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let (home, card) = create(&self)?;
        let root = home.root().display().to_string();
        let text = format!(
            "made {root}: keys/author.key, keys/next.key, keys/transport.key (keep all secret, back up all; next.key best\n\
             where the others are not), chorale.toml\n\
             next: edit chorale.toml, send the others your card (chorale card --home {root}), agree on a network\n\
             (chorale network create), then chorale network join and chorale run"
        );
        out.result(&json!({ "home": root, "card": card }), text);
        Ok(())
    }
}

/// Makes the home.
pub(crate) fn create(args: &Args) -> Result<(Home, Card)> {
    ensure!(label_is_fine(&args.label), "--label: got {:?}, wanted 1 to 64 characters of a-z 0-9 . _ -", args.label);
    let model = args.model.as_deref().map(absolute).transpose()?;
    let data = args.data.as_deref().map(absolute).transpose()?;
    let home = Home::create(&args.home, &template(&args.label, model.as_deref(), data.as_deref()))?;
    let card = Card::of(&home, &args.label)?;
    Ok((home, card))
}

/// Paths from the command line are relative to where it was typed; in the file they would be relative to the home.
fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
    path.to_str().map(str::to_owned).with_context(|| format!("{}: not UTF-8", path.display()))
}
