//! Manifest files: reading, writing, and where their votes stand.

use std::{fs::OpenOptions, io::Write as _, path::Path};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use chorale::{config::Home, store::Store};
use chorale_protocol::{
    base::{ManifestHash, NetworkId, limit},
    code::{Context, PublicKey, derive},
    manifest::{Chain, ManifestError, SignedManifest},
};

use crate::cli::card::read_bytes;

/// One governor's vote, or its absence.
pub(crate) struct Vote {
    pub(crate) governor: PublicKey,
    pub(crate) label: Option<String>,
    pub(crate) voted: bool,
}

/// Reads a manifest with its votes, if any.
pub(crate) fn read_manifest(path: &Path) -> Result<SignedManifest> {
    let bytes = read_bytes(path, limit::MANIFEST_BYTES as u64)?;
    SignedManifest::parse(&bytes).with_context(|| format!("{}: not a manifest file", path.display()))
}

/// Writes a file that must not exist.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("{}: nothing is overwritten; name a new file", path.display()))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| path.display().to_string())
}

/// Replaces a file whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = path.with_extension("new");
    std::fs::write(&temp, bytes).and_then(|()| std::fs::rename(&temp, path)).with_context(|| path.display().to_string())
}

/// The network's id, if this is a genesis or names its network.
pub(crate) fn network_of(signed: &SignedManifest) -> NetworkId {
    signed.manifest.network.unwrap_or_else(|| NetworkId(derive(Context::NetworkId, &[&signed.payload])))
}

/// The hash that the next version names.
pub(crate) fn hash_of(signed: &SignedManifest) -> ManifestHash {
    ManifestHash(derive(Context::ManifestHash, &[&signed.payload]))
}

/// Who voted and who did not.
pub(crate) fn votes(signed: &SignedManifest) -> Vec<Vote> {
    let manifest = &signed.manifest;
    let label = |key: &PublicKey| manifest.members.iter().find(|m| m.author_key == *key).map(|m| m.label.clone());
    let voted = |key: &PublicKey| signed.votes.iter().any(|(voter, _)| voter == key);
    manifest.governors.iter().map(|key| Vote { governor: *key, label: label(key), voted: voted(key) }).collect()
}

/// A chain of a genesis alone.
pub(crate) fn genesis_chain(genesis: Bytes) -> Result<Chain> {
    Chain::genesis(genesis).map_err(|error| match &error {
        ManifestError::Cbor(_) => anyhow!(
            "the genesis is no manifest that this version of the program reads: homes and networks of an older version cannot be used; \
             found a new one (chorale init, network create): {error}"
        ),
        _ => anyhow!("genesis: {error}"),
    })
}

/// A chain from files: the genesis, then each version.
pub(crate) fn chain_of(files: &[Bytes]) -> Result<Chain> {
    let (genesis, rest) = files.split_first().context("no manifest at all, wanted a genesis")?;
    let mut chain = genesis_chain(genesis.clone())?;
    for (bytes, version) in rest.iter().zip(1..) {
        chain.extend(bytes.clone()).with_context(|| format!("version {version}"))?;
    }
    Ok(chain)
}

/// The chain that a home holds: what its store knows, or what its node last wrote down, or its genesis.
pub(crate) fn stored_chain(home: &Home) -> Result<Chain> {
    let genesis = home.genesis();
    let bytes = read_bytes(&genesis, limit::MANIFEST_BYTES as u64)
        .context("this home has joined no network: chorale network join --home HOME GENESIS")?;
    let mut versions = vec![Bytes::from(bytes)];
    let stored = if home.root().join("store").is_dir() {
        // A running node holds the store; then the files beside it tell.
        Store::open(home.root()).and_then(|store| store.manifests()).unwrap_or_default()
    } else {
        Vec::new()
    };
    if stored.len() > 1 {
        versions = stored;
    } else {
        for version in 1_u64.. {
            let places = [home.stored_manifest(version), home.manifest(version)];
            let Some(path) = places.into_iter().find(|path| path.is_file()) else { break };
            versions.push(read_bytes(&path, limit::MANIFEST_BYTES as u64)?.into());
        }
    }
    chain_of(&versions).with_context(|| home.root().display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_genesis_that_this_version_cannot_read_is_refused_in_words() {
        for bytes in [&b""[..], b"\xa0", b"\xa1\x00\x01"] {
            let said = genesis_chain(Bytes::from_static(bytes)).unwrap_err().to_string();
            assert!(said.contains("an older version cannot be used") && said.contains("network create"), "{said}");
        }
    }
}
