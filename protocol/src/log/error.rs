//! Why a proof or a note was refused.

use super::{NOTE_BYTES, SIGNATURES};

/// Why a proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf lies outside the tree.
    #[error("leaf {index} of a tree of {size}")]
    Index {
        /** the leaf */
        index: u64,
        /** leaves there are */
        size: u64,
    },
    /// The old tree is the larger one.
    #[error("a tree of {new} leaves cannot continue one of {old}")]
    Order {
        /** leaves of the old tree */
        old: u64,
        /** leaves of the new tree */
        new: u64,
    },
    /// Too few hashes or too many.
    #[error("a proof of {got} hashes; between these sizes it takes another number")]
    Length {
        /** hashes that came */
        got: usize,
    },
    /// It leads to another root.
    #[error("the proof does not lead to {which} root")]
    Root {
        /** which tree's */
        which: &'static str,
    },
}

impl ProofError {
    /// A stable code, such as `PRF-003`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Index { .. } => "PRF-001",
            Self::Order { .. } => "PRF-002",
            Self::Length { .. } => "PRF-003",
            Self::Root { .. } => "PRF-004",
        }
    }
}

/// Why a note, or the checkpoint in it, was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More bytes than a note may have.
    #[error("{got} bytes; a note has at most {NOTE_BYTES}")]
    TooLong {
        /** bytes that came */
        got: usize,
    },
    /// No UTF-8, or a control character other than the newline.
    #[error("not UTF-8, or with a control character (a note's lines end in a newline alone)")]
    Text,
    /// Not text, blank line and signature lines, each ended by a newline.
    #[error("not a note: {why}")]
    Shape {
        /** the rule */
        why: &'static str,
    },
    /// The name of a key is empty, or has a space or a plus sign.
    #[error("a key's name is empty, or has a space or a plus sign")]
    Name,
    /// What follows a key's name is not base64 of its id and a signature.
    #[error("a signature is not the base64 of a key id and 1 byte or more")]
    Base64,
    /// More signatures than a note may have.
    #[error("more than {SIGNATURES} signatures")]
    TooMany,
    /// Two signatures of one key.
    #[error("two signatures of the key {name}")]
    Twice {
        /** the key's name */
        name: String,
    },
    /// The text is not a checkpoint of three lines.
    #[error("not a checkpoint: {why}")]
    Checkpoint {
        /** the rule */
        why: &'static str,
    },
    /// The first line is no origin of this protocol.
    #[error("the origin is not chorale/<16 hexadecimal digits>/<16 hexadecimal digits>")]
    Origin,
    /// A log of another network.
    #[error("a log of another network: {got}")]
    Network {
        /** its origin */
        got: String,
    },
    /// The origin names no participant of any version of the manifest.
    #[error("no participant has the log {got}")]
    Stranger {
        /** its origin */
        got: String,
    },
    /// The log's owner has not signed.
    #[error("its owner has not signed it")]
    Unsigned,
    /// Its owner signed with a key that does not sign for this part of the log.
    #[error(
        "its owner's key signs for another part of the log: a handover in the manifest says where one key's part ends and the next one's begins"
    )]
    Part,
    /// A signature of a known key does not verify.
    #[error("the signature of {name} does not verify")]
    Signature {
        /** the key's name */
        name: String,
    },
    /// A cosignature is not a time up to 2^63 - 1 and 64 bytes.
    #[error("the cosignature of {name} is not a time below 2^63 and 64 bytes")]
    Cosignature {
        /** the key's name */
        name: String,
    },
}

impl NoteError {
    /// A stable code, such as `NOTE-003`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "NOTE-001",
            Self::Text => "NOTE-002",
            Self::Shape { .. } => "NOTE-003",
            Self::Name => "NOTE-004",
            Self::Base64 => "NOTE-005",
            Self::TooMany => "NOTE-006",
            Self::Twice { .. } => "NOTE-007",
            Self::Checkpoint { .. } => "NOTE-008",
            Self::Origin => "NOTE-009",
            Self::Network { .. } => "NOTE-010",
            Self::Stranger { .. } => "NOTE-011",
            Self::Unsigned => "NOTE-012",
            Self::Signature { .. } => "NOTE-013",
            Self::Cosignature { .. } => "NOTE-014",
            Self::Part => "NOTE-015",
        }
    }
}
