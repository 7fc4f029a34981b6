//! The thread that writes the index: one writer, in the order of the engine's outputs.

use std::{sync::Arc, thread};

use bytes::Bytes;
use chorale_protocol::base::{BlobHash, RecordId};
use tokio::sync::mpsc;

use super::larder::Larder;
use crate::store::{Entry, Store, StoreError, ledger::Left};

/// Records of others that share one transaction, at most.
const BATCH: usize = 256;
/// Orders that may wait.
pub(super) const QUEUE: usize = 1024;

/// What to write.
#[derive(Debug)]
pub(super) enum Write {
    /// Our own record; `payload` is its payload, if it is an update; `signed` is its line in the ledger.
    Own { entry: Entry, payload: Option<BlobHash>, signed: Left, at_ms: u64 },
    /// Another member's record.
    Other(Entry),
    /// A manifest version.
    Manifest { version: u64, bytes: Bytes },
    /// An evidence bundle.
    Evidence(Bytes),
    /// A manifest against the one in force.
    Conflict(Bytes),
    /// Blobs to delete.
    Prune(Vec<BlobHash>),
}

/// What came of it: our own record is durable, or the disk failed.
pub(super) type Written = Result<RecordId, StoreError>;

/// Starts the thread. It ends when the sender of orders is gone, and has then written them all.
pub(super) fn start(
    store: Store,
    larder: Arc<Larder>,
) -> std::io::Result<(mpsc::Sender<Write>, mpsc::Receiver<Written>, thread::JoinHandle<()>)> {
    let (orders, inbox) = mpsc::channel(QUEUE);
    // As many as orders: the thread never waits for the loop while the loop waits for the thread.
    let (outbox, written) = mpsc::channel(2 * QUEUE);
    let thread = thread::Builder::new().name("disk".into()).spawn(move || work(&store, &larder, inbox, &outbox))?;
    Ok((orders, written, thread))
}

fn work(store: &Store, larder: &Larder, mut inbox: mpsc::Receiver<Write>, outbox: &mpsc::Sender<Written>) {
    let mut batch: Vec<Entry> = Vec::new();
    while let Some(first) = inbox.blocking_recv() {
        let mut next = Some(first);
        while let Some(order) = next {
            let mut flush = None;
            let result = match order {
                Write::Other(entry) => {
                    batch.push(entry);
                    if batch.len() < BATCH { Ok(None) } else { put(store, &mut batch).map(|()| None) }
                }
                order => {
                    flush = if let Write::Own { payload, .. } = &order { *payload } else { None };
                    put(store, &mut batch).and_then(|()| one(store, larder, order))
                }
            };
            // The record goes out while its training state, and what the ledger lists, are still on the way to the disk.
            let told = tell(outbox, result)
                && flush.is_none_or(|payload| {
                    let flushed = store.flush_state(&payload).and_then(|()| store.ledger().sync());
                    tell(outbox, flushed.map(|()| None))
                });
            if !told {
                return;
            }
            next = inbox.try_recv().ok();
        }
        if !tell(outbox, put(store, &mut batch).map(|()| None)) {
            return;
        }
    }
}

/// Passes on what came of an order, if it is worth a word. False once nobody listens.
fn tell(outbox: &mpsc::Sender<Written>, result: Result<Option<RecordId>, StoreError>) -> bool {
    result.transpose().is_none_or(|done| outbox.blocking_send(done).is_ok())
}

fn put(store: &Store, batch: &mut Vec<Entry>) -> Result<(), StoreError> {
    if !batch.is_empty() {
        store.put_records(batch)?;
        batch.clear();
    }
    Ok(())
}

fn one(store: &Store, larder: &Larder, order: Write) -> Result<Option<RecordId>, StoreError> {
    match order {
        Write::Own { entry, payload, signed, at_ms } => {
            let id = entry.head.id;
            store.ledger().list(at_ms, [signed])?;
            store.put_own(entry, payload.as_ref())?;
            return Ok(Some(id));
        }
        Write::Other(entry) => store.put_records(&[entry])?,
        Write::Manifest { version, bytes } => store.put_manifest(version, &bytes)?,
        Write::Evidence(bytes) => store.put_evidence(&bytes)?,
        Write::Conflict(bytes) => store.put_conflict(&bytes)?,
        Write::Prune(blobs) => {
            for hash in &blobs {
                larder.take(hash);
                store.delete_blob(hash)?;
            }
        }
    }
    Ok(None)
}
