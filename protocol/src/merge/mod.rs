//! `merge/v1`: publications become one, in integers, with the same bits on every machine and any number of threads.

mod bound;
mod claim;
mod digest;
#[cfg(test)]
mod levels;
mod mean;
mod momentum;
mod perform;
mod reach;
mod rounds;
mod state;
mod work;

pub(crate) use bound::{Before, Bound, Judged};

pub use claim::{Claim, Wrong, check_published, verify};
pub use perform::{MergeError, Merged, Plan, Voice, merge_hash, perform, perform_measured, weight};
pub use rounds::{base_round, common_round, round_published, rounds_possible};
pub use state::State;
