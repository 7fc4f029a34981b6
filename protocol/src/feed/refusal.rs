//! Why a record, payload or presence message was refused, and whose fault it is.

use super::Field;
use crate::{
    base::{Incarnation, Lamport, ManifestHash, MemberId, NetworkId, RecordId, Round, Seq, TransportId, limit},
    code::{SignError, cbor::CborError},
    manifest::Standing,
};

/// Whose fault a refusal is; decides gossip validation and scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever handed it over: an honest node would not have forwarded it.
    Sender,
    /// The author signed something wrong: nobody else could have made it.
    Author,
    /// Nobody: late, duplicate, or not yet understandable.
    Nobody,
}

/// Why something was refused; every variant says what came and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not strict CBOR, or not of the expected shape.
    #[error("not well-formed: {0}")]
    Cbor(#[from] CborError),
    /// A version or kind that this program does not know. Said, never skipped in silence.
    #[error("{what} {got} is unknown to this program: update it")]
    Unsupported {
        /** of what */
        what: &'static str,
        /** which */
        got: u64,
    },
    /// Of another network.
    #[error("of network {got}, wanted {wanted}")]
    Network {
        /** its network */
        got: NetworkId,
        /** ours */
        wanted: NetworkId,
    },
    /// Made under a manifest version that is not held yet.
    #[error("made under manifest version {got}; {held} is the newest held: fetch manifests first")]
    NeedsManifest {
        /** which */
        got: u64,
        /** our newest */
        held: u64,
    },
    /// Made under another manifest of a held version.
    #[error("manifest version {version} has hash {wanted}, the record says {got}")]
    Manifest {
        /** which */
        version: u64,
        /** in the record */
        got: ManifestHash,
        /** in the chain */
        wanted: ManifestHash,
    },
    /// By someone who was no participant of that version.
    #[error("{member} is not in manifest version {version}")]
    Stranger {
        /** who */
        member: MemberId,
        /** in which version */
        version: u64,
    },
    /// By a participant that may not publish.
    #[error(
        "{member} is no member, but observer, relay or archivist, in manifest version {version}, and only members publish"
    )]
    Role {
        /** who */
        member: MemberId,
        /** in which version */
        version: u64,
    },
    /// Under another key than the manifest says.
    #[error("{member} signs with {wanted}, the record names {got}")]
    Key {
        /** whose */
        member: MemberId,
        /** in the record */
        got: String,
        /** in the manifest */
        wanted: String,
    },
    /// After the place up to which the member's records stand, or another record at that place.
    #[error("records of {member} in incarnation {incarnation} stand {stands}; this is seq {seq}")]
    Cut {
        /** whose */
        member: MemberId,
        /** in which incarnation */
        incarnation: Incarnation,
        /** the record's place */
        seq: Seq,
        /** up to where they stand */
        stands: Standing,
    },
    /// After the place at which the member's key was handed over, or another record at that place.
    #[error(
        "records of {member} under its keys before manifest version {version} stand {stands} in incarnation {incarnation}, by \
         the handover; this is seq {seq}"
    )]
    HandedOver {
        /** whose */
        member: MemberId,
        /** in which incarnation */
        incarnation: Incarnation,
        /** the record's place */
        seq: Seq,
        /** the version that brings the new key */
        version: u64,
        /** up to where they stand */
        stands: Standing,
    },
    /// A record under a new key in an incarnation of the keys before.
    #[error(
        "incarnation {got} of {member}; since the handover in manifest version {version} its records are of incarnations above \
         {ended}"
    )]
    EarlierKeys {
        /** whose */
        member: MemberId,
        /** the record's */
        got: Incarnation,
        /** the last one of the keys before */
        ended: Incarnation,
        /** the version that brings the new key */
        version: u64,
    },
    /// A field that breaks a rule.
    #[error("{field}: got {got}, wanted {wanted}")]
    Field {
        /** which */
        field: Field,
        /** what came */
        got: String,
        /** the rule */
        wanted: &'static str,
    },
    /// The signature is not of this key over these bytes.
    #[error("{0}")]
    Signature(#[from] SignError),
    /// Offered to the feed of another member or incarnation.
    #[error("a record of {got_member}.{got}, offered to the feed {member}.{incarnation}")]
    OtherFeed {
        /** the record's author */
        got_member: MemberId,
        /** the record's incarnation */
        got: Incarnation,
        /** the feed's author */
        member: MemberId,
        /** the feed's incarnation */
        incarnation: Incarnation,
    },
    /// The clock stands still or goes back.
    #[error("seq {seq} has clock {got}, the record before or a parent has {before}")]
    Clock {
        /** the record's place */
        seq: Seq,
        /** its clock */
        got: Lamport,
        /** the clock it must exceed */
        before: Lamport,
    },
    /// A feed goes back to an older manifest version.
    #[error("seq {seq} was made under manifest version {got}, the record before under {before}")]
    VersionFell {
        /** the record's place */
        seq: Seq,
        /** its version */
        got: u64,
        /** the version before */
        before: u64,
    },
    /// The round of an update does not exceed that of the update before.
    #[error("seq {seq} publishes round {got}, the update before it published round {before}")]
    RoundFell {
        /** the record's place */
        seq: Seq,
        /** its round */
        got: Round,
        /** the round before */
        before: Round,
    },
    /// One update is released twice.
    #[error("seq {seq} releases update {update}, which an earlier record of the feed released")]
    ReleasedTwice {
        /** the record's place */
        seq: Seq,
        /** the update */
        update: RecordId,
    },
    /// Too many records of a kind between two updates.
    #[error("seq {seq} is one of more than {max} {kind} between two updates", max = limit::BETWEEN_UPDATES)]
    TooMany {
        /** the record's place */
        seq: Seq,
        /** of what */
        kind: &'static str,
    },
    /// Something follows a close.
    #[error("seq {seq} follows the close of the feed")]
    Closed {
        /** the record's place */
        seq: Seq,
    },
    /// It contradicts the feed, but the record that proves it is not at hand.
    #[error("seq {seq} contradicts record {held}, whose bytes are not at hand")]
    Unproved {
        /** the record's place */
        seq: Seq,
        /** the record it contradicts */
        held: RecordId,
    },
    /// Two records that may both be honest.
    #[error("evidence form {form}: the two records do not contradict each other in this way")]
    NoContradiction {
        /** as the bundle says */
        form: u64,
    },
    /// A bundle in which nothing shows that a rule was broken.
    #[error("the bundle shows no broken rule of record {record}")]
    NoFault {
        /** of which record */
        record: RecordId,
    },
    /// The evidence in the body convicts someone else, or elsewhere, than the record says.
    #[error("the evidence convicts {got}, the record says {wanted}")]
    OtherAccused {
        /** by the body */
        got: MemberId,
        /** by the record */
        wanted: MemberId,
    },
    /// A transport key that the manifest does not give to this member.
    #[error("{peer:?} is no transport key of {member}")]
    Transport {
        /** whose */
        member: MemberId,
        /** which */
        peer: TransportId,
    },
    /// By someone who is no participant of our newest manifest version.
    #[error("{member} is not in manifest version {version}, the newest held")]
    NotListed {
        /** who */
        member: MemberId,
        /** our newest version */
        version: u64,
    },
    /// A presence message with too many or too long addresses.
    #[error("{got} addresses, the longest of {longest} bytes; at most 16 of 1 to 256 are allowed")]
    Addresses {
        /** how many */
        got: usize,
        /** bytes */
        longest: usize,
    },
}

impl Refusal {
    /// A stable code, such as `SIG-003` or `FEED-002`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cbor(error) => error.code(),
            Self::Signature(error) => error.code(),
            Self::Field { field, .. } => field.code(),
            Self::Unsupported { .. } => "REC-001",
            Self::Network { .. } => "REC-002",
            Self::NeedsManifest { .. } => "REC-003",
            Self::Manifest { .. } => "REC-004",
            Self::Stranger { .. } => "REC-005",
            Self::Role { .. } => "REC-006",
            Self::Key { .. } => "REC-007",
            Self::Cut { .. } | Self::HandedOver { .. } => "REC-008",
            Self::EarlierKeys { .. } => "REC-029",
            Self::OtherFeed { .. } => "FEED-001",
            Self::Clock { .. } => "FEED-002",
            Self::VersionFell { .. } => "FEED-003",
            Self::Closed { .. } => "FEED-004",
            Self::Unproved { .. } => "FEED-005",
            Self::NoContradiction { .. } => "FEED-006",
            Self::OtherAccused { .. } => "FEED-007",
            Self::RoundFell { .. } => "FEED-008",
            Self::ReleasedTwice { .. } => "FEED-009",
            Self::TooMany { .. } => "FEED-010",
            Self::NoFault { .. } => "FEED-011",
            Self::Transport { .. } => "PRES-001",
            Self::Addresses { .. } => "PRES-002",
            Self::NotListed { .. } => "PRES-003",
        }
    }

    /// The manifest version that must be held before it can be judged, if that is what is missing.
    #[must_use]
    pub const fn needs_version(&self) -> Option<u64> {
        if let Self::NeedsManifest { got, .. } = self { Some(*got) } else { None }
    }

    /// Whose fault it is. What is refused before its signature was looked at may have been made by anyone; but every honest
    /// node refuses it likewise and forwards none of it.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Cbor(_)
            | Self::Signature(_)
            | Self::Field { .. }
            | Self::Network { .. }
            | Self::Manifest { .. }
            | Self::Stranger { .. }
            | Self::Role { .. }
            | Self::Key { .. }
            | Self::EarlierKeys { .. }
            | Self::NoContradiction { .. }
            | Self::NoFault { .. }
            | Self::Addresses { .. } => Blame::Sender,
            Self::Clock { .. }
            | Self::VersionFell { .. }
            | Self::Closed { .. }
            | Self::OtherAccused { .. }
            | Self::RoundFell { .. }
            | Self::ReleasedTwice { .. }
            | Self::TooMany { .. } => Blame::Author,
            // The sender may hold an older or a newer manifest chain than we do.
            Self::Unsupported { .. }
            | Self::NeedsManifest { .. }
            | Self::NotListed { .. }
            | Self::Transport { .. }
            | Self::Cut { .. }
            | Self::HandedOver { .. }
            | Self::OtherFeed { .. }
            | Self::Unproved { .. } => Blame::Nobody,
        }
    }
}
