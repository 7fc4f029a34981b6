//! Why a node could not start or go on.

use chorale_protocol::{base::BlobHash, manifest::ManifestError};

use crate::{net::NetError, store::StoreError};

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The genesis or a stored manifest is not valid.
    #[error("the network's manifest is not valid: {0}; get the genesis file from another member again")]
    Manifest(#[from] ManifestError),
    /// The store contradicts itself.
    #[error("the records in the store do not fit together: {0}; move the store folder away, peers will fill a new one")]
    Stored(String),
    /// The member trains another model or adapter than the network.
    #[error("this member's trainer does not fit the network: {what}; {todo}")]
    Unfit {
        /** what differs */
        what: String,
        /** what to do */
        todo: &'static str,
    },
    /// The training state vanished while the node ran.
    #[error("the training state beside payload {payload} is gone: {why}; start again, the node goes on from its peers")]
    State {
        /** whose state */
        payload: BlobHash,
        /** what happened */
        why: String,
    },
    /// A part of the node ended without being told to.
    #[error("{0} has stopped; see the log for why, and start the node again")]
    Ended(&'static str),
}
