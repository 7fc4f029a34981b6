//! `chorale network`: the manifest that all members agree on, and how it changes.

mod apply;
mod create;
mod file;
mod join;
mod policy;
mod propose;
mod rekey;
mod show;
mod sign;

use anyhow::Result;

pub(crate) use create::{Plan, unsigned};
pub(crate) use file::{genesis_chain, replace, stored_chain};
pub(crate) use join::{install, own_entry, own_id, same_policy, take_up_key, takes_part};
pub(crate) use policy::{Shape, shape};
pub(crate) use sign::add_vote;

use super::out::Out;

/// Agree on a network, join it, change it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Create(Box<create::Args>),
    Sign(sign::SignArgs),
    Combine(sign::CombineArgs),
    Show(show::ShowArgs),
    Verify(show::VerifyArgs),
    Join(join::Args),
    Propose(Box<propose::Args>),
    Apply(apply::Args),
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::Create(args) => args.run(out),
            Verb::Sign(args) => args.run(out),
            Verb::Combine(args) => args.run(out),
            Verb::Show(args) => args.run(out),
            Verb::Verify(args) => args.run(out),
            Verb::Join(args) => args.run(out),
            Verb::Propose(args) => args.run(out),
            Verb::Apply(args) => args.run(out),
        }
    }
}
