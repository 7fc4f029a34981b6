//! Archives as they are handed over. What is none is recognised by its first bytes, or by its names, and named.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use anyhow::{Context, anyhow};
use chorale_protocol::audit::{Archive, layout::Name};

use crate::{
    exit::{Exit, OrExit, Trouble},
    folder::{self, Access},
};

/// Opens an archive: a folder, or a tar of one.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Archive>, Trouble> {
    open_by(path, Access::Read)
}

/// As [`open`], with large files read in this way.
pub(crate) fn open_by(path: &Path, access: Access) -> Result<Box<dyn Archive>, Trouble> {
    if !path.is_dir() {
        recognise(path)?;
    }
    let archive = folder::open_by(path, access).or_io()?;
    on_top(path, &archive.files().with_context(|| format!("cannot read {}", path.display())).or_io()?)?;
    Ok(archive)
}

/// How compressed files begin, what they are called, and what unpacks them.
const PACKED: [(&[u8], &str, &str); 7] = [
    (b"\x1f\x8b", "compressed with gzip", "gunzip --keep"),
    (b"BZh", "compressed with bzip2", "bunzip2 --keep"),
    (b"\xfd7zXZ\0", "compressed with xz", "unxz --keep"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unzstd"),
    (b"PK\x03\x04", "a zip", "unzip"),
    (b"PK\x05\x06", "an empty zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x"),
];

/// Whether a file could be a tar at all.
pub(crate) fn recognise(path: &Path) -> Result<(), Trouble> {
    let shown = path.display();
    let context = |error: std::io::Error| anyhow!("cannot read {shown}: {error}");
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(8).read_to_end(&mut head)).map_err(context).or_io()?;
    if head.is_empty() && fs::metadata(path).map_err(context).or_io()?.is_file() {
        let error = anyhow!("{shown} is empty: there is nothing to check; get the archive again");
        return Err(Trouble { exit: Exit::Incomplete, error });
    }
    match PACKED.iter().find(|(magic, ..)| head.starts_with(magic)) {
        None => Ok(()),
        Some((_, what, with)) => Err(anyhow!(
            "{shown} is {what}; an archive is a folder or a plain tar: unpack it with `{with}` and name the result"
        ))
        .or_io(),
    }
}

/// Whether all of an archive lies in one folder of it, where its layout is not looked for.
fn on_top(path: &Path, files: &[(String, u64)]) -> Result<(), Trouble> {
    if files.iter().any(|(name, _)| Name::parse(name).is_some()) {
        return Ok(());
    }
    let genesis = files.iter().find_map(|(name, _)| name.strip_suffix("/genesis"));
    // A folder that is not of the layout is not entered.
    let alone = match files {
        [(name, _)] => name.strip_suffix('/').filter(|name| path.join(name).join("genesis").is_file()),
        _ => None,
    };
    let shown = path.display();
    let error = match (genesis, alone) {
        (Some(folder), _) => anyhow!(
            "in {shown} the archive lies in a folder, {folder:?}; unpack it and name that folder, or pack what is in it: \
             tar -C {folder} -cf ARCHIVE.tar ."
        ),
        (None, Some(folder)) => {
            anyhow!("in {shown} the archive lies in a folder: name {}", path.join(folder).display())
        }
        (None, None) => return Ok(()),
    };
    Err(error).or_io()
}
