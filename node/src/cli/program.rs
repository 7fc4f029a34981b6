//! This program, to be started again as another process.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// Its path; where the file was replaced while it ran (an update, a new build), the running program itself.
pub(crate) fn program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("this program's own path")?;
    let running = PathBuf::from("/proc/self/exe");
    Ok(if !path.exists() && running.exists() { running } else { path })
}
