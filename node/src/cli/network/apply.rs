//! `chorale network apply`: hand a signed later version to the node, running or next to run.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use chorale::config::Home;
use chorale_protocol::{
    base::limit::MANIFEST_BYTES,
    manifest::{DoubleVote, SignedManifest},
};
use serde_json::json;

use super::file;
use crate::cli::{card::read_bytes, inbox, out::Out};

/// Hand a signed later version of the manifest to this home's node, running or next to run; it spreads from there
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
    /// The signed manifest
    file: PathBuf,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let signed: SignedManifest = file::read_manifest(&self.file)?;
        let version = signed.manifest.version;
        ensure!(version > 0, "this is a genesis; a home takes it up with: chorale network join");
        let mut chain = file::stored_chain(&home)?;
        let held = chain.current().version;
        if let Ok(double) = DoubleVote::check(&signed.to_bytes(), &chain) {
            inbox::drop(&home, &format!("conflict-{version:06}.manifest"), &signed.to_bytes())?;
            let governors: Vec<String> = double.governors.iter().map(ToString::to_string).collect();
            let text = format!(
                "version {version} contradicts the one that this home holds, and these governors voted for both: {}\n\
                 the node keeps it as evidence; it changes nothing else",
                governors.join(", ")
            );
            out.result(&json!({ "version": version, "handed": true, "double_vote": governors }), text);
            return Ok(());
        }
        ensure!(version > held, "this home holds version {held} already, the file is version {version}");
        // Those between may wait in the inbox of a node that does not run.
        for between in held + 1..version {
            let path = home.inbox().join(order(between));
            let bytes = read_bytes(&path, MANIFEST_BYTES as u64).with_context(|| {
                format!("this home holds version {held}, the file is version {version}: apply version {between} first")
            })?;
            chain.extend(bytes.into()).with_context(|| path.display().to_string())?;
        }
        chain.extend(signed.to_bytes()).with_context(|| format!("version {version} does not follow"))?;
        inbox::drop(&home, &order(version), &signed.to_bytes())?;
        out.result(
            &json!({ "version": version, "handed": true }),
            format!(
                "version {version} is in {}: a running node takes it up at once, else the next one",
                home.inbox().display()
            ),
        );
        Ok(())
    }
}

/// The name of the order that hands over a version.
fn order(version: u64) -> String {
    format!("{version:06}.manifest")
}
