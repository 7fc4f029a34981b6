//! The audit: a replay of what the engine did, from an archive, by the same functions.

mod archive;
mod finding;
mod replay;

pub use archive::Archive;
pub use finding::{Finding, Severity};
pub use replay::{Options, Report, replay};
