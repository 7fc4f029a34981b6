//! Cosignatures (c2sp.org/tlog-cosignature): "this was the largest consistent head of this log that I had seen by then".

use super::{
    Checkpoint, NoteError, NoteSignature, Origin,
    note::{Algorithm, key_id},
};
use crate::code::{AuthorKey, Domain, PublicKey, Signature};

/// The latest time that a cosignature may give, in seconds since 1970.
pub const COSIGN_TIME_MAX: u64 = (1 << 63) - 1;

/// A cosignature/v1 taken apart; whether it verifies is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature {
    /// Seconds since 1970, by the witness's clock.
    pub time_s: u64,
    /// Over the time and the text.
    pub signature: Signature,
}

impl Cosignature {
    /// Reads a signature line's bytes: the time as u64 big-endian, then the signature.
    ///
    /// # Errors
    /// [`NoteError::Cosignature`].
    pub fn parse(line: &NoteSignature) -> Result<Self, NoteError> {
        let wrong = || NoteError::Cosignature { name: line.name.clone() };
        let (time, signature) = line.bytes.split_first_chunk().ok_or_else(wrong)?;
        let time_s = u64::from_be_bytes(*time);
        let signature = Signature(signature.try_into().map_err(|_| wrong())?);
        if time_s > COSIGN_TIME_MAX { Err(wrong()) } else { Ok(Self { time_s, signature }) }
    }

    /// Whether `key` made it over a note's text.
    #[must_use]
    pub fn is_by(&self, key: &PublicKey, text: &str) -> bool {
        key.verify(Domain::Cosignature, &payload(self.time_s, text), &self.signature).is_ok()
    }
}

/// Cosigns a checkpoint as the owner of the log `witness`, who has judged it and has kept what it is about to vouch for.
/// `time_s` is in seconds since 1970 and is held at [`COSIGN_TIME_MAX`].
#[must_use]
pub fn cosign(checkpoint: &Checkpoint, witness: &Origin, key: &AuthorKey, time_s: u64) -> NoteSignature {
    let (name, time_s) = (witness.to_string(), time_s.min(COSIGN_TIME_MAX));
    let signature = key.sign(Domain::Cosignature, &payload(time_s, &checkpoint.text()));
    let id = key_id(&name, Algorithm::Cosignature, &key.public());
    NoteSignature { name, id, bytes: [time_s.to_be_bytes().as_slice(), &signature.0].concat() }
}

/// What follows the first line of the signed message.
fn payload(time_s: u64, text: &str) -> Vec<u8> {
    format!("time {time_s}\n{text}").into_bytes()
}
