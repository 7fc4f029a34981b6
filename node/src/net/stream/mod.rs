//! Streams to one peer: opening them, accepting them within budgets, and keeping them moving.

mod budget;
mod client;
mod paced;
mod sends;
mod server;

pub(super) use budget::{Budget, Limits};
pub(super) use client::Client;
pub(super) use paced::{NoQuestion, Pace, Slow, Steady};
pub(super) use server::{Serve, Server};
