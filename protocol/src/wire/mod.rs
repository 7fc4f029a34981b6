//! What travels beside records and blobs: presence, the question for missing records, and the frames of its answer.

mod frame;
mod presence;
mod sync;

pub use frame::{Frame, FrameError, Frames};
pub use presence::Presence;
pub use sync::{Have, SyncRequest};
