//! `chorale network show` and `verify`: what a manifest says, and whether it holds.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chorale_protocol::{
    audit::words::role,
    base::{RecordId, Seq, limit},
    manifest::{Codec, LoraRule, Manifest, Policy, SignedManifest},
};
use serde_json::{Value, json};

use super::file;
use crate::cli::{card::read_bytes, out::Out};

/// Show what a manifest says, and who has signed it
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The manifest file
    file: PathBuf,
}

/// Check a network's manifests: a genesis, then each later version in order
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The genesis, then each version
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl ShowArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let signed = file::read_manifest(&self.file)?;
        let value = describe(&signed);
        let text = table(&signed);
        out.result(&value, text);
        Ok(())
    }
}

impl VerifyArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let files: Vec<Bytes> = self
            .files
            .iter()
            .map(|path| Ok(read_bytes(path, limit::MANIFEST_BYTES as u64)?.into()))
            .collect::<Result<_>>()?;
        let chain = file::chain_of(&files).context("the manifests do not hold")?;
        let network = chain.network().to_string();
        let version = chain.current().version;
        out.result(
            &json!({ "network": network, "version": version, "valid": true }),
            format!("valid: network {network}, version {version}"),
        );
        Ok(())
    }
}

fn real(scaled: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    {
        scaled as f64 / 65_536.0
    }
}

fn rule(rule: LoraRule) -> String {
    match rule {
        LoraRule::Both => "both".into(),
        LoraRule::Alternate(period) => format!("alternate:{period}"),
        LoraRule::Ffa => "ffa".into(),
    }
}

fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::Bfp16 => "bfp16",
        Codec::Bfp8 => "bfp8",
    }
}

fn values(policy: &Policy) -> u64 {
    policy.adapter.tensors.iter().map(|t| t.rows.saturating_mul(t.columns)).fold(0, u64::saturating_add)
}

/// A manifest as JSON.
fn describe(signed: &SignedManifest) -> Value {
    let Manifest { version, threshold, members, cuts, policy, handovers, .. } = &signed.manifest;
    let votes = file::votes(signed);
    json!({
        "network": file::network_of(signed).to_string(),
        "version": version,
        "hash": file::hash_of(signed).to_string(),
        "threshold": threshold,
        "governors": votes.iter().map(|v| json!({ "key": v.governor.to_string(), "label": v.label, "signed": v.voted })).collect::<Vec<_>>(),
        "members": members.iter().map(|m| json!({
            "id": m.id.to_string(), "label": m.label, "role": role(m.role), "author_key": m.author_key.to_string(),
            "next": m.next.map(|next| next.to_string()), "rank": m.rank,
            "peer_ids": m.transport.iter().map(|t| peer(&t.0)).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "cuts": cuts.iter().map(|c| json!({
            "member": c.member.to_string(), "incarnation": c.incarnation.0,
            "seq": c.last.map(|(seq, _)| seq.0), "record": c.last.map(|(_, id)| id.to_string()),
        })).collect::<Vec<_>>(),
        "handovers": handovers.iter().map(|h| json!({
            "member": h.member.to_string(), "incarnation": h.incarnation.0,
            "seq": h.last.map(|(seq, _)| seq.0), "record": h.last.map(|(_, id)| id.to_string()),
            "log": h.log.map(|end| json!({ "size": end.size, "root": hex::encode(end.root) })),
        })).collect::<Vec<_>>(),
        "policy": {
            "base_model": hex::encode(policy.base_model),
            "rank": policy.adapter.rank, "alpha": policy.adapter.alpha, "seed": policy.adapter.seed,
            "start": hex::encode(policy.adapter.start), "tensors": policy.adapter.tensors.len(), "values": values(policy),
            "lora_rule": rule(policy.lora_rule), "merge": "mean", "momentum": real(policy.momentum), "ages": policy.ages,
            "draw": policy.draw, "norm_bound": real(policy.norm_bound), "reach": real(policy.reach),
            "codec": codec(policy.codec), "rounds": policy.rounds, "steps": [policy.steps.min, policy.steps.max],
            "round_ms": policy.round_ms, "checkpoint_every": policy.checkpoint_every, "keep_rounds": policy.keep_rounds,
            "parts": policy.parts,
            "privacy": policy.privacy.map(|terms| json!({
                "delta_log10_milli": terms.delta_log10_milli, "epsilon_milli": terms.epsilon_milli,
            })),
            "witnesses": policy.witnesses.unwrap_or_default(), "checks": policy.checks.unwrap_or(1),
        },
    })
}

fn peer(bytes: &[u8]) -> String {
    libp2p::PeerId::from_bytes(bytes).map_or_else(|_| hex::encode(bytes), |peer| peer.to_string())
}

/// How the members train, merge and check.
fn terms(out: &mut String, policy: &Policy) {
    use std::fmt::Write as _;
    let rounds = if policy.rounds == 0 { "until closed".to_owned() } else { policy.rounds.to_string() };
    let _ = writeln!(
        out,
        "rounds     {rounds}, {} to {} steps, {} ms aimed at (0: always the most)",
        policy.steps.min, policy.steps.max, policy.round_ms
    );
    let _ = writeln!(
        out,
        "merge      mean of own and {} drawn, momentum {:.3}, norm bound {:.3}, reach {:.3}",
        policy.draw,
        real(policy.momentum),
        real(policy.norm_bound),
        real(policy.reach)
    );
    let _ = writeln!(
        out,
        "kept       payloads of {}, momentum state every {} rounds (0: never)",
        if policy.keep_rounds == 0 { "all rounds".to_owned() } else { format!("{} rounds", policy.keep_rounds) },
        policy.checkpoint_every
    );
    let _ = writeln!(
        out,
        "checked    {} merges of others a round; {} witnesses of each log",
        policy.checks.unwrap_or(1),
        policy.witnesses.unwrap_or_default()
    );
}

/// A manifest for people. Labels are checked to be plain when they are parsed.
fn table(signed: &SignedManifest) -> String {
    use std::fmt::Write as _;
    let Manifest { version, threshold, members, cuts, policy, governors, handovers, .. } = &signed.manifest;
    let votes = file::votes(signed);
    let mut out = String::new();
    let signed_by = votes.iter().filter(|v| v.voted).count();
    let _ = writeln!(out, "network    {}", file::network_of(signed));
    let _ = writeln!(
        out,
        "version    {version}, changed by {threshold} of {} governors, {signed_by} have signed",
        governors.len()
    );
    let _ = writeln!(out, "base model {}", hex::encode(policy.base_model));
    let adapter = &policy.adapter;
    let _ = writeln!(
        out,
        "adapter    LoRA r={} alpha={}, {} tensors, {} values, {} trained, {}",
        adapter.rank,
        adapter.alpha,
        adapter.tensors.len(),
        values(policy),
        rule(policy.lora_rule),
        codec(policy.codec)
    );
    terms(&mut out, policy);
    let _ = writeln!(out, "\n{:<20} {:<9} {:<8} member", "label", "role", "signed");
    for member in members {
        let vote =
            votes.iter().find(|v| v.governor == member.author_key).map_or("-", |v| if v.voted { "yes" } else { "no" });
        let _ = writeln!(out, "{:<20} {:<9} {:<8} {}", member.label, role(member.role), vote, member.id);
        if let Some(next) = &member.next {
            let _ = writeln!(out, "{:<39} next key of hash {next}", "");
        }
    }
    let upto = |last: Option<(Seq, RecordId)>| {
        last.map_or_else(|| "nothing".to_owned(), |(seq, id)| format!("up to {seq} ({})", id.short()))
    };
    for one in handovers {
        let (who, upto) = (one.member.short(), upto(one.last));
        let _ = writeln!(
            out,
            "new key: {who}; of its earlier keys' records in incarnation {}: {upto} stands",
            one.incarnation
        );
        if let Some(end) = &one.log {
            let _ = writeln!(
                out,
                "         its log ends for the earlier keys at size {}, root {}",
                end.size,
                hex::encode(end.root)
            );
        }
    }
    for cut in cuts {
        let upto = upto(cut.last);
        let _ = writeln!(out, "cut: {} incarnation {}: {upto} stands", cut.member.short(), cut.incarnation);
    }
    out.trim_end().to_owned()
}
