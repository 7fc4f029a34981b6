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
    log::{Checkpoint, Keyring, NOTE_BYTES, NoteError, Tree, TreeHash, verify},
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

    /// Keeps a checkpoint of ours that enough others cosigned, durably. A size has one, for records name it by its hash: the first
    /// that still has `quorum` cosigners. It loses those that handed their keys over, and all if ours was handed over before it.
    ///
    /// # Errors
    /// The disk.
    pub fn put_cosigned_note(
        &self,
        size: u64,
        note: &[u8],
        (keyring, quorum): (&Keyring, usize),
    ) -> Result<(), StoreError> {
        let path = self.log().join("notes").join(format!("{size:020}"));
        let counts = |held: Bytes| verify(&held, keyring).is_ok_and(|held| held.cosigners.len() >= quorum);
        if read(&path)?.is_some_and(counts) { Ok(()) } else { self.put_note(&path, note) }
    }

    /// The newest of them that verifies under a keyring, its size, and how many cosigned it; the others, a year's perhaps, are not
    /// read.
    ///
    /// # Errors
    /// The disk.
    pub fn newest_cosigned_note(&self, keyring: &Keyring) -> Result<Option<(u64, Bytes, usize)>, StoreError> {
        newest_cosigned(&self.log(), keyring)
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
        let (held, cosigned, signed) = (self.held_notes()?, self.cosigned_notes()?, self.signed_note()?);
        if held.is_empty() && cosigned.is_empty() && signed.is_none() {
            return Ok(files);
        }
        let keyring = self.keyring()?;
        // What a key signed that was handed over before that head counts for nothing, and is left out.
        let counts = |note: &Bytes| match verify(note, &keyring) {
            Ok(verified) => Ok(Some(verified)),
            Err(NoteError::Part) => Ok(None),
            Err(error) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
                Err(StoreError::io(&self.log(), "read a checkpoint of")(error))
            }
        };
        let mut notes = Vec::new();
        for (size, note) in cosigned {
            if counts(&note)?.is_some() {
                notes.push((size, note));
            }
        }
        let mut logs: Vec<(Bytes, Option<Tree>)> = held.into_iter().map(|(_, note)| (note, None)).collect();
        if let Some(newest) = notes.last().map(|(_, note)| note.clone()).or(signed) {
            logs.push((newest, Some(Tree::from_leaves(self.leaves(0)?))));
        }
        for (note, tree) in logs {
            let Some(verified) = counts(&note)? else { continue };
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

/// The newest head of a home's own log that others cosigned and that counts by a keyring, whether its node runs or not.
///
/// # Errors
/// The disk.
pub fn cosigned_head(home: &Path, keyring: &Keyring) -> Result<Option<Checkpoint>, StoreError> {
    let newest = newest_cosigned(&home.join("store/log"), keyring)?;
    Ok(newest.and_then(|(_, note, _)| verify(&note, keyring).ok()).map(|verified| verified.checkpoint))
}

fn newest_cosigned(log: &Path, keyring: &Keyring) -> Result<Option<(u64, Bytes, usize)>, StoreError> {
    let folder = log.join("notes");
    for name in names(&folder)?.into_iter().rev() {
        let (Ok(size), Some(note)) = (name.parse(), read(&folder.join(&name))?) else { continue };
        if let Ok(verified) = verify(&note, keyring) {
            return Ok(Some((size, note, verified.cosigners.len())));
        }
    }
    Ok(None)
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
