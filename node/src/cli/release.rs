//! `chorale release` and `chorale leave`: orders for the node.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use chorale::{
    config::{Home, label_is_fine},
    driver::State,
};
use serde_json::json;

use super::{inbox, out::Out, progress::read_status};

/// Pin this member's newest adapter under a name: it is kept by all, whatever the retention says
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
    /// Its name: 1 to 64 of a-z 0-9 . _ -
    label: String,
}

/// Leave the network: close this member's feed for ever; what it published stands
#[derive(Debug, clap::Args)]
pub(crate) struct LeaveArgs {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
    /// Really: a closed feed cannot be opened again
    #[arg(long)]
    yes: bool,
}

impl ReleaseArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        ensure!(label_is_fine(&self.label), "label: got {:?}, wanted 1 to 64 of a-z 0-9 . _ -", self.label);
        still_publishes(&home)?;
        inbox::drop(&home, &format!("release.{}", self.label), b"")?;
        out.result(&json!({ "release": self.label, "handed": true }), "handed to the node, running or next to run");
        Ok(())
    }
}

impl LeaveArgs {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        ensure!(self.yes, "leaving closes this member's feed for ever; say --yes if that is meant");
        still_publishes(&home)?;
        inbox::drop(&home, "leave", b"")?;
        out.result(&json!({ "leave": true, "handed": true }), "handed to the node, running or next to run");
        Ok(())
    }
}

/// A feed that was closed takes no order any more.
fn still_publishes(home: &Home) -> Result<()> {
    let state = read_status(home).map(|status| status.state);
    ensure!(
        !matches!(state, Some(State::Lingering | State::Finished)),
        "this member's feed was closed behind the last round, or when it left: it publishes nothing more"
    );
    Ok(())
}
