//! Which network the auditor means.

use std::path::{Path, PathBuf};

use anyhow::Context;
use chorale_protocol::{
    base::{NetworkId, limit},
    manifest::Chain,
};

use crate::{
    exit::{OrExit, Trouble},
    file,
};

/// The network that the user was told of. Without it, an archive is taken at its own word.
#[derive(Debug, clap::Args)]
pub(crate) struct Pin {
    /// The network's id: 64 hexadecimal digits, learnt from someone you trust. Without it the archive's own genesis is believed.
    #[arg(long, value_name = "HEX", conflicts_with = "genesis")]
    network: Option<String>,
    /// Instead of the network's id: its genesis file, from someone you trust.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

impl Pin {
    /// The network meant, if one was named.
    pub(crate) fn network(&self) -> Result<Option<NetworkId>, Trouble> {
        if self.network.is_none() && self.genesis.is_none() {
            return Ok(None);
        }
        network(self.network.as_deref(), self.genesis.as_deref()).map(Some)
    }

    /// The genesis file, if one was named.
    pub(crate) fn genesis(&self) -> Option<&Path> {
        self.genesis.as_deref()
    }
}

/// The network of this id, or of this genesis.
pub(crate) fn network(id: Option<&str>, genesis: Option<&Path>) -> Result<NetworkId, Trouble> {
    if let Some(path) = genesis {
        let bytes = file::read(path, limit::MANIFEST_BYTES as u64).or_io()?;
        let chain = Chain::genesis(bytes.into()).with_context(|| format!("{} is no genesis", path.display()));
        return Ok(chain.or_usage()?.network());
    }
    id.unwrap_or_default().parse().context("--network").or_usage()
}
