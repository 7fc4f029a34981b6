//! The store of one home: the index, the blobs, the training state, the evidence, and the lock on all of them.
//!
//! Every call blocks on the disk: call it from a thread that may wait. Rule of durability: our own record and everything it
//! names (blob, training state, the records stored before it) are on disk before the record is announced; what came
//! from others can be asked for again and is flushed along with our own.

mod answer;
mod archive;
mod atomic;
mod blob;
mod conflicts;
mod error;
mod index;
pub mod ledger;
mod lock;
mod log;
mod pack;
mod state;
#[cfg(test)]
mod tests;
mod weak;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, NetworkId, RecordId},
    code::{Context, blob_hash, derive},
    feed::{Body, Head},
    manifest::SignedManifest,
    wire::SyncRequest,
};

pub use archive::Summary;
pub use error::StoreError;
pub use index::Entry;
pub use log::cosigned_head;
pub use state::TrainState;
pub use weak::WeakStore;

use atomic::Durable;
use blob::Blobs;
use index::Index;
use ledger::Ledger;
use lock::Lock;
use state::States;

/// The store of one home; cheap to clone. The lock is held until the last clone is gone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Partial blobs that are kept for a later fetch.
const PARTIALS: usize = 64;
/// In the home: it has signed records.
const PUBLISHED: &str = "published";

#[derive(Debug)]
struct Inner {
    index: Index,
    blobs: Blobs,
    states: States,
    ledger: Ledger,
    folder: PathBuf,
    home: PathBuf,
    // Dropped last: nobody else may open the index before it is closed.
    _lock: Lock,
}

impl Store {
    /// Takes the lock of `home` and opens its store, making it if there is none.
    ///
    /// # Errors
    /// Held by another process, of another layout, damaged, or not writable.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let folder = home.join("store");
        for path in [&folder, &folder.join("evidence")] {
            fs::create_dir_all(path).map_err(StoreError::io(path, "make the folder"))?;
        }
        let lock = Lock::take(home)?;
        let blobs = Blobs::open(&folder)?;
        let states = States::open(&folder)?;
        let index = Index::open(&folder.join("index.redb"))?;
        let ledger = Ledger::of(home);
        let inner = Inner { index, blobs, states, ledger, folder, home: home.to_owned(), _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The egress ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Whether the last process ended by [`Self::close`]; from now on it did not. After an unclean end the newest blobs are
    /// hashed again, the damaged ones deleted and returned.
    ///
    /// # Errors
    /// The disk.
    pub fn recover(&self) -> Result<Vec<BlobHash>, StoreError> {
        let mark = self.clean_mark();
        match fs::remove_file(&mark) {
            Ok(()) => Ok(Vec::new()),
            Err(_) => self.inner.blobs.recheck(),
        }
    }

    /// Makes everything durable and notes a clean end.
    ///
    /// # Errors
    /// The disk.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.index.flush()?;
        self.inner.ledger.sync()?;
        let mark = self.clean_mark();
        fs::write(&mark, b"").map_err(StoreError::io(&mark, "write"))
    }

    fn clean_mark(&self) -> PathBuf {
        self.inner.folder.join("clean")
    }

    /// Stores the genesis, or checks that the store's own is the same.
    ///
    /// # Errors
    /// The store belongs to another network.
    pub fn bind(&self, genesis: &Bytes, network: NetworkId) -> Result<(), StoreError> {
        let Some(held) = self.manifests()?.into_iter().next() else {
            return self.put_manifest(0, genesis);
        };
        let got = SignedManifest::parse(&held)
            .map(|signed| NetworkId(derive(Context::NetworkId, &[&signed.payload])))
            .map_err(|error| StoreError::Index {
                path: self.inner.folder.join("index.redb"),
                why: error.to_string(),
            })?;
        if got == network { Ok(()) } else { Err(StoreError::Network { got: got.to_string(), want: network }) }
    }

    /// Makes our own record durable, with every record stored before it; from now on the training state of `payload` is kept.
    ///
    /// # Errors
    /// The disk.
    pub fn put_own(&self, entry: Entry, payload: Option<&BlobHash>) -> Result<(), StoreError> {
        self.mark_published()?;
        self.inner.index.put_records(&[entry], true)?;
        payload.into_iter().for_each(|payload| self.inner.states.keep(payload));
        self.inner.blobs.sweep_partials(PARTIALS)
    }

    /// Whether this home has ever published, as a file outside of the store knows: a store that was lost or moved away does not.
    #[must_use]
    pub fn has_published(&self) -> bool {
        self.inner.home.join(PUBLISHED).exists()
    }

    /// Before our first record is durable.
    fn mark_published(&self) -> Result<(), StoreError> {
        if self.has_published() {
            return Ok(());
        }
        let temp = self.inner.folder.join("partial").join("published.temp");
        atomic::write(&self.inner.home.join(PUBLISHED), &temp, Durable::Yes, |out| {
            std::io::Write::write_all(
                out,
                b"This home has signed records. Leave this file: without its store the node asks its peers first.\n",
            )
        })
    }

    /// Stores other members' records in one transaction, durable with our own next one. A place keeps all of them: two keys of
    /// one member can have signed for it, or one key twice.
    ///
    /// # Errors
    /// The disk.
    pub fn put_records(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.inner.index.put_records(entries, false)
    }

    /// Stores a manifest version, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn put_manifest(&self, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        // Once more as a plain file: the index is locked while the node runs, and other programs of the home ask too.
        let path = self.inner.folder.join("manifests").join(format!("{version:06}"));
        let temp = self.inner.folder.join("partial").join("manifest.temp");
        atomic::write(&path, &temp, Durable::No, |out| std::io::Write::write_all(out, bytes))?;
        self.inner.index.put_manifest(version, bytes)
    }

    /// Every manifest version, the genesis first.
    ///
    /// # Errors
    /// The disk.
    pub fn manifests(&self) -> Result<Vec<Bytes>, StoreError> {
        self.inner.index.manifests()
    }

    /// Every record, feed after feed, each ascending.
    ///
    /// # Errors
    /// The disk.
    pub fn records(&self) -> Result<Vec<Bytes>, StoreError> {
        self.inner.index.records()
    }

    /// A record by id.
    ///
    /// # Errors
    /// The disk.
    pub fn record(&self, id: &RecordId) -> Result<Option<Bytes>, StoreError> {
        self.inner.index.record(id)
    }

    /// The records of one feed up to `head`, ascending.
    ///
    /// # Errors
    /// The disk.
    pub fn feed(&self, head: &Head) -> Result<Vec<Bytes>, StoreError> {
        self.inner.index.feed_of(head)
    }

    /// The newest record of every feed, ascending by member and incarnation.
    ///
    /// # Errors
    /// The disk.
    pub fn heads(&self) -> Result<Vec<Head>, StoreError> {
        self.inner.index.heads()
    }

    /// What the asker lacks, in frames, as far as one answer goes.
    ///
    /// # Errors
    /// The disk.
    pub fn answer(&self, request: &SyncRequest) -> Result<Vec<u8>, StoreError> {
        self.inner.index.answer(request)
    }

    /// Writes one of our own blobs, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Body, StoreError> {
        self.inner.blobs.put(bytes)
    }

    /// As [`Self::put_blob`], of bytes whose hash is known to be `hash`.
    ///
    /// # Errors
    /// The disk.
    pub fn put_named_blob(&self, hash: BlobHash, bytes: &[u8]) -> Result<Body, StoreError> {
        self.inner.blobs.put_named(hash, bytes)
    }

    /// Moves a gathered and verified blob into place.
    ///
    /// # Errors
    /// It is not there, or of another length.
    pub fn complete_blob(&self, body: &Body) -> Result<(), StoreError> {
        self.inner.blobs.complete(body)
    }

    /// The file and length of a complete blob.
    #[must_use]
    pub fn blob_file(&self, hash: &BlobHash) -> Option<(PathBuf, u64)> {
        self.inner.blobs.length(hash).map(|length| (self.inner.blobs.path(hash), length))
    }

    /// Where a blob is gathered.
    #[must_use]
    pub fn partial_file(&self, hash: &BlobHash) -> PathBuf {
        self.inner.blobs.partial(hash)
    }

    /// A blob's bytes; its length is checked, its hash is not.
    ///
    /// # Errors
    /// Absent, of another length, or the disk.
    pub fn read_blob(&self, body: &Body) -> Result<Bytes, StoreError> {
        self.inner.blobs.read(body)
    }

    /// The bytes of a blob that is still being gathered.
    ///
    /// # Errors
    /// Absent, of another length, or the disk.
    pub fn read_partial(&self, body: &Body) -> Result<Bytes, StoreError> {
        self.inner.blobs.read_partial(body)
    }

    /// A blob's bytes, hashed.
    ///
    /// # Errors
    /// Absent, damaged, or the disk.
    pub fn read_verified(&self, hash: &BlobHash) -> Result<Bytes, StoreError> {
        self.inner.blobs.read_verified(hash)
    }

    /// The hashes of all complete blobs, ascending.
    ///
    /// # Errors
    /// The disk.
    pub fn blobs(&self) -> Result<Vec<BlobHash>, StoreError> {
        self.inner.blobs.list()
    }

    /// Deletes a blob, complete or partial, if it is there.
    ///
    /// # Errors
    /// The disk.
    pub fn delete_blob(&self, hash: &BlobHash) -> Result<(), StoreError> {
        self.inner.blobs.delete(hash)
    }

    /// Writes the training state that belongs to our publication `payload`, in the place of that of any publication but our
    /// newest durable one: it outlives the process, and once flushed a power cut.
    ///
    /// # Errors
    /// The disk.
    pub fn put_state(&self, payload: &BlobHash, state: &TrainState) -> Result<(), StoreError> {
        self.inner.states.put(payload, state)
    }

    /// Flushes that state to the disk; nothing if a later one has taken its place.
    ///
    /// # Errors
    /// The disk.
    pub fn flush_state(&self, payload: &BlobHash) -> Result<(), StoreError> {
        self.inner.states.flush(payload)
    }

    /// The training state that belongs to our publication `payload`, of an adapter of `values` values.
    ///
    /// Whoever goes on from it calls [`Self::keep_state`] first.
    ///
    /// # Errors
    /// Damaged, of another shape, or the disk.
    pub fn load_state(&self, payload: &BlobHash, values: usize) -> Result<Option<TrainState>, StoreError> {
        self.inner.states.load(payload, values)
    }

    /// Keeps the training state of our newest publication from being written over, after a restart.
    pub fn keep_state(&self, payload: &BlobHash) {
        self.inner.states.keep(payload);
    }

    /// Keeps an evidence bundle, durably.
    ///
    /// # Errors
    /// The disk.
    pub fn put_evidence(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let hash = blob_hash(bytes);
        let path = self.inner.folder.join("evidence").join(hash.to_string());
        let temp = self.inner.folder.join("partial").join(format!("{hash}.temp"));
        atomic::write(&path, &temp, Durable::Yes, |out| std::io::Write::write_all(out, bytes))?;
        // Others fetch it as the body of the record that names it.
        self.put_blob(bytes).map(drop)
    }

    /// Every evidence bundle, ascending by hash.
    ///
    /// # Errors
    /// The disk.
    pub fn evidence(&self) -> Result<Vec<(BlobHash, Bytes)>, StoreError> {
        let folder = self.inner.folder.join("evidence");
        let list = fs::read_dir(&folder).map_err(StoreError::io(&folder, "list"))?;
        let mut all = Vec::new();
        for entry in list {
            let path = entry.map_err(StoreError::io(&folder, "list"))?.path();
            let bytes = fs::read(&path).map_err(StoreError::io(&path, "read"))?;
            all.push((blob_hash(&bytes), Bytes::from(bytes)));
        }
        all.sort_by_key(|(hash, _)| *hash);
        Ok(all)
    }

    /// Replaces a small file of the home, such as `status.json`, whole or not at all.
    ///
    /// # Errors
    /// The disk.
    pub fn put_file(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.inner.home.join(name);
        let temp = self.inner.home.join(format!(".{name}.temp"));
        atomic::write(&path, &temp, Durable::No, |out| std::io::Write::write_all(out, bytes))
    }
}
