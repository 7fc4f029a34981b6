//! What a peer without an engine serves: files in a folder, and no records.

use std::{fs, future::Future, path::PathBuf, pin::Pin};

use chorale::net::{BlobFiles, FeedSource};
use chorale_protocol::{base::BlobHash, wire::SyncRequest};

/// Serves what lies in a folder under its hash.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl BlobFiles for Folder {
    fn complete(&self, hash: &BlobHash) -> Option<(PathBuf, u64)> {
        let path = self.0.join(hash.to_string());
        let length = fs::metadata(&path).ok()?.len();
        Some((path, length))
    }

    fn partial(&self, hash: &BlobHash) -> PathBuf {
        self.0.join(format!("{hash}.partial"))
    }
}

/// Has no records.
#[derive(Debug)]
pub struct Silent;

impl FeedSource for Silent {
    fn answer(&self, _: SyncRequest) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<u8>>> + Send>> {
        Box::pin(async { Ok(vec![0; 4]) })
    }
}
