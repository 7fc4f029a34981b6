//! What an auditor finds in an archive that only the network's id vouches for.

use chorale_protocol::{
    audit::{MemoryArchive, Options, Report, replay},
    base::NetworkId,
};

/// Audits everything in the archive, without anchors.
#[must_use]
pub fn audit(archive: &MemoryArchive, network: NetworkId) -> Report {
    let options = Options {
        network,
        anchors: Vec::new(),
        allow_unanchored: true,
        allow_pruned: false,
        recompute: true,
        witnesses: 0,
        heads_only: false,
        threads: 1,
    };
    replay(archive, &options, &|_, _| {}).expect("an archive in memory can be read")
}
