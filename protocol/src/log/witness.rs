//! What a witness answers (c2sp.org/tlog-witness). The decision is pure: the caller holds each log's head, replaces it in one
//! durable step together with the note, and only then sends the cosignature.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Checkpoint, Keyring, NOTE_BYTES, Note, NoteError, NoteSignature, Origin, ProofError, TreeHash, Verified,
    checkpoint::{decimal, hash},
    cosign, verify_consistency,
};
use crate::{base::MemberId, code::AuthorKey};

/// Hashes of a consistency proof.
pub const PROOF_LINES: usize = 63;
/// Bytes of a request: the old size, [`PROOF_LINES`] hashes, a blank line and a note.
pub const REQUEST_BYTES: usize = 32 + PROOF_LINES * 45 + 1 + NOTE_BYTES;
/// Bytes of an answer.
const ANSWER_BYTES: usize = 512;

/// "Cosign this; here is why it continues what you hold."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Leaves of the head that the witness is thought to hold; 0 for none.
    pub old: u64,
    /// From there to the new checkpoint.
    pub proof: Vec<TreeHash>,
    /// The new checkpoint, signed by the log's owner.
    pub note: Note,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    /// The request has another form.
    #[error("not a request: {why}")]
    Request {
        /** the rule */
        why: &'static str,
    },
    /// The note is malformed, or not the owner's.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The checkpoint is signed with an earlier key of the log's owner.
    #[error("the owner signed with a key that was handed over: whatever it signs now is not the owner's")]
    Former,
    /// The witness's own log.
    #[error("a member does not witness its own log")]
    Own,
    /// Another head is held. The owner can ask again from there.
    #[error("a head of {size} leaves is held")]
    Conflict {
        /** its leaves */
        size: u64,
    },
    /// Another root was signed for the very size that is held: with the note held, it proves that the log was split.
    #[error("two roots of one log at {size} leaves: {held} is held, {got} came")]
    Split {
        /** leaves of both */
        size: u64,
        /** root that is held */
        held: TreeHash,
        /** root that came */
        got: TreeHash,
    },
    /// The new checkpoint does not continue what is held.
    #[error("the proof: {0}")]
    Proof(#[from] ProofError),
}

impl WitnessRefusal {
    /// A stable code, such as `ASK-003`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Request { .. } => "ASK-001",
            Self::Note(error) => error.code(),
            Self::Own => "ASK-002",
            Self::Former => "ASK-005",
            Self::Conflict { .. } => "ASK-003",
            Self::Split { .. } => "ASK-004",
            Self::Proof(error) => error.code(),
        }
    }
}

/// A checkpoint that a witness may cosign once it has kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The checkpoint, its owner, and who cosigned it before.
    pub verified: Verified,
}

impl Accepted {
    /// What the witness holds from now on: size and root.
    #[must_use]
    pub const fn head(&self) -> (u64, TreeHash) {
        let Checkpoint { size, root, .. } = self.verified.checkpoint;
        (size, root)
    }

    /// What the witness keeps and archives hold: the request's checkpoint with its owner's signature and this cosignature. Lines of
    /// other keys are left out: they would let anybody make the note long, or one that an audit cannot check.
    ///
    /// # Errors
    /// Another request than the one that was judged.
    pub fn note(&self, request: &Request, keyring: &Keyring, cosignature: NoteSignature) -> Result<Note, NoteError> {
        let origin = self.verified.checkpoint.origin;
        let owner = request.note.signatures().iter().find(|line| keyring.is_owners(line, &origin));
        let mut note = Note::new(request.note.text().to_owned(), owner.ok_or(NoteError::Unsigned)?.clone());
        note.add(cosignature)?;
        Ok(note)
    }

    /// The cosignature, to be made when the new head is durable. `time_s` is in seconds since 1970.
    #[must_use]
    pub fn cosign(&self, witness: &Origin, key: &AuthorKey, time_s: u64) -> NoteSignature {
        cosign(&self.verified.checkpoint, witness, key, time_s)
    }
}

/// What a witness goes by that holds this note: the head in it, if the log's owner signed it with the key that it has now. Of what an
/// earlier key signed nothing holds but what the handover says.
///
/// # Errors
/// Another note than one that was accepted.
pub fn held_head(note: &[u8], keyring: &Keyring) -> Result<Option<(u64, TreeHash)>, NoteError> {
    match super::verify(note, keyring) {
        Ok(held) => Ok(held.present.then_some((held.checkpoint.size, held.checkpoint.root))),
        Err(NoteError::Part) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the witness `me`, which holds this head (leaves and root) of the log in question, may cosign. Without a head that the
/// owner's present key signed, it goes by the one that the handover to that key names, else by the empty log.
///
/// # Errors
/// Why not. [`WitnessRefusal::Split`] proves a split, together with the note that is held.
pub fn judge(
    me: &MemberId,
    held: Option<(u64, TreeHash)>,
    request: &Request,
    keyring: &Keyring,
) -> Result<Accepted, WitnessRefusal> {
    let verified = super::signed::verify_note(&request.note, keyring)?;
    if verified.member == *me {
        return Err(WitnessRefusal::Own);
    }
    if !verified.present {
        return Err(WitnessRefusal::Former);
    }
    let new = &verified.checkpoint;
    let (size, root) = held.or_else(|| keyring.start(&new.origin)).unwrap_or_else(|| (0, TreeHash::empty()));
    if new.size == size && new.root != root {
        return Err(WitnessRefusal::Split { size, held: root, got: new.root });
    }
    if request.old > new.size {
        return Err(ProofError::Order { old: request.old, new: new.size }.into());
    }
    if request.old != size {
        return Err(WitnessRefusal::Conflict { size });
    }
    verify_consistency(size, &root, new.size, &new.root, &request.proof)?;
    Ok(Accepted { verified })
}

impl Request {
    /// Reads `old <size>`, a line of base64 for each hash, a blank line, and the note.
    ///
    /// # Errors
    /// [`WitnessRefusal::Request`] or [`WitnessRefusal::Note`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WitnessRefusal> {
        let refuse = |why| WitnessRefusal::Request { why };
        if bytes.len() > REQUEST_BYTES {
            return Err(refuse("too many bytes"));
        }
        let blank = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or_else(|| refuse("no blank line"))?;
        let head = std::str::from_utf8(&bytes[..blank]).map_err(|_| refuse("no text before the blank line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old = old.ok_or_else(|| refuse("the first line is `old ` and a decimal number below 2^53"))?;
        let proof = lines.map(|line| hash(line).ok_or_else(|| refuse("a line of proof is the base64 of 32 bytes")));
        let proof = proof.collect::<Result<Vec<_>, _>>()?;
        if proof.len() > PROOF_LINES {
            return Err(refuse("more than 63 lines of proof"));
        }
        Ok(Self { old, proof, note: Note::parse(&bytes[blank + 2..])? })
    }

    /// As [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let proof: String = self.proof.iter().map(|hash| STANDARD.encode(hash.0) + "\n").collect();
        [format!("old {}\n{proof}\n", self.old).into_bytes(), self.note.to_bytes()].concat()
    }
}

/// What a witness sends back: a text of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The signature line of the witness; the asker adds it to its note.
    Cosigned(NoteSignature),
    /// `conflict <size>`: a head of as many leaves is held.
    Conflict(u64),
    /// `refused <code>`.
    Refused(String),
}

impl From<&WitnessRefusal> for Answer {
    fn from(refusal: &WitnessRefusal) -> Self {
        match refusal {
            WitnessRefusal::Conflict { size } => Self::Conflict(*size),
            other => Self::Refused(other.code().into()),
        }
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is none of the three.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let wrong = NoteError::Shape { why: "an answer is a signature line, `conflict <size>` or `refused <code>`" };
        if bytes.len() > ANSWER_BYTES {
            return Err(NoteError::TooLong { got: bytes.len() });
        }
        let line = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let line = line.filter(|line| !line.contains(|c: char| c.is_control())).ok_or_else(|| wrong.clone())?;
        if let Some(size) = line.strip_prefix("conflict ") {
            return decimal(size).map(Self::Conflict).ok_or(wrong);
        }
        match line.strip_prefix("refused ") {
            Some(code)
                if code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-') =>
            {
                Ok(Self::Refused(code.into()))
            }
            Some(_) => Err(wrong),
            None => NoteSignature::parse(line).map(Self::Cosigned),
        }
    }

    /// As [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Cosigned(signature) => signature.line(),
            Self::Conflict(size) => format!("conflict {size}\n"),
            Self::Refused(code) => format!("refused {code}\n"),
        }
        .into_bytes()
    }
}
