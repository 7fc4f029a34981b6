//! The driver: the one loop between the engine and the hands.
//!
//! `engine.handle(now, input)`, then every output becomes a job: a letter to the network (`post`), an order to the disk's
//! thread (`disk`), a fetch or sync task, a round on the trainer's thread (`trainer`, `round`). Their ends are the next
//! inputs. The loop waits for nobody; [`start`] is what the command line and the tests use.

mod adapters;
mod backfill;
mod clock;
mod disk;
mod error;
mod fetch;
mod hands;
mod home;
mod join;
mod larder;
mod linger;
mod log;
mod node;
mod notary;
mod notice;
mod post;
mod recheck;
mod round;
mod run;
mod status;
mod sync;
mod timing;
mod trainer;

pub use error::DriverError;
pub use node::{Running, Setup, start};
pub use notary::LogState;
pub use notice::{Command, Notice, Summary, Work};
pub use status::{HeadStatus, RoundStatus, State, Status};
pub use timing::Timing;
