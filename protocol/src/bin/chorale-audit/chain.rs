//! The manifest chain of an archive, taken at its own word.

use anyhow::Context;
use chorale_protocol::{
    audit::{Archive, layout::Name},
    base::limit,
    manifest::Chain,
};

use crate::exit::{OrExit, Trouble};

/// The chain as far as it verifies, from the archive's own genesis: enough to show records by.
pub(crate) fn own(archive: &dyn Archive) -> Result<Chain, Trouble> {
    let read = |name: Name| archive.read(&name.to_string(), limit::MANIFEST_BYTES as u64);
    let genesis = read(Name::Genesis).context("the archive has no readable genesis").or_io()?;
    let mut chain = Chain::genesis(genesis).context("the archive's genesis does not verify").or_io()?;
    for version in 1.. {
        let Ok(bytes) = read(Name::Manifest(version)) else { break };
        if chain.extend(bytes).is_err() {
            break;
        }
    }
    Ok(chain)
}
