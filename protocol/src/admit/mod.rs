//! What a record must fulfil beyond its own feed: the rules that need the records it builds on.
//!
//! The engine admits by them and an audit replays them: they use public, signed facts only, so that every honest member
//! comes to the same verdict.

use crate::{
    base::{Incarnation, Lamport, MemberId, RecordId, Round, Seq},
    feed::{Body, Record, Spec, Update},
    manifest::{Codec, Manifest, Phase, Policy, Role},
    merge,
};

/// What the rules need to know about an update that a record builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Whose.
    pub member: MemberId,
    /// In which of its feeds.
    pub incarnation: Incarnation,
    /// Its place there.
    pub seq: Seq,
    /// Its clock.
    pub clock: Lamport,
    /// Its round; `None`: it is no update.
    pub round: Option<Round>,
}

/// A rule that a record breaks: its author signed something that no honest member signs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A parent is not an update.
    #[error("parent {parent} is not an update; only updates can be built on")]
    NotUpdate {
        /** which */
        parent: RecordId,
    },
    /// Two parents by one member.
    #[error("two parents by member {member}; at most one publication of each is merged")]
    TwiceOneMember {
        /** whose */
        member: MemberId,
    },
    /// A parent in the author's own feed that does not come before the record.
    #[error("the own parent {parent} does not come before the record in the feed")]
    OwnParent {
        /** which */
        parent: RecordId,
    },
    /// The Lamport clock does not exceed a parent's.
    #[error("clock {got}, but a parent has {parent}; it must be greater")]
    Clock {
        /** the record's */
        got: Lamport,
        /** the parent's */
        parent: Lamport,
    },
    /// Not 1 + the largest round among the parents.
    #[error("round {got}, the parents make it {want}")]
    Round {
        /** what it says */
        got: Round,
        /** what follows from the parents */
        want: Round,
    },
    /// Not the phase of its round.
    #[error("phase {got:?}, the policy trains {want:?} in this round")]
    Phase {
        /** what it says */
        got: Phase,
        /** the policy's */
        want: Phase,
    },
    /// A parent older than the window.
    #[error("a parent of round {round} is outside the window of base round {base}")]
    Window {
        /** the parent's */
        round: Round,
        /** the base round */
        base: Round,
    },
    /// A weight that the age table does not give.
    #[error("weight {got:?} for a parent of round {round}, the age table gives {want}")]
    Weight {
        /** what it says */
        got: Option<u64>,
        /** the parent's round */
        round: Round,
        /** the age table's */
        want: u64,
    },
    /// Another codec than the policy's.
    #[error("codec {got:?}, the policy wants {want:?}")]
    Codec {
        /** what it says */
        got: Option<Codec>,
        /** the policy's */
        want: Codec,
    },
    /// A payload whose length is not the layout's.
    #[error("a payload of {got:?} bytes, the adapter's layout makes {want}")]
    Length {
        /** what it says */
        got: Option<u64>,
        /** the layout's */
        want: u64,
    },
    /// A release of something that is not the named round.
    #[error("the release names round {got}, its parent is of round {want:?}")]
    Release {
        /** what it says */
        got: Round,
        /** the parent's */
        want: Option<Round>,
    },
}

impl RuleError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotUpdate { .. } => "RULE-001",
            Self::TwiceOneMember { .. } => "RULE-002",
            Self::OwnParent { .. } => "RULE-003",
            Self::Clock { .. } => "RULE-004",
            Self::Round { .. } => "RULE-005",
            Self::Phase { .. } => "RULE-006",
            Self::Window { .. } => "RULE-007",
            Self::Weight { .. } => "RULE-008",
            Self::Codec { .. } => "RULE-009",
            Self::Length { .. } => "RULE-010",
            Self::Release { .. } => "RULE-011",
        }
    }
}

/// Whom a draw under this manifest is made from, ascending by id: every member whose records are not cut off.
#[must_use]
pub fn drawable(manifest: &Manifest) -> Vec<MemberId> {
    let cut = |id: &MemberId| manifest.cuts.iter().any(|cut| cut.member == *id);
    let members = manifest.members.iter().filter(|member| member.role == Role::Member);
    members.map(|member| member.id).filter(|id| !cut(id)).collect()
}

/// Checks a record against the records it builds on. `parents` are those of `record.parents`, in that order; `policy` is
/// the one of the manifest version that the record names; `payload_len` [bytes] is that of its layout and codec.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(record: &Record, parents: &[Parent], policy: &Policy, payload_len: u64) -> Result<(), RuleError> {
    for parent in parents {
        if record.clock <= parent.clock {
            return Err(RuleError::Clock { got: record.clock, parent: parent.clock });
        }
    }
    match &record.spec {
        Spec::Update(update) => check_update(record, update, parents, policy, payload_len),
        Spec::Release(release) => {
            let want = parents.first().and_then(|parent| parent.round);
            if want == Some(release.round) { Ok(()) } else { Err(RuleError::Release { got: release.round, want }) }
        }
        Spec::Evidence(_) | Spec::Close(_) => Ok(()),
    }
}

fn check_update(
    record: &Record,
    update: &Update,
    parents: &[Parent],
    policy: &Policy,
    payload_len: u64,
) -> Result<(), RuleError> {
    let rounds = rounds(record, parents)?;
    let newest = rounds.iter().max().copied();
    let want = policy.round_after(newest);
    if update.round != want {
        return Err(RuleError::Round { got: update.round, want });
    }
    let own = parents.iter().zip(&rounds).find(|(parent, _)| parent.member == record.member);
    if let Some(base) = own.map(|(_, round)| *round).or(newest) {
        for (place, round) in rounds.iter().enumerate() {
            let want = merge::weight(&policy.ages, base, *round).ok_or(RuleError::Window { round: *round, base })?;
            let got = update.weights.get(place).copied();
            if got != Some(want) {
                return Err(RuleError::Weight { got, round: *round, want });
            }
        }
    }
    let phase = policy.lora_rule.phase(update.round);
    if update.phase != phase {
        return Err(RuleError::Phase { got: update.phase, want: phase });
    }
    if record.codec != Some(policy.codec) {
        return Err(RuleError::Codec { got: record.codec, want: policy.codec });
    }
    let got = record.body.map(|Body { length, .. }| length);
    if got != Some(payload_len) {
        return Err(RuleError::Length { got, want: payload_len });
    }
    Ok(())
}

/// The parents' rounds, in order; all updates, by distinct members, an own one before the record.
fn rounds(record: &Record, parents: &[Parent]) -> Result<Vec<Round>, RuleError> {
    let mut members: Vec<MemberId> = parents.iter().map(|parent| parent.member).collect();
    members.sort_unstable();
    if let Some(twice) = members.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(RuleError::TwiceOneMember { member: twice[0] });
    }
    let mut rounds = Vec::with_capacity(parents.len());
    for (parent, id) in parents.iter().zip(&record.parents) {
        let before = (parent.incarnation, parent.seq) < (record.incarnation, record.seq);
        if parent.member == record.member && !before {
            return Err(RuleError::OwnParent { parent: *id });
        }
        rounds.push(parent.round.ok_or(RuleError::NotUpdate { parent: *id })?);
    }
    Ok(rounds)
}
