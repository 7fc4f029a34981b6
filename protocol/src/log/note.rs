//! Signed notes (c2sp.org/signed-note): a text, a blank line, and a line for each signature.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::NoteError;
use crate::code::PublicKey;

/// Bytes of a note.
pub const NOTE_BYTES: usize = 16 << 10;
/// Signatures of a note: the owner's and those of 63 witnesses, which is the most that a policy asks for, leave room for keys
/// of other kinds. 100 lines of this protocol's own fit into [`NOTE_BYTES`].
pub const SIGNATURES: usize = 100;

/// A text and its signatures, of which only the form is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id: the first 4 bytes of SHA-256(name ‖ 0x0A ‖ algorithm ‖ key).
    pub id: [u8; 4],
    /// What the key's kind defines.
    pub bytes: Vec<u8>,
}

/// What a key signs with, by its number in a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Ed25519 over the note's text.
    Ed25519 = 1,
    /// A cosignature/v1.
    Cosignature = 4,
}

/// The first 4 bytes of SHA-256(name ‖ 0x0A ‖ algorithm ‖ key).
pub(super) fn key_id(name: &str, algorithm: Algorithm, key: &PublicKey) -> [u8; 4] {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', algorithm as u8])
        .chain_update(key.to_bytes())
        .finalize()
        .into();
    [a, b, c, d]
}

impl NoteSignature {
    /// The line, ended by a newline.
    #[must_use]
    pub fn line(&self) -> String {
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode([&self.id, self.bytes.as_slice()].concat()))
    }

    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// What of its form is wrong.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let shape = NoteError::Shape { why: "a signature line is a dash, a name and base64, with a space between" };
        let rest = line.strip_prefix("\u{2014} ").ok_or_else(|| shape.clone())?;
        let (name, text) = rest.split_once(' ').ok_or(shape)?;
        if name.is_empty() || name.contains(|c: char| c == '+' || c.is_whitespace()) {
            return Err(NoteError::Name);
        }
        let bytes = STANDARD.decode(text).map_err(|_| NoteError::Base64)?;
        match bytes.split_first_chunk() {
            Some((id, rest)) if !rest.is_empty() => Ok(Self { name: name.into(), id: *id, bytes: rest.into() }),
            _ => Err(NoteError::Base64),
        }
    }
}

impl Note {
    /// A note of a text that ends in a newline, and one signature.
    pub(super) fn new(text: String, signature: NoteSignature) -> Self {
        Self { text, signatures: vec![signature] }
    }

    /// Reads a note of at least one signature.
    ///
    /// # Errors
    /// What of its form is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES {
            return Err(NoteError::TooLong { got: bytes.len() });
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Text)?;
        if whole.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Text);
        }
        let shape = |why| NoteError::Shape { why };
        let (text, lines) = whole.rsplit_once("\n\n").ok_or_else(|| shape("no blank line"))?;
        let lines = lines.strip_suffix('\n').ok_or_else(|| shape("no newline at its end, or no signature"))?;
        let mut note = Self { text: format!("{text}\n"), signatures: Vec::new() };
        lines.split('\n').try_for_each(|line| note.add(NoteSignature::parse(line)?))?;
        Ok(note)
    }

    /// Adds a signature behind the others.
    ///
    /// # Errors
    /// It is one too many, or the key's second.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        if self.signatures.len() == SIGNATURES {
            return Err(NoteError::TooMany);
        }
        let same = |held: &NoteSignature| held.name == signature.name && held.id == signature.id;
        if self.signatures.iter().any(same) {
            return Err(NoteError::Twice { name: signature.name });
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// What is signed; it ends in a newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In the order of their lines.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The whole note.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines: String = self.signatures.iter().map(NoteSignature::line).collect();
        format!("{}\n{lines}", self.text).into_bytes()
    }
}
