//! `chorale network join`: a home takes up a network, after everything that must match was compared.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use chorale::config::{Config, Home, keys};
use chorale_protocol::{
    audit::words,
    base::{MemberId, TransportId, limit},
    manifest::{AdapterSpec, Chain, Member, Policy, Role},
};
use serde_json::json;

use super::file;
use crate::cli::{
    card::{self, read_bytes},
    model,
    out::Out,
};

/// Take up a network: checks the votes, that this member is in it, and that model and adapter match its policy. A home belongs to one
/// network: who takes part in several makes a home for each
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
    /// The signed genesis, then any later versions in order
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Do not compare the model (for a machine that does not have it yet; run compares it again)
    #[arg(long)]
    skip_model: bool,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let config = card::load(&home)?;
        let files: Vec<Bytes> = self
            .files
            .iter()
            .map(|path| Ok(read_bytes(path, limit::MANIFEST_BYTES as u64)?.into()))
            .collect::<Result<_>>()?;
        let chain = install(&home, &config, &files, self.skip_model)?;
        let network = chain.network().to_string();
        let text = format!(
            "joined network {network}\nnext: compare this id with the others by another way than the file came, then: chorale run --home {}",
            home.root().display()
        );
        out.result(&json!({ "network": network, "version": chain.current().version }), text);
        Ok(())
    }
}

/// Checks and installs a network's manifests.
pub(crate) fn install(home: &Home, config: &Config, files: &[Bytes], skip_model: bool) -> Result<Chain> {
    let chain = file::chain_of(files).context("the network's manifests do not hold")?;
    let genesis = home.genesis();
    if let Ok(held) = std::fs::read(&genesis) {
        let held = file::genesis_chain(held.into()).context("the genesis that this home holds")?;
        ensure!(
            held.network() == chain.network(),
            "this home belongs to network {} already, and a home belongs to one network: make another with chorale init",
            held.network()
        );
    }
    let member = own_entry(home, &chain)?;
    if member.role == Role::Member && !skip_model {
        same_policy(config, &chain.current().policy)?;
    }
    let (first, rest) = files.split_first().context("no genesis")?;
    file::replace(&genesis, first)?;
    for (bytes, version) in rest.iter().zip(1..) {
        let path = home.manifest(version);
        std::fs::create_dir_all(path.parent().unwrap_or_else(|| home.root())).context("manifests folder")?;
        file::replace(&path, bytes)?;
    }
    Ok(chain)
}

/// The home's own entry; its keys must be the manifest's.
pub(crate) fn own_entry(home: &Home, chain: &Chain) -> Result<Member> {
    let signers = home.signers()?;
    let key = signers.first().context("no author key")?.public();
    let peer = keys::transport(&home.transport_key())?.public().to_peer_id();
    let id = card::member_id(key);
    let ours = |member: &&Member| signers.iter().any(|key| key.public() == member.author_key);
    let Some(member) = chain.current().members.iter().find(ours) else {
        bail!(
            "member {id} (this home) is not in the network; send its governors: chorale card --home {}",
            home.root().display()
        );
    };
    ensure!(
        member.transport.contains(&TransportId(peer.to_bytes())),
        "the network knows {} under other transport keys than this home's {peer}; was keys/transport.key replaced?",
        member.label
    );
    Ok(member.clone())
}

/// Refuses to run where the network gives this home a part that this version does not take.
pub(crate) fn takes_part(home: &Home, chain: &Chain) -> Result<()> {
    let signers = home.signers()?;
    let ours = |member: &&Member| signers.iter().any(|key| key.public() == member.author_key);
    match chain.current().members.iter().find(ours) {
        Some(member) if member.role != Role::Member => {
            let role = words::role(member.role);
            bail!("the network names this home as {role}; this version of chorale takes the part of a member only")
        }
        _ => Ok(()),
    }
}

/// The member that this home is: the one that any version gives one of its keys; else the one that its key would found.
pub(crate) fn own_id(home: &Home, chain: &Chain) -> Result<MemberId> {
    let signers = home.signers()?;
    let versions = (0..=chain.current().version).rev().filter_map(|version| chain.at(version));
    let mut members = versions.flat_map(|(manifest, _)| &manifest.members);
    let named = members.find(|member| signers.iter().any(|key| key.public() == member.author_key));
    let founded = || -> Result<MemberId> { Ok(card::member_id(signers.first().context("no author key")?.public())) };
    named.map_or_else(founded, |member| Ok(member.id))
}

/// Makes the home's next key its current one if the newest version names it. Fails if that names a key of this member that
/// the home does not have: nothing can be signed then.
pub(crate) fn take_up_key(home: &Home, chain: &Chain) -> Result<bool> {
    let id = own_id(home, chain)?;
    let Some(entry) = chain.member(&id) else { return Ok(false) };
    let changed = home.take_up_key(&entry.author_key)?;
    let has = home.signers()?.iter().any(|key| key.public() == entry.author_key);
    ensure!(
        has,
        "manifest version {} gives {} the author key {}, which this home does not have: restore it, or ask the governors",
        chain.current().version,
        entry.label,
        entry.author_key
    );
    Ok(changed)
}

/// Compares what this home would train with what the network's policy says, and names every difference.
pub(crate) fn same_policy(config: &Config, policy: &Policy) -> Result<()> {
    let (mine, fingerprint) = model::own_adapter(config, &policy.adapter)?;
    let mut problems = Vec::new();
    if fingerprint != policy.base_model {
        problems.push(format!(
            "base model {}: its fingerprint is {}, the network's is {}; get the very same files (config, weights, tokenizer)",
            config.train.model.display(),
            hex::encode(fingerprint),
            hex::encode(policy.base_model)
        ));
    }
    problems.extend(differences(&mine, &policy.adapter));
    if problems.is_empty() {
        return Ok(());
    }
    bail!("this home does not fit the network:\n- {}", problems.join("\n- "))
}

fn differences(mine: &AdapterSpec, want: &AdapterSpec) -> Vec<String> {
    let mut all = Vec::new();
    for (name, got, want) in [("rank", mine.rank, want.rank), ("alpha", mine.alpha, want.alpha)] {
        if got != want {
            all.push(format!("{name}: got {got}, wanted {want}"));
        }
    }
    for tensor in &want.tensors {
        match mine.tensors.iter().find(|own| own.name == tensor.name) {
            None => all.push(format!("tensor {}: the model has none", tensor.name)),
            Some(own) if own != tensor => all.push(format!(
                "tensor {}: got {}x{}, wanted {}x{}",
                tensor.name, own.rows, own.columns, tensor.rows, tensor.columns
            )),
            Some(_) => {}
        }
    }
    for tensor in &mine.tensors {
        if !want.tensors.iter().any(|other| other.name == tensor.name) {
            all.push(format!("tensor {}: the network does not know it", tensor.name));
        }
    }
    let more = all.len().saturating_sub(8);
    all.truncate(8);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}
