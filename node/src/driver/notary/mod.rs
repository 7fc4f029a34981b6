//! Our transparency log and those of others: we sign how far ours has come, others cosign it, and we cosign theirs.
//!
//! The [`Notary`] is a task: every so often it takes up the leaves that were stored since, signs a checkpoint, asks connected
//! participants to cosign it, and keeps it when enough did. The [`Witness`] answers when they ask us. Both are told by the loop
//! who is who ([`Circle`]). Neither signs two roots of one size: what is signed or cosigned is on disk before it leaves, and
//! a home that lost leaves which others hold signs no more.

mod ask;
mod circle;
mod state;
mod task;
mod witness;

pub(super) use circle::Circle;
pub use state::LogState;
pub(super) use task::Notary;
pub(super) use witness::Witness;
