//! What the network needs of the store, which it does not know.

use std::{future::Future, io, path::PathBuf, pin::Pin, sync::Arc};

use chorale_protocol::{base::BlobHash, wire::SyncRequest};
use tokio::{sync::Semaphore, task};

use crate::{
    net::{BlobFiles, FeedSource},
    store::Store,
};

/// Feed answers made at once; more wait.
const ANSWERS: usize = 4;

/// The store as the network sees it.
pub(super) struct Shelf {
    store: Store,
    answers: Arc<Semaphore>,
}

impl Shelf {
    pub(super) fn new(store: Store) -> Self {
        Self { store, answers: Arc::new(Semaphore::new(ANSWERS)) }
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
