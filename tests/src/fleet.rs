//! Networks of member processes on this machine: keys, genesis, homes, child processes and what they say.

mod line;
mod network;
mod process;

pub use line::{Line, Round};
pub use network::{Network, Shape};
pub use process::{Member, Options};
