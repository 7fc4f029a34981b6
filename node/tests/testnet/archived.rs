//! An archive as a folder on the disk, and its audit.

use std::path::Path;

use chorale_protocol::{
    audit::{MemoryArchive, Options, Report, layout, replay},
    manifest::Chain,
};

/// A folder's archive, and the chain in it.
pub(crate) fn read(root: &Path) -> (MemoryArchive, Chain) {
    let mut archive = MemoryArchive::default();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                archive.insert(name, std::fs::read(&path).unwrap().into());
            }
        }
    }
    let file = |name: String| archive.iter().find(|(other, _)| *other == name).map(|(_, bytes)| bytes.clone());
    let mut chain = Chain::genesis(file(layout::genesis_name()).unwrap()).unwrap();
    while let Some(bytes) = file(layout::manifest_name(chain.current().version + 1)) {
        chain.extend(bytes).unwrap();
    }
    (archive, chain)
}

pub(crate) fn audit(archive: &MemoryArchive, chain: &Chain, allow_pruned: bool) -> Report {
    let options = Options {
        network: chain.network(),
        anchors: Vec::new(),
        allow_unanchored: true,
        allow_pruned,
        recompute: true,
        witnesses: 0,
        heads_only: false,
        threads: 2,
    };
    replay(archive, &options, &|_, _| {}).unwrap()
}
