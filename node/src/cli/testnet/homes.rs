//! The homes of a local network, made in one go: keys, cards, a genesis that all have signed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chorale::config::{Home, keys, set_in};
use chorale_protocol::manifest::Role;

use crate::cli::{
    card::{self, Card},
    init,
    network::{self, Plan, Shape},
};

/// One member to make.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) label: String,
    pub(crate) data: Option<PathBuf>,
    /// `section.key`, and the value as TOML.
    pub(crate) settings: Vec<(String, String)>,
}

/// Makes `folder/<label>` for every member, and `folder/genesis`. Returns the homes.
pub(crate) fn make(folder: &Path, locals: &[Local], shape: &Shape) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut homes: Vec<(Home, Card)> = Vec::new();
    for local in locals {
        let args = init::Args {
            home: folder.join(&local.label),
            label: local.label.clone(),
            model: shape.model.clone(),
            data: local.data.clone(),
        };
        let (home, card) = init::create(&args)?;
        let mut text = std::fs::read_to_string(home.config())?;
        for (key, value) in &local.settings {
            text = set_in(&text, key, value).with_context(|| format!("chorale.toml has no option {key}"))?;
        }
        std::fs::write(home.config(), text)?;
        homes.push((home, card));
    }
    let members = homes.iter().map(|(_, card)| card.member(Role::Member)).collect::<Result<Vec<_>>>()?;
    let policy = network::shape(shape, members.len())?;
    let mut signed = network::unsigned(Plan { members, governors: Vec::new(), threshold: None, policy })?;
    for (home, _) in &homes {
        network::add_vote(&mut signed, &[], &keys::author(&home.author_key())?)?;
    }
    let genesis = signed.to_bytes();
    std::fs::write(folder.join("genesis"), &genesis)?;
    for (home, _) in &homes {
        network::install(home, &card::load(home)?, std::slice::from_ref(&genesis), false)
            .with_context(|| home.root().display().to_string())?;
    }
    Ok(homes.into_iter().map(|(home, _)| home.root().to_path_buf()).collect())
}

/// The homes in a folder that [`make`] made, by name.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut homes: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("{}: make it with: chorale testnet new", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("chorale.toml").is_file())
        .collect();
    homes.sort();
    anyhow::ensure!(!homes.is_empty(), "{} holds no homes: make them with: chorale testnet new", folder.display());
    Ok(homes)
}
