//! What a home keeps of transparency logs: the leaves of its own in the index, beside the records; notes in files.
//!
//! In `store/log/`: `signed`, our own newest checkpoint, durable before it leaves, for two roots of one size would prove a lie;
//! `notes/<size, 20 digits>`, each of ours that enough others cosigned; `held/<member hex>`, the newest checkpoint of another's
//! log that we cosigned; `split/<member hex>.<0 or 1>`, two of another's that contradict each other.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chorale_protocol::{
    audit::layout::log_files,
    base::MemberId,
    log::{Keyring, NOTE_BYTES, Tree, TreeHash, verify},
    manifest::Chain,
};

use super::{
    Store, StoreError,
    atomic::{self, Durable},
};

impl Store {
    /// The leaves of our log from number `from` on, after they were made durable: what is signed must outlive a power cut.
    ///
    /// # Errors
    /// The disk.
    pub fn leaves(&self, from: u64) -> Result<Vec<TreeHash>, StoreError> {
        self.inner.index.flush()?;
        self.inner.index.leaves(from)
    }

    /// Our own newest checkpoint, whoever cosigned it.
    ///
    /// # Errors
    /// The disk.
    pub fn signed_note(&self) -> Result<Option<Bytes>, StoreError> {
        read(&self.log().join("signed"))
    }

    /// Keeps our own newest checkpoint, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn put_signed_note(&self, note: &[u8]) -> Result<(), StoreError> {
        self.put_note(&self.log().join("signed"), note)
    }

    /// Keeps a checkpoint of ours that enough others cosigned, durably. A size has one: records name it by its hash.
    ///
    /// # Errors
    /// The disk.
    pub fn put_cosigned_note(&self, size: u64, note: &[u8]) -> Result<(), StoreError> {
        let path = self.log().join("notes").join(format!("{size:020}"));
        if path.exists() { Ok(()) } else { self.put_note(&path, note) }
    }

    /// The newest of them, and its size; the others, a year's perhaps, are not read.
    ///
    /// # Errors
    /// The disk.
    pub fn newest_cosigned_note(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let folder = self.log().join("notes");
        let newest = names(&folder)?.into_iter().filter_map(|name| name.parse().ok()).max();
        let Some(size) = newest else { return Ok(None) };
        Ok(read(&folder.join(format!("{size:020}")))?.map(|note| (size, note)))
    }

    /// Our cosigned checkpoints, ascending by size.
    ///
    /// # Errors
    /// The disk.
    pub fn cosigned_notes(&self) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let notes = list(&self.log().join("notes"))?.into_iter();
        Ok(notes.filter_map(|(name, note)| Some((name.parse().ok()?, note))).collect())
    }

    /// The newest checkpoint of another member's log that we cosigned.
    ///
    /// # Errors
    /// The disk.
    pub fn held_note(&self, owner: &MemberId) -> Result<Option<Bytes>, StoreError> {
        read(&self.log().join("held").join(owner.to_string()))
    }

    /// Keeps it, durably: before our cosignature leaves.
    ///
    /// # Errors
    /// The disk.
    pub fn hold_note(&self, owner: &MemberId, note: &[u8]) -> Result<(), StoreError> {
        self.put_note(&self.log().join("held").join(owner.to_string()), note)
    }

    /// All of them, ascending by owner.
    ///
    /// # Errors
    /// The disk.
    pub fn held_notes(&self) -> Result<Vec<(MemberId, Bytes)>, StoreError> {
        let notes = list(&self.log().join("held"))?.into_iter();
        Ok(notes.filter_map(|(name, note)| Some((name.parse().ok()?, note))).collect())
    }

    /// Keeps two checkpoints of one log that contradict each other, durably; the first such pair of a log stays.
    ///
    /// # Errors
    /// The disk.
    pub fn put_split(&self, owner: &MemberId, notes: [&[u8]; 2]) -> Result<(), StoreError> {
        for (place, note) in notes.into_iter().enumerate() {
            let path = self.log().join("split").join(format!("{owner}.{place}"));
            if !path.exists() {
                self.put_note(&path, note)?;
            }
        }
        Ok(())
    }

    /// What an archive holds of logs: ours whole, up to the newest cosigned checkpoint, and of others what we cosigned.
    ///
    /// # Errors
    /// The disk, or a note of ours that is damaged.
    pub(super) fn log_files(&self) -> Result<Vec<(String, Bytes)>, StoreError> {
        let mut files = Vec::new();
        let mut logs: Vec<(Bytes, Option<Tree>)> =
            self.held_notes()?.into_iter().map(|(_, note)| (note, None)).collect();
        let (notes, signed) = (self.cosigned_notes()?, self.signed_note()?);
        if let Some(newest) = notes.last().map(|(_, note)| note.clone()).or(signed) {
            logs.push((newest, Some(Tree::from_leaves(self.leaves(0)?))));
        }
        if logs.is_empty() {
            return Ok(files);
        }
        let keyring = self.keyring()?;
        for (note, tree) in logs {
            let verified = verify(&note, &keyring).map_err(|error| {
                let error = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
                StoreError::io(&self.log(), "read a checkpoint of")(error)
            })?;
            let size = verified.checkpoint.size;
            let others = if tree.is_some() { notes.as_slice() } else { &[] };
            files.extend(log_files(verified.member, &note, size, others, tree.as_ref()));
        }
        Ok(files)
    }

    fn keyring(&self) -> Result<Keyring, StoreError> {
        let damaged = |why: String| StoreError::Index { path: self.inner.folder.join("index.redb"), why };
        let mut manifests = self.manifests()?.into_iter();
        let genesis = manifests.next().ok_or_else(|| damaged("no genesis".into()))?;
        let mut chain = Chain::genesis(genesis).map_err(|error| damaged(error.to_string()))?;
        for bytes in manifests {
            chain.extend(bytes).map_err(|error| damaged(error.to_string()))?;
        }
        Ok(Keyring::new(&chain))
    }

    fn log(&self) -> PathBuf {
        self.inner.folder.join("log")
    }

    fn put_note(&self, path: &Path, note: &[u8]) -> Result<(), StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temp = self.inner.folder.join("partial").join(format!("note-{name}.temp"));
        atomic::write(path, &temp, Durable::Yes, |out| io::Write::write_all(out, note))
    }
}

fn read(path: &Path) -> Result<Option<Bytes>, StoreError> {
    let length = match fs::metadata(path) {
        Ok(data) => data.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(path, "read")(error)),
    };
    if length > NOTE_BYTES as u64 {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("{length} bytes are no note"));
        return Err(StoreError::io(path, "read")(error));
    }
    fs::read(path).map(|bytes| Some(bytes.into())).map_err(StoreError::io(path, "read"))
}

/// The names in a folder, ascending; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(folder, "list")(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(StoreError::io(folder, "list"))?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The files of a folder by name, ascending; none if it is not there.
fn list(folder: &Path) -> Result<Vec<(String, Bytes)>, StoreError> {
    let mut all = Vec::new();
    for name in names(folder)? {
        if let Some(note) = read(&folder.join(&name))? {
            all.push((name, note));
        }
    }
    Ok(all)
}
