//! A member's private examples: read by line, held out by hash, drawn in a seeded order that survives a restart.

mod batch;
mod example;
mod jsonl;
mod order;
mod report;
mod sequence;
mod silo;
mod watch;

pub use batch::{Batch, IGNORE, rows};
pub use example::Example;
pub use jsonl::{BadReason, parse_line};
pub use order::{Order, Position, permutation};
pub use report::{BadLine, Report, check};
pub use sequence::{Piece, Sequence};
pub use silo::{Side, Silo};
pub use watch::{Chunk, Line, Watch};
