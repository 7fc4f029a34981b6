//! `chorale archive`: everything that an auditor needs, in one folder or tar.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chorale::{config::Home, store::Store};
use serde_json::json;

use super::{
    network,
    out::{Out, bytes},
};

/// Write everything this node holds as an archive for an auditor, and print what the auditor must be told
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder; its node must not run
    #[arg(long)]
    home: PathBuf,
    /// A new folder, or a file that ends in .tar
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let chain = network::stored_chain(&home)?;
        let member = network::own_id(&home, &chain)?;
        let store = Store::open(home.root()).context("the store; a running node holds it: stop it first")?;
        let archive = store.archive(&self.out)?;
        let network = chain.network().to_string();
        let anchors: Vec<String> = archive.heads.iter().map(|head| head.id.to_string()).collect();
        let own = archive.heads.iter().rev().find(|head| head.member == member).map(|head| head.id.to_string());
        let path = self.out.display().to_string();
        let anchor = own.as_ref().map(|id| format!(" --anchor {id}")).unwrap_or_default();
        let text = format!(
            "wrote {path}: {} files, {}\nnetwork {network}\nanchor  {}\n\
             the auditor gets both by another way than the archive, and runs: chorale-audit verify {path} --network {network}{anchor}",
            archive.files,
            bytes(archive.bytes),
            own.as_deref().unwrap_or("none: this member has published nothing")
        );
        let value = json!({
            "archive": path, "files": archive.files, "bytes": archive.bytes, "network": network, "anchor": own, "heads": anchors,
        });
        out.result(&value, text);
        Ok(())
    }
}
