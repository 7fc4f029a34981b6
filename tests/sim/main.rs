//! Promises about many members, kept in virtual time.

mod basic;
mod crash;
mod equivocation;
mod frozen;
mod join;
mod loss;
mod many;
mod mixing;
mod partition;
mod restored;
mod slow;
