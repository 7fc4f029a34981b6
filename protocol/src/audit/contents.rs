//! What an archive's files are, byte for byte, and the digest of them all.
//!
//! The digest is that of Go's `dirhash.Hash1`, which in-toto calls `dirHash`: SHA-256 of the lines `<sha256 hex>  <name>\n` of all
//! files, sorted by the bytes of their names. `sha256sum` and `sort` give the same.

use std::{
    fmt, io,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{Archive, finding::Notes, layout::Name, source::Source, work::each};
use crate::base::BlobHash;

/// Bytes that are read at a time.
const PART: usize = 1 << 20;

/// The digest of an archive: `h1:` and base64, as Go writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveDigest(pub [u8; 32]);

impl fmt::Display for ArchiveDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h1:{}", STANDARD.encode(self.0))
    }
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Its name in the archive.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its name is the BLAKE3 hash of other bytes.
    pub misnamed: bool,
}

/// Every file of an archive that is of the layout, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents(Vec<FileDigest>);

impl Contents {
    /// Reads all of an archive, on so many threads; `progress` is told of bytes read and bytes in all.
    ///
    /// # Errors
    /// The medium.
    pub fn of(archive: &dyn Archive, threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> io::Result<Self> {
        Self::read(&Source::new(archive, &mut Notes::default())?, threads, progress)
    }

    pub(super) fn read(source: &Source<'_>, threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> io::Result<Self> {
        let files: Vec<(Name, u64)> = source.files().collect();
        let total = files.iter().fold(0_u64, |sum, (_, length)| sum.saturating_add(*length));
        let done = AtomicU64::new(0);
        let seen =
            |bytes: u64| progress(done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes).min(total), total);
        let read = each(files.len(), threads, |at| match files.get(at) {
            Some((name, length)) => one(source, *name, *length, &seen),
            None => Err(io::Error::other("no such file")),
        });
        let mut all = read.into_iter().collect::<io::Result<Vec<_>>>()?;
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self(all))
    }

    /// The files, by name.
    #[must_use]
    pub fn files(&self) -> &[FileDigest] {
        &self.0
    }

    /// The lines that are hashed, as `sha256sum` prints them.
    #[must_use]
    pub fn listing(&self) -> String {
        self.0.iter().map(|file| format!("{}  {}\n", hex::encode(file.sha256), file.name)).collect()
    }

    /// The digest of them all.
    #[must_use]
    pub fn digest(&self) -> ArchiveDigest {
        ArchiveDigest(Sha256::digest(self.listing()).into())
    }

    /// Whether a file is here whose name is not the hash of its bytes.
    pub(super) fn is_misnamed(&self, name: Name) -> bool {
        let name = name.to_string();
        let place = self.0.binary_search_by(|file| file.name.as_str().cmp(&name));
        place.ok().and_then(|at| self.0.get(at)).is_some_and(|file| file.misnamed)
    }

    /// The names of all files that the two do not hold alike.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut names = Vec::new();
        loop {
            let order = match (a.peek(), b.peek()) {
                (Some(one), Some(other)) => one.name.cmp(&other.name),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return names,
            };
            let of_a = if order.is_le() { a.next() } else { None };
            let of_b = if order.is_ge() { b.next() } else { None };
            if of_a.map(|file| file.sha256) != of_b.map(|file| file.sha256) {
                names.extend(of_a.or(of_b).map(|file| file.name.clone()));
            }
        }
    }
}

fn one(source: &Source<'_>, name: Name, length: u64, seen: &dyn Fn(u64)) -> io::Result<FileDigest> {
    let named = match name {
        Name::Blob(hash) | Name::Evidence(hash) | Name::Conflict(hash) => Some(hash),
        Name::Genesis | Name::Manifest(_) | Name::Feed(..) | Name::Log(..) => None,
    };
    let (mut sha256, mut blake3, mut at) = (Sha256::new(), named.map(|_| blake3::Hasher::new()), 0);
    while at < length {
        let part = usize::try_from(length - at).map_or(PART, |left| left.min(PART));
        let bytes = source.read_at(name, at, part)?;
        sha256.update(&bytes);
        if let Some(blake3) = &mut blake3 {
            blake3.update(&bytes);
        }
        at += part as u64;
        seen(part as u64);
    }
    let misnamed = blake3.map(|hasher| BlobHash(*hasher.finalize().as_bytes())) != named;
    Ok(FileDigest { name: name.to_string(), sha256: sha256.finalize().into(), misnamed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_go_writes_it() {
        // The empty directory's, by `dirhash.Hash1`: base64 of SHA-256 of nothing.
        let none = Contents(Vec::new());
        assert_eq!(none.digest().to_string(), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn files_that_differ_are_named_whichever_side_lacks_them() {
        let file = |name: &str, byte| FileDigest { name: name.into(), sha256: [byte; 32], misnamed: false };
        let a = Contents(vec![file("a", 1), file("b", 1), file("d", 1)]);
        let b = Contents(vec![file("b", 2), file("c", 1), file("d", 1), file("e", 1)]);
        assert_eq!(a.differing(&b), ["a", "b", "c", "e"]);
        assert_eq!(b.differing(&a), ["a", "b", "c", "e"]);
        assert!(a.differing(&a).is_empty());
    }
}
