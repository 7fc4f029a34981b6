//! An archive's files by what their names say.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use bytes::Bytes;

use super::{
    Archive, Severity,
    finding::{Notes, Place, Where},
    layout::{FOLDERS, LogFile, Name},
};
use crate::base::{BlobHash, Incarnation, MemberId};

/// The files of an archive, sorted by kind.
pub(super) struct Source<'a> {
    archive: &'a dyn Archive,
    lengths: BTreeMap<Name, u64>,
}

impl<'a> Source<'a> {
    /// Lists the archive; odd names become findings.
    pub(super) fn new(archive: &'a dyn Archive, notes: &mut Notes) -> io::Result<Self> {
        let mut lengths = BTreeMap::new();
        for (text, length) in archive.files()? {
            match Name::parse(&text) {
                Some(name) => {
                    lengths.insert(name, length);
                }
                None => {
                    // Within the layout's folders it may be what is missing elsewhere.
                    let inside = FOLDERS.iter().any(|folder| text.starts_with(folder));
                    let place = Place { file: Where::Foreign(text), ..Place::default() };
                    let severity = if inside { Severity::Incomplete } else { Severity::Warning };
                    notes.add_as(severity, "ARC-001", &place, "this name is not of the archive layout");
                }
            }
        }
        Ok(Self { archive, lengths })
    }

    pub(super) fn length(&self, name: Name) -> Option<u64> {
        self.lengths.get(&name).copied()
    }

    /// A file's length; `None` if it is absent, or longer than `limit` (which becomes a finding).
    pub(super) fn bounded(&self, name: Name, limit: u64, notes: &mut Notes) -> Option<u64> {
        let length = self.length(name)?;
        if length > limit {
            let found = format!("{length} bytes, at most {limit} are allowed");
            notes.add("ARC-004", &Place::file(name), found);
            return None;
        }
        Some(length)
    }

    /// A file's bytes; `None` if it is absent, or longer than `limit` (which becomes a finding).
    pub(super) fn read(&self, name: Name, limit: u64, notes: &mut Notes) -> io::Result<Option<Bytes>> {
        let Some(_) = self.bounded(name, limit, notes) else { return Ok(None) };
        self.archive.read(&name.to_string(), limit).map(Some)
    }

    /// A file's bytes, of at most `limit`; see [`Archive::read_along`].
    pub(super) fn read_along(&self, name: Name, limit: u64, look: &mut dyn FnMut(&[u8])) -> io::Result<Bytes> {
        self.archive.read_along(&name.to_string(), limit, look)
    }

    /// A part of a file.
    pub(super) fn read_at(&self, name: Name, offset: u64, length: usize) -> io::Result<Bytes> {
        self.archive.read_at(&name.to_string(), offset, length)
    }

    /// Name and length of every file of the layout.
    pub(super) fn files(&self) -> impl Iterator<Item = (Name, u64)> {
        self.lengths.iter().map(|(name, length)| (*name, *length))
    }

    /// Bytes of all feeds together.
    pub(super) fn bytes_of_feeds(&self) -> u64 {
        self.bytes(|name| matches!(name, Name::Feed(..)))
    }

    /// Bytes of all blobs together.
    pub(super) fn bytes_of_blobs(&self) -> u64 {
        self.bytes(|name| matches!(name, Name::Blob(_)))
    }

    fn bytes(&self, of: impl Fn(&Name) -> bool) -> u64 {
        self.lengths.iter().filter(|(name, _)| of(name)).fold(0, |sum, (_, length)| sum.saturating_add(*length))
    }

    pub(super) fn manifests(&self) -> impl Iterator<Item = u64> {
        self.lengths.keys().filter_map(|name| match name {
            Name::Manifest(version) => Some(*version),
            _ => None,
        })
    }

    pub(super) fn feeds(&self) -> Vec<(MemberId, Incarnation)> {
        let feed = |name: &Name| match name {
            Name::Feed(member, incarnation) => Some((*member, *incarnation)),
            _ => None,
        };
        self.lengths.keys().filter_map(feed).collect()
    }

    pub(super) fn blobs(&self) -> impl Iterator<Item = BlobHash> {
        self.lengths.keys().filter_map(|name| match name {
            Name::Blob(hash) => Some(*hash),
            _ => None,
        })
    }

    /// Everyone of whose log a file is here.
    pub(super) fn logs(&self) -> BTreeSet<MemberId> {
        let member = |name: &Name| match name {
            Name::Log(member, _) => Some(*member),
            _ => None,
        };
        self.lengths.keys().filter_map(member).collect()
    }

    /// The files of a log.
    pub(super) fn log(&self, member: MemberId) -> impl Iterator<Item = LogFile> {
        let log = Name::Log(member, LogFile::Checkpoint)..;
        self.lengths.range(log).map_while(move |(name, _)| match name {
            Name::Log(owner, file) if *owner == member => Some(*file),
            _ => None,
        })
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = BlobHash> {
        self.lengths.keys().filter_map(|name| match name {
            Name::Evidence(hash) => Some(*hash),
            _ => None,
        })
    }

    pub(super) fn conflicts(&self) -> impl Iterator<Item = BlobHash> {
        self.lengths.keys().filter_map(|name| match name {
            Name::Conflict(hash) => Some(*hash),
            _ => None,
        })
    }
}
