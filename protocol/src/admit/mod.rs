//! What a record must fulfil beyond its own feed: the rules that need the records it builds on.
//!
//! The engine admits by them and an audit replays them: they use public, signed facts only, so that every honest member
//! comes to the same verdict.

mod claim;
mod draws;
mod fault;
mod named;
mod state;

pub use draws::{Called, Present, check_draw};
pub use fault::{Bundle, FaultProof};
pub use named::check_named;
pub use state::covering;

use crate::{
    base::{Incarnation, Lamport, MemberId, MergeHash, RecordId, Round, Seq},
    feed::{Body, Privacy, Record, Reference, Spec, Update},
    manifest::{Codec, Manifest, Phase, Policy, Role},
    merge,
};

/// What the rules need to know about a record that another builds on, or follows.
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
    /// The manifest version that it names.
    pub manifest_version: u64,
    /// Its round; `None`: it is no update.
    pub round: Option<Round>,
    /// The newest privacy claim of its author up to it, as far as is known.
    pub claim: Option<Privacy>,
}

impl Parent {
    /// What a record says.
    #[must_use]
    pub const fn of(record: &Record) -> Self {
        Self {
            member: record.member,
            incarnation: record.incarnation,
            seq: record.seq,
            clock: record.clock,
            manifest_version: record.manifest_version,
            round: if let Spec::Update(update) = &record.spec { Some(update.round) } else { None },
            claim: if let Spec::Update(update) = &record.spec { update.privacy } else { None },
        }
    }
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
    /// A parent in the author's own feed that does not come before the record.
    #[error("the own parent {parent} does not come before the record in the feed")]
    OwnParent {
        /** which */
        parent: RecordId,
    },
    /// The clock is not one more than the largest of those records that it builds on.
    #[error("clock {got}, the records it builds on make it {want}")]
    Clock {
        /** the record's */
        got: Lamport,
        /** what follows from those that are known */
        want: Lamport,
    },
    /// The first record of a later incarnation does not name an earlier record of its author.
    #[error("incarnation {incarnation} of {member} begins behind a record of {got_member}.{got}")]
    Incarnation {
        /** the author */
        member: MemberId,
        /** the incarnation that begins */
        incarnation: Incarnation,
        /** whose record it names */
        got_member: MemberId,
        /** of which incarnation */
        got: Incarnation,
    },
    /// Not the round that follows from the parents'.
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
    /// A momentum checkpoint where none belongs, or of another length.
    #[error("a checkpoint of {got} bytes in round {round}; the fewest that one has there: {want:?}")]
    State {
        /** its length */
        got: u64,
        /** the record's round */
        round: Round,
        /** the fewest bytes of a checkpoint in this round; `None`: none belongs there */
        want: Option<u64>,
    },
    /// A record that is named as a member's publication, and is another's or none.
    #[error("record {record} of {got} is named as an update of member number {place}")]
    Author {
        /** which */
        record: RecordId,
        /** of whom it says it is, by the place in the member list */
        place: u64,
        /** whose it is */
        got: MemberId,
    },
    /// An older manifest version than that of a record it builds on.
    #[error("manifest version {got}, a record it builds on has {parent}; versions do not fall")]
    VersionFell {
        /** the record's */
        got: u64,
        /** the other's */
        parent: u64,
    },
    /// A parent of an older manifest version that came too late.
    #[error(
        "a parent of round {round} under manifest version {version}; this version merges older ones up to round {last}"
    )]
    OldVersion {
        /** the parent's round */
        round: Round,
        /** its version */
        version: u64,
        /** the last round of an older version */
        last: Round,
    },
    /// A momentum checkpoint that is not the state which the merge hash covers.
    #[error("the merge hash is {got}, with this checkpoint it would be {want}")]
    Covered {
        /** what it says */
        got: MergeHash,
        /** what follows from the parents and the checkpoint's hash */
        want: MergeHash,
    },
    /// A privacy claim that takes back what the one before it says.
    #[error("the privacy claim's {what} is {got}, in the author's claim before it {before}; {rule}")]
    Claim {
        /** which number */
        what: &'static str,
        /** what it says */
        got: u64,
        /** what the one before says */
        before: u64,
        /** the rule */
        rule: &'static str,
    },
    /// A release of something that is not the named round.
    #[error("the release names round {got}, its parent is of round {want:?}")]
    Release {
        /** what it says */
        got: Round,
        /** the parent's */
        want: Option<Round>,
    },
    /// A release of somebody else's update.
    #[error("the release names an update of {member}; a member releases its own alone")]
    ForeignRelease {
        /** whose */
        member: MemberId,
    },
}

impl RuleError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotUpdate { .. } => "RULE-001",
            Self::OwnParent { .. } => "RULE-003",
            Self::Clock { .. } => "RULE-004",
            Self::Round { .. } => "RULE-005",
            Self::Phase { .. } => "RULE-006",
            Self::Window { .. } => "RULE-007",
            Self::Weight { .. } => "RULE-008",
            Self::Codec { .. } => "RULE-009",
            Self::Length { .. } => "RULE-010",
            Self::Release { .. } => "RULE-011",
            Self::VersionFell { .. } => "RULE-017",
            Self::OldVersion { .. } => "RULE-018",
            Self::State { .. } => "RULE-014",
            Self::Author { .. } => "RULE-015",
            Self::ForeignRelease { .. } => "RULE-016",
            Self::Covered { .. } => "RULE-019",
            Self::Claim { .. } => "RULE-020",
            Self::Incarnation { .. } => "INC-002",
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

/// Checks the first record of a later incarnation against `prev`, the record that it names as the one before.
///
/// # Errors
/// That one is by somebody else, or not of an earlier incarnation.
pub fn check_opening(member: MemberId, incarnation: Incarnation, prev: &Parent) -> Result<(), RuleError> {
    if prev.member == member && prev.incarnation < incarnation {
        return Ok(());
    }
    Err(RuleError::Incarnation { member, incarnation, got_member: prev.member, got: prev.incarnation })
}

/// Checks a record against the records it builds on. `prev` is the one it names as the one before; `parents` are those of
/// `record.parents`, in that order; `policy` is the one of the manifest version that the record names; `payload_len` [bytes]
/// is that of its layout and codec. `None` where one is not known: what cannot be said without it is left out. `since` is the
/// round of the first update of the record's feed under the manifest version that the record names, if one came before it.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(
    record: &Record,
    prev: Option<Parent>,
    parents: &[Option<Parent>],
    (policy, payload_len): (&Policy, u64),
    since: Option<Round>,
) -> Result<(), RuleError> {
    check_clock(record, prev, parents)?;
    check_versions(record, prev, parents)?;
    match &record.spec {
        Spec::Update(update) => {
            check_update(record, update, parents, policy, payload_len)?;
            check_old(record, parents, last_of_old(policy, since.unwrap_or(update.round)))?;
            claim::check(update, prev.and_then(|prev| prev.claim), policy)
        }
        Spec::Release(release) => match parents.first() {
            Some(Some(parent)) if parent.round != Some(release.round) => {
                Err(RuleError::Release { got: release.round, want: parent.round })
            }
            Some(Some(parent)) if parent.member != record.member => {
                Err(RuleError::ForeignRelease { member: parent.member })
            }
            _ => Ok(()),
        },
        Spec::Evidence(_) | Spec::Fault(_) | Spec::Close(_) | Spec::Other(_) => Ok(()),
    }
}

/// The clock is 1 + the largest of the record before and of the parents, 1 without any. An unknown one can make it larger, never
/// smaller.
fn check_clock(record: &Record, prev: Option<Parent>, parents: &[Option<Parent>]) -> Result<(), RuleError> {
    let got = record.clock;
    let want = prev.iter().chain(parents.iter().flatten()).map(|one| one.clock).max().unwrap_or_default().next();
    let complete = record.prev.is_some() == prev.is_some() && parents.iter().all(Option::is_some);
    if got < want || (complete && got != want) { Err(RuleError::Clock { got, want }) } else { Ok(()) }
}

/// The manifest version is not older than those of the records it builds on. Within a feed that is the feed's own rule.
fn check_versions(record: &Record, prev: Option<Parent>, parents: &[Option<Parent>]) -> Result<(), RuleError> {
    let got = record.manifest_version;
    let before = prev.iter().filter(|_| record.seq == Seq(0)).chain(parents.iter().flatten());
    match before.map(|one| one.manifest_version).find(|version| got < *version) {
        Some(parent) => Err(RuleError::VersionFell { got, parent }),
        None => Ok(()),
    }
}

/// The last round up to which a member still merges what was published under an older manifest version than its own, where
/// its first update under its version is of round `since`: what was on its way when the version came counts for a window, and
/// then no more.
#[must_use]
pub fn last_of_old(policy: &Policy, since: Round) -> Round {
    Round(since.0.saturating_add(policy.lead()))
}

fn check_old(record: &Record, parents: &[Option<Parent>], last: Round) -> Result<(), RuleError> {
    let old = parents.iter().flatten().filter(|parent| parent.manifest_version < record.manifest_version);
    match old.filter_map(|parent| Some((parent.round?, parent.manifest_version))).find(|(round, _)| *round > last) {
        Some((round, version)) => Err(RuleError::OldVersion { round, version, last }),
        None => Ok(()),
    }
}

fn check_update(
    record: &Record,
    update: &Update,
    parents: &[Option<Parent>],
    policy: &Policy,
    payload_len: u64,
) -> Result<(), RuleError> {
    let rounds = rounds(record, parents)?;
    let known: Vec<Round> = rounds.iter().flatten().copied().collect();
    let unknown = rounds.len() - known.len();
    let own = parents.iter().flatten().find(|parent| parent.member == record.member).and_then(|parent| parent.round);
    let (least, most) = merge::rounds_possible(policy, own, &known, unknown);
    if update.round < least {
        return Err(RuleError::Round { got: update.round, want: least });
    }
    if let Some(want) = most.filter(|most| update.round > *most) {
        return Err(RuleError::Round { got: update.round, want });
    }
    let common = merge::common_round(policy, known).filter(|_| unknown == 0);
    if let Some(base) = own.or(common) {
        for (place, round) in rounds.iter().enumerate().filter_map(|(place, round)| Some((place, (*round)?))) {
            let want = merge::weight(&policy.ages, base, round).ok_or(RuleError::Window { round, base })?;
            let got = update.weights.get(place).copied();
            if got != Some(want) {
                return Err(RuleError::Weight { got, round, want });
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
    state::check(record, update, parents, policy)
}

/// The known parents' rounds, in order; all updates, an own one before the record.
fn rounds(record: &Record, parents: &[Option<Parent>]) -> Result<Vec<Option<Round>>, RuleError> {
    let mut rounds = Vec::with_capacity(parents.len());
    for (parent, Reference { record: id, .. }) in parents.iter().zip(&record.parents) {
        let Some(parent) = parent else {
            rounds.push(None);
            continue;
        };
        let before = (parent.incarnation, parent.seq) < (record.incarnation, record.seq);
        if parent.member == record.member && !before {
            return Err(RuleError::OwnParent { parent: *id });
        }
        rounds.push(Some(parent.round.ok_or(RuleError::NotUpdate { parent: *id })?));
    }
    Ok(rounds)
}
