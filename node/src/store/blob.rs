//! Blobs: files named by the BLAKE3 of their bytes.
//!
//! Our own are durable before a record names them. Fetched ones are renamed into place without a flush: what a power cut
//! damages is found at the next start and fetched again.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bytes::Bytes;
use chorale_protocol::{base::BlobHash, base::limit, code::blob_hash, feed::Body};

use super::{StoreError, atomic};

/// After an unclean end, so many of the newest blobs are hashed again.
const RECHECKED: usize = 256;

/// The blob files of one home.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    blobs: PathBuf,
    partial: PathBuf,
}

impl Blobs {
    pub(super) fn open(store: &Path) -> Result<Self, StoreError> {
        let this = Self { blobs: store.join("blobs"), partial: store.join("partial") };
        for folder in [&this.blobs, &this.partial] {
            fs::create_dir_all(folder).map_err(StoreError::io(folder, "make the folder"))?;
        }
        this.sweep()?;
        Ok(this)
    }

    pub(super) fn path(&self, hash: &BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.blobs.join(&name[..2]).join(name)
    }

    pub(super) fn partial(&self, hash: &BlobHash) -> PathBuf {
        self.partial.join(hash.to_string())
    }

    /// The length of a complete blob.
    pub(super) fn length(&self, hash: &BlobHash) -> Option<u64> {
        fs::metadata(self.path(hash)).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
    }

    /// Writes one of our own, durably.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Body, StoreError> {
        self.put_named(blob_hash(bytes), bytes)
    }

    /// As [`Self::put`], of bytes whose hash is known.
    pub(super) fn put_named(&self, hash: BlobHash, bytes: &[u8]) -> Result<Body, StoreError> {
        let body = Body { hash, length: bytes.len() as u64 };
        if self.length(&body.hash) != Some(body.length) {
            let temp = self.partial.join(format!("{}.own", body.hash));
            atomic::write(&self.path(&body.hash), &temp, atomic::Durable::Yes, |out| out.write_all(bytes))?;
        }
        Ok(body)
    }

    /// Moves a gathered and verified blob into place.
    pub(super) fn complete(&self, body: &Body) -> Result<(), StoreError> {
        let (from, to) = (self.partial(&body.hash), self.path(&body.hash));
        let got = fs::metadata(&from).map_err(StoreError::io(&from, "look at the fetched blob"))?.len();
        if got != body.length {
            return Err(StoreError::Damaged { path: from, why: format!("{got} bytes of {}", body.length) });
        }
        let folder = to.parent().unwrap_or(&self.blobs);
        fs::create_dir_all(folder).map_err(StoreError::io(folder, "make the folder"))?;
        fs::rename(&from, &to).map_err(StoreError::io(&to, "rename into place"))
    }

    /// A blob's bytes; its length is checked, its hash is not.
    pub(super) fn read(&self, body: &Body) -> Result<Bytes, StoreError> {
        let path = self.path(&body.hash);
        match self.length(&body.hash) {
            None => return Err(StoreError::Absent { hash: body.hash }),
            Some(got) if got != body.length => {
                return Err(StoreError::Damaged { path, why: format!("{got} bytes of {}", body.length) });
            }
            Some(_) => {}
        }
        fs::read(&path).map(Bytes::from).map_err(StoreError::io(&path, "read"))
    }

    /// The bytes of a blob that is still in its partial file.
    pub(super) fn read_partial(&self, body: &Body) -> Result<Bytes, StoreError> {
        let path = self.partial(&body.hash);
        let bytes = fs::read(&path).map_err(StoreError::io(&path, "read"))?;
        if bytes.len() as u64 != body.length {
            return Err(StoreError::Damaged { path, why: format!("{} bytes of {}", bytes.len(), body.length) });
        }
        Ok(Bytes::from(bytes))
    }

    /// A blob's bytes, hashed.
    pub(super) fn read_verified(&self, hash: &BlobHash) -> Result<Bytes, StoreError> {
        let path = self.path(hash);
        let length = self.length(hash).ok_or(StoreError::Absent { hash: *hash })?;
        if length > limit::BLOB_BYTES {
            return Err(StoreError::Damaged { path, why: format!("{length} bytes, more than any blob may have") });
        }
        let bytes = fs::read(&path).map_err(StoreError::io(&path, "read"))?;
        if blob_hash(&bytes) != *hash {
            return Err(StoreError::Damaged { path, why: "its bytes do not have the hash of its name".into() });
        }
        Ok(Bytes::from(bytes))
    }

    pub(super) fn delete(&self, hash: &BlobHash) -> Result<(), StoreError> {
        [self.path(hash), self.partial(hash)].iter().try_for_each(|path| remove(path))
    }

    /// The hashes of all complete blobs, ascending.
    pub(super) fn list(&self) -> Result<Vec<BlobHash>, StoreError> {
        let mut all = Vec::new();
        for shard in entries(&self.blobs)? {
            let names = entries(&shard)?;
            all.extend(names.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<BlobHash>().ok()));
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Hashes the newest blobs again and deletes those that an unclean end damaged; says which.
    pub(super) fn recheck(&self) -> Result<Vec<BlobHash>, StoreError> {
        let mut newest: Vec<(SystemTime, BlobHash)> = Vec::new();
        for hash in self.list()? {
            if let Ok(modified) = fs::metadata(self.path(&hash)).and_then(|meta| meta.modified()) {
                newest.push((modified, hash));
            }
        }
        newest.sort_by(|a, b| b.cmp(a));
        newest.truncate(RECHECKED);
        let mut damaged = Vec::new();
        for (_, hash) in newest {
            if self.read_verified(&hash).is_err() {
                self.delete(&hash)?;
                damaged.push(hash);
            }
        }
        Ok(damaged)
    }

    /// Deletes all but the newest `keep` partial blobs: most of them nobody will ask for again.
    pub(super) fn sweep_partials(&self, keep: usize) -> Result<(), StoreError> {
        let modified = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let is_blob =
            |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<BlobHash>().ok()).is_some();
        let mut partials: Vec<PathBuf> = entries(&self.partial)?.into_iter().filter(is_blob).collect();
        if partials.len() <= keep {
            return Ok(());
        }
        partials.sort_by_cached_key(|path| std::cmp::Reverse(modified(path)));
        for path in partials.iter().skip(keep) {
            // A fetch may have completed it meanwhile.
            remove(path)?;
        }
        Ok(())
    }

    /// Deletes temporary files of an earlier process; partial blobs stay, they are resumed.
    fn sweep(&self) -> Result<(), StoreError> {
        for path in entries(&self.partial)? {
            if path.extension().is_some_and(|end| end == "own" || end == "temp") {
                fs::remove_file(&path).map_err(StoreError::io(&path, "delete"))?;
            }
        }
        Ok(())
    }
}

/// Deletes a file that may be gone already.
fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(path, "delete")(error)),
        _ => Ok(()),
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let list = fs::read_dir(folder).map_err(StoreError::io(folder, "list"))?;
    list.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(StoreError::io(folder, "list"))
}
