//! `checkpoint`: logs, their heads, and proofs about them.

mod prove;
mod show;
mod verify;

use chorale_protocol::{
    audit::{Finding, LogBook, Severity, Survey},
    base::MemberId,
    manifest::Chain,
};

use crate::{
    args::CheckpointCommand,
    exit::{Exit, Trouble},
};

pub(crate) fn run(command: &CheckpointCommand) -> Result<Exit, Trouble> {
    match command {
        CheckpointCommand::Verify(args) => verify::verify(args),
        CheckpointCommand::Consistency(args) => prove::consistency(args),
        CheckpointCommand::Inclusion(args) => prove::inclusion(args),
    }
}

/// How many cosigners a head takes to count.
fn asked(chain: &Chain, more: Option<u8>) -> u64 {
    chain.current().policy.witnesses.unwrap_or_default().max(more.map_or(0, u64::from))
}

/// What findings come to.
fn exit(findings: &[Finding]) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Failure) => Exit::Failed,
        Some(Severity::Incomplete) => Exit::Incomplete,
        Some(Severity::Warning) | None => Exit::Passed,
    }
}

/// The logs of an archive that a user means; without a name, all.
fn logs(survey: &Survey<'_>, named: Option<&str>) -> Vec<MemberId> {
    let meant = |member: &MemberId| {
        named.is_none_or(|name| survey.label(member) == name || member.to_string().starts_with(name))
    };
    survey.logs().into_iter().filter(meant).collect()
}

/// A log that an archive holds, and what is wrong with it.
type Held = (LogBook, Vec<Finding>);
