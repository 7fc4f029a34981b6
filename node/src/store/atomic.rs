//! Files that are there whole or not at all: temporary file, fsync, rename, fsync of the folder.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use super::StoreError;

/// Whether a file must outlive a power cut, or only the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// fsync of file and folder.
    Yes,
    /// The page cache is enough: the file can be made again.
    No,
}

/// Puts what `fill` writes at `path`, replacing what was there. `temp` lies on the same file system.
pub(crate) fn write(
    path: &Path,
    temp: &Path,
    durable: Durable,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(StoreError::io(folder, "make the folder"))?;
    let file = File::create(temp).map_err(StoreError::io(temp, "make a temporary file"))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    fill(&mut out).and_then(|()| out.flush()).map_err(StoreError::io(temp, "write"))?;
    if durable == Durable::Yes {
        out.get_ref().sync_data().map_err(StoreError::io(temp, "flush to disk"))?;
    }
    drop(out);
    fs::rename(temp, path).map_err(StoreError::io(path, "rename into place"))?;
    if durable == Durable::Yes {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Makes renames in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io(folder, "flush the folder to disk"))
}
