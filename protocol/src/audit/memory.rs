//! An archive in memory, and the builder that lays one out.

use std::{collections::BTreeMap, io};

use bytes::Bytes;

use super::{
    Archive,
    layout::{Name, frame, log_files},
};
use crate::{
    base::{BlobHash, Incarnation, MemberId, RecordId, Seq},
    code::blob_hash,
    feed::Checked,
    log::Tree,
};

/// An archive in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryArchive {
    files: BTreeMap<String, Bytes>,
}

impl MemoryArchive {
    /// Puts a file in, whatever its name.
    pub fn insert(&mut self, name: String, bytes: Bytes) {
        self.files.insert(name, bytes);
    }

    /// Takes a file out.
    pub fn remove(&mut self, name: &str) -> Option<Bytes> {
        self.files.remove(name)
    }

    /// Name and bytes of every file, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }
}

impl Archive for MemoryArchive {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        Ok(self.files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect())
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Bytes> {
        let bytes = self.files.get(name).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, name.to_owned()));
        }
        Ok(bytes.clone())
    }
}

/// Lays out an archive. The order of the calls does not matter.
#[derive(Debug, Clone, Default)]
pub struct ArchiveBuilder {
    manifests: Vec<Bytes>,
    feeds: BTreeMap<(MemberId, Incarnation), BTreeMap<(Seq, RecordId), Bytes>>,
    others: BTreeMap<String, Bytes>,
}

impl ArchiveBuilder {
    /// An archive of these manifest versions, as [`Chain::signed`](crate::manifest::Chain::signed) gives them: the genesis first.
    #[must_use]
    pub fn new(manifests: Vec<Bytes>) -> Self {
        Self { manifests, ..Self::default() }
    }

    /// Puts other manifest versions in the place of those named first.
    pub fn manifests(&mut self, manifests: Vec<Bytes>) -> &mut Self {
        self.manifests = manifests;
        self
    }

    /// Adds a record to its feed.
    pub fn record(&mut self, checked: &Checked) -> &mut Self {
        let record = checked.record();
        let feed = self.feeds.entry((record.member, record.incarnation)).or_default();
        feed.insert((record.seq, checked.id()), checked.bytes().clone());
        self
    }

    /// Adds a blob and gives its hash.
    pub fn blob(&mut self, bytes: Bytes) -> BlobHash {
        let hash = blob_hash(&bytes);
        self.others.insert(Name::Blob(hash).to_string(), bytes);
        hash
    }

    /// Adds a log: see [`log_files`](super::layout::log_files).
    pub fn log(
        &mut self,
        member: MemberId,
        checkpoint: &Bytes,
        size: u64,
        others: &[(u64, Bytes)],
        tree: Option<&Tree>,
    ) -> &mut Self {
        self.others.extend(log_files(member, checkpoint, size, others, tree));
        self
    }

    /// Adds an evidence bundle and gives its hash.
    pub fn evidence(&mut self, bytes: Bytes) -> BlobHash {
        let hash = blob_hash(&bytes);
        self.others.insert(Name::Evidence(hash).to_string(), bytes);
        hash
    }

    /// The archive.
    #[must_use]
    pub fn build(&self) -> MemoryArchive {
        let mut archive = MemoryArchive { files: self.others.clone() };
        for (version, bytes) in (0u64..).zip(&self.manifests) {
            let name = if version == 0 { Name::Genesis } else { Name::Manifest(version) };
            archive.insert(name.to_string(), bytes.clone());
        }
        for ((member, incarnation), records) in &self.feeds {
            let frames: Vec<u8> = records.values().flat_map(|envelope| frame(envelope)).collect();
            archive.insert(Name::Feed(*member, *incarnation).to_string(), frames.into());
        }
        archive
    }
}
