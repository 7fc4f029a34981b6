//! Names for 32-byte values, numbers with units, and every bound in one place.

mod count;
mod id;
pub mod limit;

pub use count::{Incarnation, Lamport, Millis, Round, Seq, UnixSeconds};
pub use id::{BlobHash, IdError, KeyHash, ManifestHash, MemberId, MergeHash, NetworkId, RecordId, TransportId};
