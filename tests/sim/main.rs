//! Promises about many members, kept in virtual time.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

mod ahead;
mod barred;
mod basic;
mod crash;
mod deaf;
mod equivocation;
mod frozen;
mod insiders;
mod join;
mod loss;
mod many;
mod mixing;
mod pace;
mod partition;
mod restored;
mod slow;
mod version;
