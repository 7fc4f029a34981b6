//! Manifests that contradict those in force, kept as evidence against governors.

use std::fs;

use bytes::Bytes;
use chorale_protocol::{base::BlobHash, code::blob_hash};

use super::{Store, StoreError, atomic, atomic::Durable};

/// So many are kept; each is at most 4 MiB.
const MOST: usize = 64;

impl Store {
    /// Keeps a manifest that convicts a governor, durably; nothing if there are many already.
    ///
    /// # Errors
    /// The disk.
    pub fn put_conflict(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = self.inner.folder.join("conflicts");
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder, "make the folder"))?;
        if self.conflicts()?.len() >= MOST {
            return Ok(());
        }
        let hash = blob_hash(bytes);
        let temp = self.inner.folder.join("partial").join(format!("{hash}.temp"));
        atomic::write(&folder.join(hash.to_string()), &temp, Durable::Yes, |out| std::io::Write::write_all(out, bytes))
    }

    /// Every such manifest, ascending by hash.
    ///
    /// # Errors
    /// The disk.
    pub fn conflicts(&self) -> Result<Vec<(BlobHash, Bytes)>, StoreError> {
        let folder = self.inner.folder.join("conflicts");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for entry in fs::read_dir(&folder).map_err(StoreError::io(&folder, "list"))? {
            let path = entry.map_err(StoreError::io(&folder, "list"))?.path();
            let bytes = fs::read(&path).map_err(StoreError::io(&path, "read"))?;
            all.push((blob_hash(&bytes), Bytes::from(bytes)));
        }
        all.sort_by_key(|(hash, _)| *hash);
        Ok(all)
    }
}
