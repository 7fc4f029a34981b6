//! Names and frames of an archive: the one way to write it, so that the same inputs give the same bytes.

use std::fmt;

pub use super::{log_book::log_files, log_name::LogFile};
use crate::base::{BlobHash, Incarnation, MemberId};

/// The largest feed file that an auditor reads: about two million records.
pub const FEED_FILE_BYTES: u64 = 1 << 30;

/// A file of an archive, by what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// `genesis`.
    Genesis,
    /// `manifests/<version, at least 6 digits>`; versions from 1.
    Manifest(u64),
    /// `feeds/<member hex>.<incarnation>`.
    Feed(MemberId, Incarnation),
    /// `blobs/<blake3 hex>`.
    Blob(BlobHash),
    /// `evidence/<blake3 hex>`.
    Evidence(BlobHash),
    /// `logs/<member hex>/…`.
    Log(MemberId, LogFile),
}

/// The folders of the layout.
pub(super) const FOLDERS: [&str; 5] = ["manifests/", "feeds/", "blobs/", "evidence/", "logs/"];

impl Name {
    /// Reads a name; `None` if it is not written exactly as this type writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = match text.split_once('/') {
            None if text == "genesis" => Self::Genesis,
            None => return None,
            Some(("manifests", version)) => Self::Manifest(version.parse().ok().filter(|version| *version > 0)?),
            Some(("feeds", rest)) => {
                let (member, incarnation) = rest.split_once('.')?;
                Self::Feed(member.parse().ok()?, Incarnation(incarnation.parse().ok()?))
            }
            Some(("blobs", hash)) => Self::Blob(hash.parse().ok()?),
            Some(("evidence", hash)) => Self::Evidence(hash.parse().ok()?),
            Some(("logs", rest)) => {
                let (member, file) = rest.split_once('/')?;
                Self::Log(member.parse().ok()?, LogFile::parse(file)?)
            }
            Some(_) => return None,
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis => f.write_str("genesis"),
            Self::Manifest(version) => write!(f, "manifests/{version:06}"),
            Self::Feed(member, incarnation) => write!(f, "feeds/{member}.{incarnation}"),
            Self::Blob(hash) => write!(f, "blobs/{hash}"),
            Self::Evidence(hash) => write!(f, "evidence/{hash}"),
            Self::Log(member, file) => write!(f, "logs/{member}/{file}"),
        }
    }
}

/// The file of the genesis.
#[must_use]
pub fn genesis_name() -> String {
    Name::Genesis.to_string()
}

/// The file of a manifest version, from 1 on.
#[must_use]
pub fn manifest_name(version: u64) -> String {
    Name::Manifest(version).to_string()
}

/// The file of a feed: its records' frames, ascending by place.
#[must_use]
pub fn feed_name(member: MemberId, incarnation: Incarnation) -> String {
    Name::Feed(member, incarnation).to_string()
}

/// The file of a blob.
#[must_use]
pub fn blob_name(hash: BlobHash) -> String {
    Name::Blob(hash).to_string()
}

/// The file of an evidence bundle, by the hash of its bytes.
#[must_use]
pub fn evidence_name(hash: BlobHash) -> String {
    Name::Evidence(hash).to_string()
}

/// A record's frame in a feed file: u32-LE length, then the envelope. Envelopes are at most
/// [`RECORD_BYTES`](crate::base::limit::RECORD_BYTES) long; a longer one gives a frame that no auditor accepts.
#[must_use]
pub fn frame(envelope: &[u8]) -> Vec<u8> {
    let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], envelope].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Tile;

    #[test]
    fn a_name_is_read_only_as_it_is_written() {
        let member = MemberId([0xab; 32]);
        for name in [
            Name::Genesis,
            Name::Manifest(1),
            Name::Manifest(1_234_567),
            Name::Feed(member, Incarnation(0)),
            Name::Blob(BlobHash([1; 32])),
            Name::Evidence(BlobHash([2; 32])),
            Name::Log(member, LogFile::Checkpoint),
            Name::Log(member, LogFile::Note(5)),
            Name::Log(member, LogFile::Tile(Tile { level: 1, index: 1_234_567, width: 9 })),
        ] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        let upper = format!("blobs/{}", "AB".repeat(32));
        let padded = format!("feeds/{member}.00");
        let logs =
            ["", "checkpoint/", "notes/5", "notes/00000000000000000005/", "tile/0/0", "tile/0/000.p", "entries/0"];
        for odd in logs.map(|file| format!("logs/{member}/{file}")) {
            assert_eq!(Name::parse(&odd), None, "{odd}");
        }
        for odd in ["", "genesis/", "/genesis", "manifests/1", "manifests/000000", "blobs/00", "x/y", &upper, &padded] {
            assert_eq!(Name::parse(odd), None, "{odd}");
        }
    }
}
