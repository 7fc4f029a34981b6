//! The manifest chain, from an archive or from files.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use chorale_protocol::{
    audit::{Archive, layout::Name},
    base::limit,
    manifest::Chain,
};

use crate::{
    exit::{Exit, OrExit, Trouble},
    file, folder,
    pin::Pin,
    survey,
};

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

/// The chain of an archive, or of a genesis file; and of further versions in files, in their order.
pub(crate) fn of(pin: &Pin, archive: Option<&Path>, more: &[PathBuf]) -> Result<Chain, Trouble> {
    let network = pin.network()?;
    let mut chain = match (archive, pin.genesis()) {
        (Some(path), _) => {
            let archive = folder::open(path).or_io()?;
            survey::open(&*archive, path, network)?.chain().clone()
        }
        (None, Some(path)) => from_files(&[path.to_owned()])?,
        (None, None) => {
            let error = anyhow!("an id tells no keys: give --genesis FILE, or --archive ARCHIVE");
            return Err(Trouble { exit: Exit::Usage, error });
        }
    };
    extend(&mut chain, more)?;
    Ok(chain)
}

/// The chain of a genesis file and the files of the versions after it, in their order.
pub(crate) fn from_files(paths: &[PathBuf]) -> Result<Chain, Trouble> {
    let (genesis, more) = paths.split_first().ok_or_else(|| anyhow!("no file")).or_usage()?;
    let bytes = file::read(genesis, limit::MANIFEST_BYTES as u64).or_io()?;
    let mut chain = Chain::genesis(bytes.into()).map_err(|error| refused(genesis, &error))?;
    extend(&mut chain, more)?;
    Ok(chain)
}

fn extend(chain: &mut Chain, paths: &[PathBuf]) -> Result<(), Trouble> {
    for path in paths {
        let bytes = file::read(path, limit::MANIFEST_BYTES as u64).or_io()?;
        chain.extend(bytes.into()).map_err(|error| refused(path, &error))?;
    }
    Ok(())
}

fn refused(path: &Path, error: &chorale_protocol::manifest::ManifestError) -> Trouble {
    Trouble { exit: Exit::Failed, error: anyhow!("{}: {}: {error}", path.display(), error.code()) }
}
