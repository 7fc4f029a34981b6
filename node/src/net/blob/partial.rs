//! The file that a blob is gathered in. Its length is how far it is verified; one fetch at a time writes to it.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bao_tree::iter::BaoChunk;
use chorale_protocol::base::BlobHash;
use tokio::sync::OwnedMutexGuard;

use super::{
    plan::GROUP,
    verify::{Verifier, Wrong},
};

type Lock = Arc<tokio::sync::Mutex<()>>;

/// Which blobs are being gathered.
#[derive(Debug, Default)]
pub(in crate::net) struct Fills {
    locks: Mutex<BTreeMap<BlobHash, Lock>>,
}

impl Fills {
    /// Waits until nobody else fills this blob.
    pub(super) async fn enter(&self, hash: BlobHash) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // A lock that only the map holds is free.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(hash).or_default())
        };
        lock.lock_owned().await
    }
}

/// A partial file, its proof state and the right to write to it. It moves into the blocking job of each section: a fetch
/// that is dropped leaves no writer behind that another could meet.
pub(super) struct Partial {
    file: File,
    verifier: Verifier,
    /// Bytes verified and written.
    length: u64,
    _alone: OwnedMutexGuard<()>,
}

impl Partial {
    /// Opens or makes the file; what stands beyond the last boundary, or beyond `total`, is cut off.
    pub(super) fn open(path: &Path, hash: &BlobHash, total: u64, alone: OwnedMutexGuard<()>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?;
        let found = file.metadata()?.len();
        let length = match found {
            _ if found > total => 0,
            _ if found == total => found,
            _ => found - found % GROUP,
        };
        if length != found {
            file.set_len(length)?;
        }
        Ok(Self { file, verifier: Verifier::new(hash), length, _alone: alone })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Checks what came of a section and appends its groups. The bytes up to the first wrong or missing part are kept.
    pub(super) fn append(&mut self, parts: &[BaoChunk], bytes: &mut [u8]) -> io::Result<Result<(), Wrong>> {
        let (data, right) = self.verifier.extract(parts, bytes);
        self.file.write_all_at(&bytes[..data], self.length)?;
        self.length += u64::try_from(data).map_err(io::Error::other)?;
        Ok(right)
    }

    /// Whether the file as a whole has the hash: a prefix from before a crash may not be what was written. If not, it is
    /// emptied.
    pub(super) fn holds(&mut self, hash: &BlobHash) -> io::Result<bool> {
        let mut hasher = blake3::Hasher::new();
        let (mut buf, mut at) = (vec![0; 256 << 10], 0);
        loop {
            let n = self.file.read_at(&mut buf, at)?;
            if n == 0 {
                break;
            }
            hasher.update(&buf[..n]);
            at += u64::try_from(n).map_err(io::Error::other)?;
        }
        let holds = hasher.finalize().as_bytes() == hash.as_bytes();
        if !holds {
            self.file.set_len(0)?;
            self.length = 0;
            self.verifier = Verifier::new(hash);
        }
        Ok(holds)
    }
}
