//! `chorale status`: what a home's node does, or last did.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use chorale::{config::Home, driver::Status};

use super::{
    out::{Out, bytes, safe},
    progress::{read_status, round_line},
};

/// Show what this home's node does, or last did
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder
    #[arg(long)]
    home: PathBuf,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let why = if home.status().exists() {
            "status.json of this home was not written by this version of the program"
        } else {
            "no node has run in this home yet: chorale run"
        };
        let status = read_status(&home).context(why)?;
        out.result(&serde_json::to_value(&status)?, table(&status));
        Ok(())
    }
}

/// Seconds since the status was written.
pub(crate) fn age_s(status: &Status) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(status.updated_ms) / 1000
}

/// The state in one word.
pub(crate) fn state(status: &Status) -> String {
    serde_json::to_value(status.state).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn table(status: &Status) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let label = status.label.as_deref().unwrap_or("-");
    let _ = writeln!(
        text,
        "{label}: {}, round {} of {}, {} updates since the start, {} s ago (process {})",
        state(status),
        status.round,
        status.rounds,
        status.updates,
        age_s(status),
        status.pid
    );
    if let Some(error) = &status.error {
        let _ = writeln!(text, "error    {}", safe(error));
    }
    let _ = writeln!(text, "network  {} (manifest version {})", safe(&status.network), status.manifest_version);
    if let Some(head) = &status.head {
        let _ = writeln!(text, "head     {} (incarnation {}, seq {})", safe(&head.id), head.incarnation, head.seq);
    }
    let _ = writeln!(text, "listens  {}", safe(&status.listening.join(" ")));
    let _ = writeln!(text, "peers    {}", safe(&status.peers.join(" ")));
    let _ = writeln!(
        text,
        "bytes    {} sent, {} received; of blobs {} and {}",
        bytes(status.total_out),
        bytes(status.total_in),
        bytes(status.blob_out),
        bytes(status.blob_in)
    );
    for (code, count) in &status.refused {
        let _ = writeln!(text, "refused  {} {count} times", safe(code));
    }
    for (member, code) in &status.barred {
        let _ = writeln!(text, "broke a rule: {} ({})", safe(member), safe(code));
    }
    for member in &status.convicted {
        let _ = writeln!(text, "convicted of two histories: {}", safe(member));
    }
    for (version, governor) in &status.double_votes {
        let _ = writeln!(text, "governor {} voted for two manifests of version {version}", safe(governor));
    }
    if status.alone > 0 {
        let _ = writeln!(
            text,
            "alone    newest updates that merged nobody else: {}; the rounds below say why",
            status.alone
        );
    }
    if let Some(version) = status.key_gone {
        let _ =
            writeln!(text, "key      manifest version {version} names a key that the node has not: nothing is signed");
    }
    let _ =
        writeln!(text, "\n{:>5}  {:>8}  {:>8}  {:>7}  {:>7}  merged", "round", "before", "after", "wait ms", "work ms");
    for round in status.history.iter().rev().take(10).rev() {
        let _ = writeln!(text, "{}", safe(&round_line(round)));
    }
    text.trim_end().to_owned()
}
