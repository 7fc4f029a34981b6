//! A proof that a record is in a log, in one file (c2sp.org/tlog-proof).

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Note, NoteError, PROOF_LINES, ProofError, TreeHash, Verified,
    checkpoint::{decimal, hash},
    verify_inclusion,
};
use crate::base::limit::RECORD_BYTES;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1\n";
/// Bytes of such a file: header, the record, an index, hashes and a note.
pub const PROOF_FILE_BYTES: usize = 16_384 + PROOF_LINES * 45 + super::NOTE_BYTES;

/// Where in which log a record is. The file's extra data is the record's envelope, so that nothing else is needed but the
/// network's manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The record's envelope, which nothing vouches for until it is checked.
    pub record: Option<Vec<u8>>,
    /// Its leaf.
    pub index: u64,
    /// From the leaf to the checkpoint's root.
    pub path: Vec<TreeHash>,
    /// The checkpoint, signed and cosigned.
    pub note: Note,
}

/// Why a proof file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// The file has another form.
    #[error("not a proof: {0}")]
    Shape(&'static str),
    /// The checkpoint in it.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The path in it.
    #[error("the path: {0}")]
    Proof(#[from] ProofError),
}

impl ProofFileError {
    /// A stable code, such as `PRF-006`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Shape(_) => "PRF-006",
            Self::Note(error) => error.code(),
            Self::Proof(error) => error.code(),
        }
    }
}

impl ProofFile {
    /// Whether bytes begin as such a file does.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(HEADER.as_bytes())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofFileError::Shape`] or [`ProofFileError::Note`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let shape = |why| ProofFileError::Shape(why);
        if bytes.len() > PROOF_FILE_BYTES {
            return Err(shape("too many bytes"));
        }
        let rest = bytes.strip_prefix(HEADER.as_bytes()).ok_or_else(|| shape("another first line"))?;
        let blank = rest.windows(2).position(|pair| pair == b"\n\n").ok_or_else(|| shape("no blank line"))?;
        let head = std::str::from_utf8(&rest[..blank]).map_err(|_| shape("no text before the blank line"))?;
        let mut lines = head.split('\n').peekable();
        let extra = lines.peek().and_then(|line| line.strip_prefix("extra "));
        let record = extra.map(|text| STANDARD.decode(text).map_err(|_| shape("the extra data is no base64")));
        let record = record.transpose()?;
        if record.is_some() {
            lines.next();
        }
        if record.as_ref().is_some_and(|record| record.len() > RECORD_BYTES) {
            return Err(shape("the extra data is longer than a record"));
        }
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or_else(|| shape("a line of `index ` and a decimal number is wanted"))?;
        let path = lines.map(|line| hash(line).ok_or_else(|| shape("a line of the path is the base64 of 32 bytes")));
        let path = path.collect::<Result<Vec<_>, _>>()?;
        if path.len() > PROOF_LINES {
            return Err(shape("more than 63 hashes"));
        }
        Ok(Self { record, index, path, note: Note::parse(&rest[blank + 2..])? })
    }

    /// As [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let extra = self.record.as_ref().map(|record| format!("extra {}\n", STANDARD.encode(record)));
        let path: String = self.path.iter().map(|hash| STANDARD.encode(hash.0) + "\n").collect();
        let head = format!("{HEADER}{}index {}\n{path}\n", extra.unwrap_or_default(), self.index);
        [head.into_bytes(), self.note.to_bytes()].concat()
    }

    /// Checks the note under a keyring, and that the leaf of `envelope` is in its tree.
    ///
    /// # Errors
    /// [`ProofFileError::Note`] or [`ProofFileError::Proof`].
    pub fn verify(&self, envelope: &[u8], keyring: &super::Keyring) -> Result<Verified, ProofFileError> {
        let verified = super::signed::verify_note(&self.note, keyring)?;
        let head = &verified.checkpoint;
        verify_inclusion(&TreeHash::leaf(envelope), self.index, head.size, &head.root, &self.path)?;
        Ok(verified)
    }
}
