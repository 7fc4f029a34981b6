//! An archive in a folder. Links are not followed, and nothing outside the layout is entered.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chorale_protocol::audit::Archive;

use crate::{
    mapped,
    spare::{LARGE, PIECE, Spare, look_along},
    tarball::Tarball,
};

/// Opens an archive, a folder or a tar of one, with large files read in this way.
pub(crate) fn open_by(path: &Path, access: Access) -> anyhow::Result<Box<dyn Archive>> {
    let context = |error: io::Error| anyhow::Error::new(error).context(format!("cannot read {}", path.display()));
    if fs::metadata(path).map_err(context)?.is_dir() {
        return Ok(Box::new(Folder { root: path.to_owned(), spare: Spare::default(), access }));
    }
    let tarball = Tarball::open(path).map_err(context)?;
    Ok(match access {
        Access::Read => Box::new(tarball),
        Access::Map => Box::new(tarball.mapped(File::open(path).and_then(|file| mapped::map(&file)).map_err(context)?)),
    })
}

/// How large files come into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// They are copied.
    Read,
    /// They are mapped: nobody may change them meanwhile.
    Map,
}

struct Folder {
    root: PathBuf,
    spare: Spare,
    access: Access,
}

/// The folders of the layout.
const FOLDERS: [&str; 5] = ["blobs", "conflicts", "evidence", "feeds", "manifests"];
/// The one that has folders in it.
const LOGS: &str = "logs";
/// How deep they lie: `logs/<member>/tile/0/x001/x234/x567/x890/123.p/4`.
const LOG_DEPTH: usize = 12;

impl Archive for Folder {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for (name, kind, length) in entries(&self.root)? {
            if kind.is_dir() && FOLDERS.contains(&name.as_str()) {
                for (inner, kind, length) in entries(&self.root.join(&name))? {
                    files.push((described(&format!("{name}/{inner}"), kind), length));
                }
            } else if kind.is_dir() && name == LOGS {
                walk(&self.root.join(LOGS), LOGS, LOG_DEPTH, &mut files)?;
            } else {
                files.push((described(&name, kind), length));
            }
        }
        files.sort();
        Ok(files)
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Bytes> {
        self.read_along(name, limit, &mut |_| {})
    }

    fn read_along(&self, name: &str, limit: u64, look: &mut dyn FnMut(&[u8])) -> io::Result<Bytes> {
        let (file, length) = self.open(name)?;
        if self.access == Access::Map && (LARGE as u64..=limit).contains(&length) {
            let bytes = mapped::map(&file)?;
            look_along(&bytes, look);
            return Ok(bytes);
        }
        let mut bytes = self.spare.take(usize::try_from(length.min(limit)).unwrap_or_default());
        let most = limit.saturating_add(1);
        loop {
            let piece = PIECE.min(most.saturating_sub(bytes.len() as u64));
            let got = (&file).take(piece).read_to_end(&mut bytes)? as u64;
            look(&bytes);
            // It ends here, or goes beyond the limit.
            if got < PIECE {
                break;
            }
        }
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{name} grew while it was read")));
        }
        Ok(self.spare.lend(bytes))
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Bytes> {
        let (mut file, _) = self.open(name)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Folder {
    /// A plain file and its length.
    fn open(&self, name: &str) -> io::Result<(File, u64)> {
        let path = self.root.join(name);
        let metadata = fs::symlink_metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::Error::other(format!("{name} is no plain file any more")));
        }
        Ok((File::open(&path)?, metadata.len()))
    }
}

/// Every file below a folder.
fn walk(folder: &Path, name: &str, depth: usize, files: &mut Vec<(String, u64)>) -> io::Result<()> {
    for (inner, kind, length) in entries(folder)? {
        let name = format!("{name}/{inner}");
        if kind.is_dir() && depth > 0 {
            walk(&folder.join(inner), &name, depth - 1, files)?;
        } else {
            files.push((described(&name, kind), length));
        }
    }
    Ok(())
}

/// What lies in a folder; links are themselves, not what they point to.
fn entries(folder: &Path) -> io::Result<Vec<(String, fs::FileType, u64)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name();
        // A name that is not UTF-8 becomes one that is not of the layout.
        let name = name.to_str().map_or_else(|| format!("{} (odd)", name.to_string_lossy()), str::to_owned);
        all.push((name, metadata.file_type(), metadata.len()));
    }
    Ok(all)
}

/// The name of what is no plain file says so, and thereby is not of the layout: it is reported, and never read.
fn described(name: &str, kind: fs::FileType) -> String {
    match kind {
        kind if kind.is_file() => name.to_owned(),
        kind if kind.is_dir() => format!("{name}/"),
        kind if kind.is_symlink() => format!("{name} (a link)"),
        _ => format!("{name} (no plain file)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_the_same_read_or_mapped_from_a_folder_or_a_tar_and_is_shown_as_it_comes() {
        let home = tempfile::tempdir().unwrap();
        let (folder, tar) = (home.path().join("archive"), home.path().join("archive.tar"));
        fs::create_dir_all(folder.join("blobs")).unwrap();
        let bytes = |length: usize| (0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>();
        let lengths = [0, 1, PIECE as usize - 1, PIECE as usize, LARGE - 1, LARGE, 3 * LARGE + 5];
        for length in lengths {
            fs::write(folder.join(format!("blobs/{length}")), bytes(length)).unwrap();
        }
        let mut builder = tar::Builder::new(File::create(&tar).unwrap());
        builder.append_dir_all(".", &folder).unwrap();
        builder.finish().unwrap();
        for path in [&folder, &tar] {
            for access in [Access::Read, Access::Map] {
                let archive = open_by(path, access).unwrap();
                for length in lengths {
                    let name = format!("blobs/{length}");
                    let (mut seen, mut looks) = (Vec::new(), 0);
                    let mut look = |so_far: &[u8]| {
                        assert!(so_far.starts_with(&seen));
                        (seen, looks) = (so_far.to_vec(), looks + 1);
                    };
                    let read = archive.read_along(&name, length as u64, &mut look).unwrap();
                    assert!(read == bytes(length) && seen == read, "{access:?}, {length}");
                    assert!(looks > length / (2 * PIECE as usize), "{length} bytes were shown {looks} times");
                    assert_eq!(archive.read(&name, u64::MAX).unwrap(), read);
                    if length > 0 {
                        let refused = archive.read_along(&name, length as u64 - 1, &mut |_| {});
                        assert!(refused.is_err(), "{access:?}, {length}: longer than allowed");
                    }
                }
            }
        }
    }
}
