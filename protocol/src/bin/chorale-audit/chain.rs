//! The manifest chain, from an archive or from files.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use chorale_protocol::{base::limit, manifest::Chain};

use crate::{
    archive,
    exit::{Exit, OrExit, Trouble},
    file,
    pin::Pin,
    survey,
};

/// The chain of an archive, or of a genesis file; and of further versions in files, in their order.
pub(crate) fn of(pin: &Pin, archive: Option<&Path>, more: &[PathBuf]) -> Result<Chain, Trouble> {
    let network = pin.network()?;
    let mut chain = match (archive, pin.genesis()) {
        (Some(path), _) => {
            let archive = archive::open(path)?;
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
