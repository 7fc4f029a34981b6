//! Fetch jobs: a blob from the first holder that gives it, checked, in its place.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload},
    base::{BlobHash, TransportId},
    engine::{FetchError, Input},
    feed::Body,
    manifest::Codec,
};
use tokio::{
    sync::mpsc,
    task::{self, AbortHandle},
    time,
};

use super::larder::Larder;
use crate::{
    net::{Net, NetError},
    store::{Store, StoreError},
};

/// The shape of payloads under the current policy.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) layout: Layout,
    pub(super) codec: Codec,
}

/// What every fetch needs.
#[derive(Clone)]
pub(super) struct Kit {
    pub(super) net: Net,
    pub(super) store: Store,
    pub(super) larder: Arc<Larder>,
    pub(super) patience: Duration,
}

/// The fetches under way.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    running: BTreeMap<BlobHash, AbortHandle>,
}

impl Fetches {
    /// Starts a fetch, in the place of an earlier one of the same blob.
    pub(super) fn start(&mut self, kit: Kit, order: Order, done: mpsc::Sender<Input>) {
        let hash = order.body.hash;
        self.running.retain(|_, task| !task.is_finished());
        self.cancel(&hash);
        let task = task::spawn(async move {
            let input = fetch(&kit, order).await;
            let _ = done.send(input).await;
        });
        self.running.insert(hash, task.abort_handle());
    }

    /// Stops a fetch; what was gathered stays for the next.
    pub(super) fn cancel(&mut self, hash: &BlobHash) {
        if let Some(task) = self.running.remove(hash) {
            task.abort();
        }
    }

    pub(super) fn cancel_all(&mut self) {
        std::mem::take(&mut self.running).into_values().for_each(|task| task.abort());
    }
}

/// What to fetch, and from whom.
pub(super) struct Order {
    pub(super) body: Body,
    pub(super) from: Vec<TransportId>,
    /// `Some` for an update's payload.
    pub(super) shape: Option<Arc<Shape>>,
}

/// Fetches a blob that the engine did not ask for; whether it came shows on disk.
pub(super) async fn fetch_missing(kit: &Kit, order: Order) {
    let (hash, keep) = (order.body.hash, order.shape.is_none());
    if kit.store.blob_file(&hash).is_some() {
        return;
    }
    match fetch(kit, order).await {
        // What is no payload is not kept by a fetch.
        Input::Blob { bytes, .. } if keep => {
            let store = kit.store.clone();
            let _ = task::spawn_blocking(move || store.put_blob(&bytes)).await;
        }
        Input::FetchFailed { why, .. } => tracing::debug!(blob = %hash.short(), ?why, "a missing blob did not come"),
        _ => {}
    }
}

async fn fetch(kit: &Kit, order: Order) -> Input {
    let body = order.body;
    let failed = |why| Input::FetchFailed { hash: body.hash, why };
    if kit.store.blob_file(&body.hash).is_some_and(|(_, length)| length == body.length) {
        let ended = settle(kit, body, order.shape.clone(), true).await;
        if let Ok(input) = ended {
            return input;
        }
        // Damaged on disk: away with it, and fetch it again.
        let (store, hash) = (kit.store.clone(), body.hash);
        let _ = task::spawn_blocking(move || store.delete_blob(&hash)).await;
    }
    let mut why = FetchError::Unreachable;
    for peer in order.from {
        match time::timeout(kit.patience, kit.net.fetch(peer.clone(), body)).await {
            Ok(Ok(())) => match settle(kit, body, order.shape.clone(), false).await {
                Ok(input) => return input,
                Err(error) => tracing::warn!(blob = %body.hash.short(), %error, "a fetched blob could not be kept"),
            },
            Ok(Err(NetError::WrongBytes { peer, .. })) => why = FetchError::WrongBytes { peer },
            Ok(Err(NetError::Stopped)) => return failed(FetchError::Unreachable),
            Ok(Err(error)) => tracing::debug!(blob = %body.hash.short(), %error, "a holder did not give a blob"),
            Err(_) => tracing::debug!(blob = %body.hash.short(), ?peer, "a holder was too slow"),
        }
    }
    failed(why)
}

/// Checks what came and puts it in its place.
async fn settle(kit: &Kit, body: Body, shape: Option<Arc<Shape>>, complete: bool) -> Result<Input, StoreError> {
    let kit = kit.clone();
    let work = move || {
        let bytes = if complete { kit.store.read_verified(&body.hash)? } else { kit.store.read_partial(&body)? };
        match shape {
            Some(shape) => keep_payload(&kit, body, bytes, &shape, complete),
            None => {
                if !complete {
                    kit.store.delete_blob(&body.hash)?;
                }
                Ok(Input::Blob { hash: body.hash, bytes })
            }
        }
    };
    let joined = task::spawn_blocking(work).await;
    joined.unwrap_or_else(|_| Ok(Input::FetchFailed { hash: body.hash, why: FetchError::Unreachable }))
}

fn keep_payload(kit: &Kit, body: Body, bytes: Bytes, shape: &Shape, complete: bool) -> Result<Input, StoreError> {
    match Payload::check(&shape.layout, shape.codec, bytes) {
        Ok(payload) => {
            if !complete {
                kit.store.complete_blob(&body)?;
            }
            kit.larder.keep(body.hash, &payload);
            Ok(Input::PayloadArrived { hash: body.hash })
        }
        Err(error) => {
            kit.store.delete_blob(&body.hash)?;
            let why = FetchError::Malformed { code: error.code() };
            Ok(Input::FetchFailed { hash: body.hash, why })
        }
    }
}
