//! Why the store could not do something: which file, what was wanted, what to do.

use std::{io, path::PathBuf};

use chorale_protocol::base::{BlobHash, NetworkId};

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The medium failed.
    #[error("{path}: could not {what}: {source}")]
    Io {
        /** which file or folder */
        path: PathBuf,
        /** what was tried */
        what: &'static str,
        /** the system's answer */
        source: io::Error,
    },
    /// Another process works in this home.
    #[error("{path} is held by another running chorale; stop that one (chorale status shows it), or use another home")]
    Locked {
        /** the lock file */
        path: PathBuf,
    },
    /// The index was written by another version of the program.
    #[error(
        "{path}: another version of chorale wrote it (layout {got}, this program reads layout {want}). Nothing was changed. Use \
         the version that wrote it, or begin with a new home"
    )]
    Layout {
        /** the index */
        path: PathBuf,
        /** what it says */
        got: u64,
        /** the only one that this program reads */
        want: u64,
    },
    /// The index cannot be read.
    #[error(
        "{path}: the index is damaged ({why}). Nothing was deleted. Restore it from a backup, or move it away: the node \
         then asks its peers for every record, its own included, and goes on in a new incarnation"
    )]
    Index {
        /** the index */
        path: PathBuf,
        /** what redb said */
        why: String,
    },
    /// The egress ledger cannot be gone on with.
    #[error(
        "{path}: the egress ledger is damaged ({why}), and what cannot be listed does not leave. Keep the file for whoever \
         asks, but move it away: a new ledger begins"
    )]
    Ledger {
        /** the file */
        path: PathBuf,
        /** what is wrong */
        why: String,
    },
    /// The home belongs to another network.
    #[error("this home holds network {got}, its genesis file says {want}; give each network a home of its own")]
    Network {
        /** in the index */
        got: String,
        /** of the genesis */
        want: NetworkId,
    },
    /// A blob is not there.
    #[error("blob {hash} is not in the store; it was pruned, or never fetched")]
    Absent {
        /** which */
        hash: BlobHash,
    },
    /// A blob's bytes are not those of its name.
    #[error("{path}: {why}; delete the file, it will be fetched again from a peer")]
    Damaged {
        /** which file */
        path: PathBuf,
        /** what is wrong with it */
        why: String,
    },
}

impl StoreError {
    pub(super) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, what, source }
    }
}
