//! A look at what leaves: every application payload before encryption. Tests use it to prove that private data stays.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::NetError;

/// Sees every payload that leaves.
pub trait Tap: Send + Sync + 'static {
    /// `protocol` is a topic or a stream protocol; `bytes` are what the peer will read there.
    fn sent(&self, protocol: &str, bytes: &[u8]);
}

/// Appends every payload to a file: u32-LE length and text of the protocol, u32-LE length and bytes of the payload.
pub struct FileTap {
    file: Mutex<File>,
}

impl FileTap {
    /// Opens `path` for appending.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn append(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Mutex::new(OpenOptions::new().create(true).append(true).open(path)?) })
    }

    /// The file that the environment variable `CHORALE_TAP` names; `None` without one.
    ///
    /// # Errors
    /// The file cannot be opened: nothing should leave unseen then.
    pub fn from_env() -> Result<Option<Arc<dyn Tap>>, NetError> {
        let Some(path) = std::env::var_os("CHORALE_TAP").map(PathBuf::from) else { return Ok(None) };
        match Self::append(&path) {
            Ok(tap) => Ok(Some(Arc::new(tap))),
            Err(source) => Err(NetError::Disk { path, source }),
        }
    }
}

impl Tap for FileTap {
    fn sent(&self, protocol: &str, bytes: &[u8]) {
        let mut frame = Vec::with_capacity(8 + protocol.len() + bytes.len());
        for part in [protocol.as_bytes(), bytes] {
            // A payload is at most one section of a blob: far below 4 GiB.
            frame.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            frame.extend_from_slice(part);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(&frame) {
            tracing::error!(%error, "the tap's file cannot be written: what leaves is no longer on record");
        }
    }
}
