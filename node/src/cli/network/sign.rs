//! `chorale network sign` and `combine`: governors' votes.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use chorale::config::Home;
use chorale_protocol::{
    code::{AuthorKey, PublicKey},
    manifest::SignedManifest,
};
use serde_json::json;

use super::file;
use crate::cli::out::Out;

/// Add this governor's vote to a manifest file (in place). A vote is for good: who votes for two manifests of one version is
/// named by every audit
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// The governor's home folder
    #[arg(long)]
    home: PathBuf,
    /// The manifest file
    file: PathBuf,
}

/// Merge the votes that governors gave to copies of one manifest
#[derive(Debug, clap::Args)]
pub(crate) struct CombineArgs {
    /// Signed copies
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
}

impl SignArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let mut signed = file::read_manifest(&self.file)?;
        // A later version takes votes of the governors before it too.
        let before = if signed.manifest.version > 0 {
            file::stored_chain(&home)?.current().governors.clone()
        } else {
            Vec::new()
        };
        // A version that gives this member another key may want the votes of both.
        let signers = home.signers()?;
        let governs =
            |key: &&AuthorKey| signed.manifest.governors.iter().chain(&before).any(|one| *one == key.public());
        let voting: Vec<&AuthorKey> = signers.iter().filter(governs).collect();
        if voting.is_empty() {
            add_vote(&mut signed, &before, signers.first().context("no author key")?)?;
        }
        for key in voting {
            add_vote(&mut signed, &before, key)?;
        }
        file::replace(&self.file, &signed.to_bytes())?;
        report(out, &self.file, &signed);
        Ok(())
    }
}

impl CombineArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let mut files = self.files.iter();
        let first = files.next().context("no file")?;
        let mut all = file::read_manifest(first)?;
        for path in files {
            let other = file::read_manifest(path)?;
            ensure!(
                other.payload == all.payload,
                "{} and {} are different manifests; sign copies of one file",
                first.display(),
                path.display()
            );
            all.votes.extend(other.votes);
        }
        all.votes.sort_by_key(|(key, _)| *key);
        all.votes.dedup_by_key(|(key, _)| *key);
        file::write_new(&self.out, &all.to_bytes())?;
        report(out, &self.out, &all);
        Ok(())
    }
}

/// Adds the vote of `key`, which must be a governor's of this version or of the one `before`: one vote of anybody else spoils
/// the file for all.
pub(crate) fn add_vote(signed: &mut SignedManifest, before: &[PublicKey], key: &AuthorKey) -> Result<()> {
    let public = key.public();
    let governors = || signed.manifest.governors.iter().chain(before);
    ensure!(
        governors().any(|governor| *governor == public),
        "key {public} is none of the governors of this manifest; they are: {}",
        governors().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    signed.vote(key);
    Ok(())
}

fn report(out: &Out, path: &std::path::Path, signed: &SignedManifest) {
    let votes = file::votes(signed);
    let missing: Vec<String> = votes
        .iter()
        .filter(|vote| !vote.voted)
        .map(|vote| vote.label.clone().unwrap_or_else(|| vote.governor.to_string()))
        .collect();
    let path = path.display().to_string();
    let text = if missing.is_empty() {
        format!("{path}: all {} governors have signed", votes.len())
    } else {
        format!(
            "{path}: {} of {} governors have signed; not yet: {}",
            votes.len() - missing.len(),
            votes.len(),
            missing.join(", ")
        )
    };
    let value = json!({ "file": path, "votes": signed.votes.len(), "governors": votes.len(), "missing": missing });
    out.result(&value, text);
}
