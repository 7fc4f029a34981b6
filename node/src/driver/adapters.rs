//! What the network needs of the store, which it does not know: files, answers, and the list of what leaves.

use std::{future::Future, io, path::PathBuf, pin::Pin, sync::Arc};

use bytes::Bytes;
use chorale_protocol::{base::BlobHash, code::blob_hash, feed::peek_id, wire::SyncRequest};
use tokio::{sync::Semaphore, task};

use super::clock::Clock;
use crate::{
    net::{BlobFiles, Egress, FeedSource, Leaving},
    store::{Store, ledger::Left},
};

/// Feed answers made at once; more wait.
const ANSWERS: usize = 4;

/// The store as the network sees it.
pub(super) struct Shelf {
    store: Store,
    clock: Clock,
    answers: Arc<Semaphore>,
}

impl Shelf {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, answers: Arc::new(Semaphore::new(ANSWERS)) }
    }
}

impl BlobFiles for Shelf {
    fn complete(&self, hash: &BlobHash) -> Option<(PathBuf, u64)> {
        self.store.blob_file(hash)
    }

    fn partial(&self, hash: &BlobHash) -> PathBuf {
        self.store.partial_file(hash)
    }
}

impl FeedSource for Shelf {
    fn answer(&self, request: SyncRequest) -> Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>> {
        let (store, answers) = (self.store.clone(), Arc::clone(&self.answers));
        Box::pin(async move {
            let _permit = answers.acquire_owned().await.map_err(io::Error::other)?;
            task::spawn_blocking(move || store.answer(&request))
                .await
                .map_err(io::Error::other)?
                .map_err(io::Error::other)
        })
    }
}

impl Egress for Shelf {
    fn leaves(&self, what: Leaving<'_>) -> io::Result<()> {
        let left = match what {
            Leaving::Gossip { record, peers } => {
                vec![Left::Gossip { record: id(record), bytes: record.len() as u64, peers: peers as u64 }]
            }
            Leaving::Blob { to, hash, bytes } => {
                vec![Left::Blob { blob: hash.to_string(), bytes, to: to.to_string() }]
            }
            Leaving::Note { to, note } => {
                let hash = blob_hash(note).to_string();
                vec![Left::Note { hash, bytes: note.len() as u64, to: to.to_string() }]
            }
            Leaving::Answer { to, frames } => {
                let to = to.to_string();
                parts(frames).map(|(manifest, bytes)| part(manifest, bytes, to.clone())).collect()
            }
        };
        self.store.ledger().list(self.clock.unix_ms(), left).map_err(io::Error::other)
    }
}

fn part(manifest: bool, bytes: &[u8], to: String) -> Left {
    let length = bytes.len() as u64;
    if manifest {
        Left::Manifest { hash: blob_hash(bytes).to_string(), bytes: length, to }
    } else {
        Left::Record { record: id(bytes), bytes: length, to }
    }
}

/// A record's id; our own store holds nothing else.
fn id(record: &[u8]) -> String {
    peek_id(&Bytes::copy_from_slice(record)).map_or_else(|| blob_hash(record).to_string(), |id| id.to_string())
}

/// The manifests (true) and records (false) in the frames of an answer, which we wrote ourselves.
fn parts(mut frames: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = frames.split_first_chunk()?;
        let (frame, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        frames = rest;
        let (tag, bytes) = frame.split_first()?;
        Some((*tag == 0, bytes))
    })
}
