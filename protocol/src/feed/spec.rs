//! What a record says, by kind. Each is a map; its keys are the order of the fields, from 0, absent options omitted. A
//! close is a map with its reason under key 0.

use crate::{
    base::{BlobHash, Incarnation, MemberId, MergeHash, RecordId, Round, Seq},
    manifest::{Manifest, Phase},
};

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A trained adapter (0).
    Update = 0,
    /// A named, pinned publication (1).
    Release = 1,
    /// The proof that a member equivocated (2).
    Evidence = 2,
    /// The last record of a feed (3).
    Close = 3,
    /// A rule that a member broke (4).
    Fault = 4,
    /// One that this program does not know.
    Other,
}

/// The blob that a record describes. Its length is signed, so that nobody can lie about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// Plain BLAKE3.
    pub hash: BlobHash,
    /// Bytes.
    pub length: u64,
}

/// A record that another builds on, and whose it is. So what a record builds on is known as far as members go, be the other record
/// at hand or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Its author's place in the member list of the manifest version that the naming record is made under.
    pub member: u64,
    /// Its id.
    pub record: RecordId,
}

impl Reference {
    /// The references to records of these members, under this version.
    ///
    /// # Errors
    /// The version does not name one of them.
    pub fn all(records: &[(MemberId, RecordId)], manifest: &Manifest) -> Result<Vec<Self>, String> {
        let reference = |(author, record): &(MemberId, RecordId)| match manifest.place_of(author) {
            Some(member) => Ok(Self { member, record: *record }),
            None => Err(format!("{author} is not in manifest version {}", manifest.version)),
        };
        records.iter().map(reference).collect()
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "updates are the rule; a box would cost them an allocation each")]
pub enum Spec {
    /// A trained adapter; the body is its payload.
    Update(Update),
    /// A named publication; no body.
    Release(Release),
    /// An [`Evidence`](super::Evidence) bundle is the body.
    Evidence(EvidenceSpec),
    /// Nothing follows; no body.
    Close(Close),
    /// A member broke a rule; the body, if there is one, proves it.
    Fault(FaultSpec),
    /// Of a kind that this program does not know.
    Other(Other),
}

impl Spec {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Update(_) => Kind::Update,
            Self::Release(_) => Kind::Release,
            Self::Evidence(_) => Kind::Evidence,
            Self::Close(_) => Kind::Close,
            Self::Fault(_) => Kind::Fault,
            Self::Other(_) => Kind::Other,
        }
    }

    /// The wire number of its kind.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self {
            Self::Update(_) => 0,
            Self::Release(_) => 1,
            Self::Evidence(_) => 2,
            Self::Close(_) => 3,
            Self::Fault(_) => 4,
            Self::Other(other) => other.kind,
        }
    }
}

/// What a record of an unknown kind says. It has its place in its feed, is kept and passed on, and counts for nothing: a later
/// version of the protocol may add kinds without stopping the feeds of those who write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// The wire number of the kind, 5 or more.
    pub kind: u64,
    /// The spec: one strict CBOR item.
    pub item: Vec<u8>,
}

/// One round of one member: what was merged, and how it trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// One more than the own parent's round and the parents' common one, 1 without parents, at most the last round.
    pub round: Round,
    /// What trained: the policy's phase of this round.
    pub phase: Phase,
    /// Weight of each parent, in the order of the record's parents.
    pub weights: Vec<u64>,
    /// The merge that training started from.
    pub merge: MergeHash,
    /// Whom the draw named before the last one fetched and who was not merged, in draw order.
    pub skipped: Vec<Skip>,
    /// Local optimiser steps.
    pub steps: u64,
    /// Training examples, rounded up to a power of two.
    pub examples: u64,
    /// Loss of the merge on own held-out data, in millionths of a nat per token, if measured.
    pub loss_before_micro: Option<u64>,
    /// The same after training.
    pub loss_after_micro: Option<u64>,
    /// A differential-privacy claim.
    pub privacy: Option<Privacy>,
    /// Salted commitment to the training data.
    pub dataset: Option<[u8; 32]>,
    /// Checkpoint blob of the momentum state after this record's merge.
    pub state: Option<Body>,
    /// Updates of other members whose merges the author recomputed since its update before and found as they say, strictly ascending.
    pub checked: Vec<RecordId>,
}

/// A member that the draw named and that was not merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// Its place in the member list of the record's manifest version.
    pub member: u64,
    /// Why.
    pub reason: SkipReason,
    /// The member's update that is meant, where the reason speaks of one.
    pub record: Option<RecordId>,
}

/// Why a drawn member was not merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// No publication of it is known (0).
    Absent,
    /// Its newest publication is older than the window, or far ahead of the others (1).
    Stale,
    /// Its payload could not be fetched in time (2).
    Unreachable,
    /// Its payload lies farther than the policy's reach from the author's own last one (3).
    Distance,
    /// Its payload is malformed (4).
    Refused,
    /// It equivocated, or broke a rule (5).
    Banned,
}

impl SkipReason {
    /// Whether it speaks of a publication, not of the member.
    #[must_use]
    pub const fn is_of_record(self) -> bool {
        match self {
            Self::Stale | Self::Unreachable | Self::Distance | Self::Refused => true,
            Self::Absent | Self::Banned => false,
        }
    }

    /// In one word, as docs/PROTOCOL.md §3 has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Stale => "stale",
            Self::Unreachable => "unreachable",
            Self::Distance => "distance",
            Self::Refused => "refused",
            Self::Banned => "banned",
        }
    }
}

/// A differential-privacy claim: what all of the author's steps so far cost, as it says. Steps add Gaussian noise to clipped gradients
/// of a Poisson sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privacy {
    /// The largest of their noise multipliers σ, in thousandths.
    pub sigma_milli: u64,
    /// Clipping norm, in thousandths.
    pub clip_milli: u64,
    /// The smallest of their sampling rates, in millionths.
    pub rate_micro: u64,
    /// Noisy steps so far.
    pub steps: u64,
    /// ε so far, in thousandths.
    pub epsilon_milli: u64,
    /// −log₁₀ δ, in thousandths.
    pub delta_log10_milli: u64,
}

/// Names one update (the record's only parent) as worth keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The update's round.
    pub round: Round,
    /// What people call it: 1 to 64 of `a-z 0-9 . _ -`.
    pub label: String,
}

/// Whom the evidence in the body convicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceSpec {
    /// Who signed two histories.
    pub accused: MemberId,
    /// In which incarnation.
    pub incarnation: Incarnation,
    /// At which place.
    pub seq: Seq,
}

/// A record that breaks a rule, as another member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultSpec {
    /// Its author.
    pub accused: MemberId,
    /// In which incarnation.
    pub incarnation: Incarnation,
    /// At which place.
    pub seq: Seq,
    /// The record.
    pub record: RecordId,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// Whom a record accuses, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accusation {
    /// Of two histories.
    Evidence(EvidenceSpec),
    /// Of a broken rule.
    Fault(FaultSpec),
}

impl Accusation {
    /// Whom, and where.
    #[must_use]
    pub const fn place(&self) -> (MemberId, Incarnation, Seq) {
        match self {
            Self::Evidence(spec) => (spec.accused, spec.incarnation, spec.seq),
            Self::Fault(spec) => (spec.accused, spec.incarnation, spec.seq),
        }
    }
}

impl From<EvidenceSpec> for Accusation {
    fn from(spec: EvidenceSpec) -> Self {
        Self::Evidence(spec)
    }
}

impl From<FaultSpec> for Accusation {
    fn from(spec: FaultSpec) -> Self {
        Self::Fault(spec)
    }
}

/// What is wrong with a record, and so what must be at hand to check that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It breaks a rule of records (0): a [`FaultProof`](crate::admit::FaultProof) is the body.
    Rule,
    /// Its payload is not canonical (1): the payload shows it.
    Payload,
    /// Its merge is not that of the publications that it names, or it lies farther from it than the policy lets it, or in a frozen
    /// factor (2): a recomputation shows it.
    Merge,
}

impl Flaw {
    /// In one word, as docs/PROTOCOL.md §3 has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Payload => "payload",
            Self::Merge => "merge",
        }
    }
}

/// Why a feed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The last round was reached (0).
    Finished,
    /// The member leaves (1).
    Left,
}
