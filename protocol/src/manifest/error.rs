//! Why a manifest was refused.

use crate::{
    base::{ManifestHash, MemberId, NetworkId},
    code::{SignError, cbor::CborError},
};

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not strict CBOR, or not a manifest.
    #[error("not a manifest: {0}")]
    Cbor(CborError),
    /// A version of the encoding that this program does not know.
    #[error("manifest encoding {got}; this program knows 1: update it")]
    Unsupported {
        /** which */
        got: u64,
    },
    /// A key that may not sign.
    #[error("key {key}: {why}")]
    Key {
        /** hexadecimal */
        key: String,
        /** what is wrong with it */
        why: SignError,
    },
    /// Governors are too few, too many or out of order.
    #[error("governors: {why}")]
    Governors {
        /** the rule */
        why: &'static str,
    },
    /// The threshold is not more than half of the governors, or more than all.
    #[error("threshold {threshold} of {governors} governors; more than half and at most all are wanted")]
    Threshold {
        /** votes wanted */
        threshold: u64,
        /** governors there are */
        governors: usize,
    },
    /// Members are too many, out of order, or share what is each one's own.
    #[error("members: {why}")]
    Members {
        /** the rule */
        why: &'static str,
    },
    /// A member breaks a rule.
    #[error("member {member}: {why}")]
    Member {
        /** whose */
        member: MemberId,
        /** the rule */
        why: &'static str,
    },
    /// A new member's id is not that of its key.
    #[error("member {got} is new, so its id must be that of its author key, {wanted}")]
    MemberId {
        /** in the manifest */
        got: MemberId,
        /** of the key */
        wanted: MemberId,
    },
    /// Cuts are out of order.
    #[error("cuts: {why}")]
    Cuts {
        /** the rule */
        why: &'static str,
    },
    /// A cut of the version before is gone or was moved forward.
    #[error("the cut of {member} may stay or move back, not vanish or move forward")]
    Uncut {
        /** whose */
        member: MemberId,
    },
    /// A handover that is missing, superfluous or out of order.
    #[error("handover of {member}: {why}")]
    Handover {
        /** whose */
        member: MemberId,
        /** the rule */
        why: &'static str,
    },
    /// A member that published is dropped, or may publish no more, without a word on what stands.
    #[error("{member} publishes no more: a cut must say up to where its records stand")]
    Dropped {
        /** whose */
        member: MemberId,
    },
    /// An author key of the past.
    #[error("author key {key} of {member} was in use before: {why}")]
    UsedKey {
        /** whose it is now */
        member: MemberId,
        /** hexadecimal */
        key: String,
        /** the rule */
        why: &'static str,
    },
    /// A rank that the policy does not allow a member.
    #[error("member {member} publishes at rank {got}; the adapter's rank {wanted} is the only one so far")]
    Rank {
        /** whose */
        member: MemberId,
        /** in its entry */
        got: u64,
        /** the adapter's */
        wanted: u64,
    },
    /// A part of the payload that this program does not know.
    #[error("payloads have a part {name:?}, which this program does not know: update it")]
    Part {
        /** its name */
        name: String,
    },
    /// A policy value is out of range.
    #[error("policy: {why}")]
    Policy {
        /** the rule */
        why: &'static str,
    },
    /// The policy changes what a network may not change.
    #[error("the policy changes {what}; that needs a new network")]
    Frozen {
        /** which field */
        what: &'static str,
    },
    /// More votes than there may be governors of two versions.
    #[error("{got} votes, at most {limit} are allowed")]
    TooManyVotes {
        /** votes that came */
        got: usize,
        /** the bound */
        limit: usize,
    },
    /// Votes are not strictly ascending by governor.
    #[error("votes do not strictly ascend by governor: each may vote once")]
    VoteOrder,
    /// A vote's key may not sign.
    #[error("vote of {governor}: {why}")]
    VoteKey {
        /** hexadecimal */
        governor: String,
        /** what is wrong with it */
        why: SignError,
    },
    /// A vote does not verify.
    #[error("vote of {governor}: {why}")]
    Vote {
        /** hexadecimal */
        governor: String,
        /** what is wrong with it */
        why: SignError,
    },
    /// A vote by a key that governs neither version.
    #[error("vote of {governor}, who is no governor")]
    Stranger {
        /** hexadecimal */
        governor: String,
    },
    /// Too few votes.
    #[error("{got} of {whose} governors voted, {wanted} are wanted")]
    Votes {
        /** governors of which version */
        whose: &'static str,
        /** distinct votes */
        got: usize,
        /** the threshold */
        wanted: u64,
    },
    /// Not a genesis: version, network or predecessor are not as they must be.
    #[error("not a genesis: {why}")]
    Genesis {
        /** the rule */
        why: &'static str,
    },
    /// Of another network.
    #[error("manifest of network {got:?}, wanted {wanted}")]
    Network {
        /** its network; `None`: it names none, as a genesis does */
        got: Option<NetworkId>,
        /** ours */
        wanted: NetworkId,
    },
    /// This version is already held, with this very payload.
    #[error("version {version} is held already")]
    Held {
        /** which */
        version: u64,
    },
    /// Another payload of a version that is held: the governors have contradicted themselves, or this is no manifest.
    #[error("another version {version} is held already")]
    Conflict {
        /** which */
        version: u64,
    },
    /// A version after the next; those between are wanted first.
    #[error("version {got}, wanted {wanted} first")]
    Ahead {
        /** which came */
        got: u64,
        /** which is next */
        wanted: u64,
    },
    /// It names another predecessor.
    #[error("the predecessor is {got:?}, wanted {wanted}")]
    Prev {
        /** what it names */
        got: Option<ManifestHash>,
        /** the version held */
        wanted: ManifestHash,
    },
}

impl ManifestError {
    /// A stable code, such as `MAN-004`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.code(),
            Self::Key { why, .. } | Self::VoteKey { why, .. } | Self::Vote { why, .. } => why.code(),
            Self::Unsupported { .. } => "MAN-001",
            Self::Governors { .. } => "MAN-002",
            Self::Threshold { .. } => "MAN-003",
            Self::Members { .. } => "MAN-004",
            Self::Member { .. } => "MAN-005",
            Self::MemberId { .. } => "MAN-006",
            Self::Cuts { .. } => "MAN-007",
            Self::Uncut { .. } => "MAN-008",
            Self::Policy { .. } => "MAN-009",
            Self::Frozen { .. } => "MAN-010",
            Self::TooManyVotes { .. } => "MAN-011",
            Self::VoteOrder => "MAN-012",
            Self::Stranger { .. } => "MAN-013",
            Self::Votes { .. } => "MAN-014",
            Self::Genesis { .. } => "MAN-015",
            Self::Network { .. } => "MAN-016",
            Self::Held { .. } => "MAN-017",
            Self::Conflict { .. } => "MAN-018",
            Self::Ahead { .. } => "MAN-019",
            Self::Prev { .. } => "MAN-020",
            Self::Handover { .. } => "MAN-021",
            Self::Dropped { .. } => "MAN-022",
            Self::UsedKey { .. } => "MAN-023",
            Self::Rank { .. } => "MAN-025",
            Self::Part { .. } => "MAN-026",
        }
    }

    /// Whether it says only that the manifest came at the wrong time: nobody is at fault.
    #[must_use]
    pub const fn is_untimely(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::Ahead { .. } | Self::Unsupported { .. } | Self::Part { .. })
    }
}
