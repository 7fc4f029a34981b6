//! Orders for a home's node, as files: `*.manifest`, `release.<label>`, `leave` and `stop`. The node takes them up while it
//! runs, or when it starts; each is removed once it was handed over.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use chorale::config::{Home, label_is_fine};
use chorale_protocol::base::limit::MANIFEST_BYTES;

use super::card::read_bytes;

/// One order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A later manifest version.
    Manifest(Bytes),
    /// Pin the newest publication under this label.
    Release(String),
    /// Leave the network.
    Leave,
    /// End the process.
    Stop,
}

/// Drops an order, whole or not at all.
pub(crate) fn drop(home: &Home, name: &str, content: &[u8]) -> Result<()> {
    let inbox = home.inbox();
    fs::create_dir_all(&inbox).with_context(|| inbox.display().to_string())?;
    let temp = inbox.join(format!(".{name}"));
    let path = inbox.join(name);
    fs::write(&temp, content).and_then(|()| fs::rename(&temp, &path)).with_context(|| path.display().to_string())
}

/// The end of the name of what was no order.
const REFUSED: &str = ".refused";

/// Renames what is no order: it is told once, and kept.
pub(crate) fn put_aside(path: &Path) {
    let mut name = path.as_os_str().to_owned();
    name.push(REFUSED);
    if let Err(error) = fs::rename(path, &name) {
        tracing::warn!(%error, file = ?path, "what is no order could not be put aside");
    }
}

/// The orders that wait, by file name, and where each lies.
pub(crate) fn waiting(home: &Home) -> Vec<(PathBuf, Result<Order, String>)> {
    let Ok(entries) = fs::read_dir(home.inbox()) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    paths.retain(|path| name(path).is_some_and(|name| !name.starts_with('.') && !name.ends_with(REFUSED)));
    paths
        .into_iter()
        .map(|path| {
            let order = order(&path, &name(&path).unwrap_or_default());
            (path, order)
        })
        .collect()
}

fn order(path: &Path, name: &str) -> Result<Order, String> {
    if let Some(label) = name.strip_prefix("release.") {
        return if label_is_fine(label) { Ok(Order::Release(label.into())) } else { Err("not a release label".into()) };
    }
    match name {
        "leave" => Ok(Order::Leave),
        "stop" => Ok(Order::Stop),
        _ if name.ends_with(".manifest") => read_bytes(path, MANIFEST_BYTES as u64)
            .map(|bytes| Order::Manifest(bytes.into()))
            .map_err(|error| format!("{error:#}")),
        _ => Err("not an order: wanted NUMBER.manifest, release.LABEL, leave or stop".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_back_in_order_and_strangers_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(&dir.path().join("h"), "").unwrap();
        drop(&home, "000001.manifest", b"m").unwrap();
        drop(&home, "release.v1", b"").unwrap();
        drop(&home, "leave", b"").unwrap();
        drop(&home, "note.txt", b"").unwrap();
        fs::write(home.inbox().join(".half"), b"").unwrap();
        let found = waiting(&home);
        let orders: Vec<_> = found.iter().map(|(_, order)| order).collect();
        assert!(
            matches!(&orders[..], [Ok(Order::Manifest(_)), Ok(Order::Leave), Err(_), Ok(Order::Release(_))]),
            "{orders:?}"
        );
        put_aside(&found[2].0);
        assert!(home.inbox().join("note.txt.refused").is_file());
        assert_eq!(waiting(&home).len(), 3, "it is told once");
    }
}
