//! The audit: a replay of what the engine did, from an archive, by the same functions.

mod archive;
mod finding;
pub mod layout;
mod memory;
mod replay;

pub use archive::Archive;
pub use finding::{Finding, Severity};
pub use memory::{ArchiveBuilder, MemoryArchive};
pub use replay::{Options, Report, replay};
