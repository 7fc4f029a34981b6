//! What travels beside records and blobs: presence, and the question for missing records.

mod presence;
mod sync;

pub use presence::Presence;
pub use sync::{Have, SyncRequest};
