//! `chorale archive`: everything that an auditor needs, in one folder or tar.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use chorale::{config::Home, store::Store};
use serde_json::json;

use super::{
    network,
    out::{Out, bytes},
};

/// Write everything this node holds as an archive for an auditor, and beside it (OUT.anchors) what it must hold
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
        let heads: Vec<String> = archive.heads.iter().map(|head| head.id.to_string()).collect();
        let own = archive.heads.iter().rev().find(|head| head.member == member).map(|head| head.id.to_string());
        let path = self.out.display().to_string();
        let anchors = beside(&self.out);
        fs::write(&anchors, archive.anchors(&chain)).with_context(|| format!("cannot write {}", anchors.display()))?;
        let anchors = anchors.display().to_string();
        let text = format!(
            "wrote {path}: {} files, {}\nwrote {anchors}: the newest record of each of {} feeds, and the newest manifest version\n\
             network {network}\n\
             the auditor gets network id and anchors by another way than the archive, at best from every member, and runs:\n\
             chorale-audit verify {path} --network {network} --anchors {anchors}",
            archive.files,
            bytes(archive.bytes),
            heads.len()
        );
        let value = json!({
            "archive": path, "files": archive.files, "bytes": archive.bytes, "network": network, "anchor": own, "heads": heads,
            "anchors": anchors,
        });
        out.result(&value, text);
        Ok(())
    }
}

/// The file of anchors that belongs to an archive.
fn beside(archive: &Path) -> PathBuf {
    let mut path = archive.as_os_str().to_owned();
    path.push(".anchors");
    path.into()
}
