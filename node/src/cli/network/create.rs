//! `chorale network create`: an unsigned genesis from cards and a policy.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use chorale_protocol::manifest::{Manifest, Member, Policy, Role, SignedManifest};
use serde_json::json;

use super::{Shape, file, shape};
use crate::cli::{card::Card, out::Out};

/// Make an unsigned genesis from the members' cards and what they will share; every governor then signs it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cards of the members
    #[arg(long, required = true, num_args = 1..)]
    cards: Vec<PathBuf>,
    /// Cards of observers: the gate lets them connect; they never publish, and `chorale run` does not take their part yet
    #[arg(long, num_args = 1..)]
    observers: Vec<PathBuf>,
    /// Cards of archivists: they keep records, payloads and bundles for ever, may witness and never publish; `chorale run` does not
    /// take their part yet
    #[arg(long, num_args = 1..)]
    archivist: Vec<PathBuf>,
    /// Cards of those who may change the manifest; all members if absent
    #[arg(long, num_args = 1..)]
    governors: Vec<PathBuf>,
    /// How many governors a change takes; more than half of them if absent
    #[arg(long)]
    threshold: Option<u64>,
    #[command(flatten)]
    shape: Shape,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
}

/// Who takes part, and how many it takes to change that.
pub(crate) struct Plan {
    pub(crate) members: Vec<Member>,
    /// Governors are the members named here; all if empty.
    pub(crate) governors: Vec<Card>,
    pub(crate) threshold: Option<u64>,
    pub(crate) policy: Policy,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let read = |paths: &[PathBuf], role| -> Result<Vec<Member>> {
            paths.iter().map(|path| Card::read(path)?.member(role)).collect()
        };
        let mut members = read(&self.cards, Role::Member)?;
        let policy = shape(&self.shape, members.len())?;
        members.extend(read(&self.observers, Role::Observer)?);
        members.extend(read(&self.archivist, Role::Archivist)?);
        let governors = self.governors.iter().map(|path| Card::read(path)).collect::<Result<_>>()?;
        let signed = unsigned(Plan { members, governors, threshold: self.threshold, policy })?;
        file::write_new(&self.out, &signed.to_bytes())?;
        let path = self.out.display().to_string();
        let network = file::network_of(&signed);
        let text = format!(
            "wrote {path}: network {network}\n\
             next: every governor looks at it (chorale network show {path}) and signs its copy\n\
             (chorale network sign --home HOME {path}); then chorale network combine"
        );
        out.result(&json!({ "file": path, "network": network.to_string() }), text);
        Ok(())
    }
}

/// A genesis without votes.
pub(crate) fn unsigned(plan: Plan) -> Result<SignedManifest> {
    let mut members = plan.members;
    members.sort_by_key(|member| member.id);
    for pair in members.windows(2) {
        if let [a, b] = pair {
            ensure!(a.id != b.id, "two cards of one member: {} and {}", a.label, b.label);
        }
    }
    if let Some(wanted) = plan.policy.witnesses {
        let others = members.len().saturating_sub(1);
        ensure!(
            usize::try_from(wanted).is_ok_and(|wanted| wanted <= others),
            "--witnesses: got {wanted}, wanted at most {others}: that many others there are to cosign a member's log"
        );
    }
    let mut governors = Vec::new();
    for card in &plan.governors {
        governors.push(card.member(Role::Member)?.author_key);
    }
    if governors.is_empty() {
        governors = members.iter().filter(|m| m.role == Role::Member).map(|m| m.author_key).collect();
    }
    governors.sort();
    governors.dedup();
    let threshold = plan.threshold.unwrap_or(governors.len() as u64 / 2 + 1);
    let manifest = Manifest {
        network: None,
        version: 0,
        prev: None,
        governors,
        threshold,
        members,
        cuts: Vec::new(),
        policy: plan.policy,
        handovers: Vec::new(),
    };
    Ok(SignedManifest::new(manifest)?)
}
