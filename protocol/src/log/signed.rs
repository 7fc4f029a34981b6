//! Checkpoints with the signatures of those who vouch for them.

use std::collections::BTreeMap;

use super::{
    Checkpoint, Cosignature, Keyring, Note, NoteError, NoteSignature, Origin,
    note::{Algorithm, key_id},
    origin::first,
};
use crate::{
    base::MemberId,
    code::{AuthorKey, Domain, PublicKey, Signature},
};

/// A checkpoint that its owner signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What is vouched for.
    pub checkpoint: Checkpoint,
    /// Whose log it is.
    pub member: MemberId,
    /// Whether the key signed it that the owner has now: an earlier one may be known to others since.
    pub present: bool,
    /// Who cosigned it and when, in seconds since 1970: ascending by member, each once with its earliest time, the owner
    /// never, and nobody by a key that was handed over: whoever got hold of that could give any time.
    pub cosigners: Vec<(MemberId, u64)>,
}

impl Verified {
    /// The earliest time by which `count` cosigners, 1 or more, had seen the checkpoint; `None` if there are not as many.
    #[must_use]
    pub fn seen_by(&self, count: usize) -> Option<u64> {
        let mut times: Vec<u64> = self.cosigners.iter().map(|&(_, time)| time).collect();
        times.sort_unstable();
        times.get(count.checked_sub(1)?).copied()
    }
}

/// Signs a checkpoint as its log's owner: a note of one signature.
#[must_use]
pub fn sign(checkpoint: &Checkpoint, key: &AuthorKey) -> Note {
    let name = checkpoint.origin.to_string();
    let signature = key.sign(Domain::Checkpoint(checkpoint.origin.network), payload(&checkpoint.text()));
    let id = key_id(&name, Algorithm::Ed25519, &key.public());
    Note::new(checkpoint.text(), NoteSignature { name, id, bytes: signature.0.to_vec() })
}

/// Verifies a note: a checkpoint of a participant's log, signed by its owner, with the key that signs for this part of it. Keys
/// that the ring does not know are passed over; no signature of a known one may be wrong.
///
/// # Errors
/// The first rule that it breaks.
pub fn verify(bytes: &[u8], keyring: &Keyring) -> Result<Verified, NoteError> {
    verify_note(&Note::parse(bytes)?, keyring)
}

pub(super) fn verify_note(note: &Note, keyring: &Keyring) -> Result<Verified, NoteError> {
    let checkpoint = Checkpoint::parse(note.text())?;
    let origin = checkpoint.origin;
    if origin.network != first(keyring.network().as_bytes()) {
        return Err(NoteError::Network { got: origin.to_string() });
    }
    let member = keyring.owner(&origin).ok_or_else(|| NoteError::Stranger { got: origin.to_string() })?;
    let (mut signed, mut present, mut elsewhere, mut cosigners) = (false, false, false, BTreeMap::new());
    for line in note.signatures() {
        match signer(line, note.text(), &origin, keyring)? {
            Some(Signer::Owner(key)) if keyring.signs_for(key, &checkpoint) => {
                signed = true;
                present |= keyring.is_present(key, &origin);
            }
            Some(Signer::Owner(_)) => elsewhere = true,
            Some(Signer::Witness(witness, _)) if witness == member => {}
            Some(Signer::Witness(witness, time)) => {
                let earliest = cosigners.entry(witness).or_insert(time);
                *earliest = time.min(*earliest);
            }
            Some(Signer::Former) | None => {}
        }
    }
    if !signed {
        return Err(if elsewhere { NoteError::Part } else { NoteError::Unsigned });
    }
    Ok(Verified { checkpoint, member, present, cosigners: cosigners.into_iter().collect() })
}

enum Signer<'a> {
    /// With this key.
    Owner(&'a PublicKey),
    /// At this time, with the key that it has now.
    Witness(MemberId, u64),
    /// A witness, with a key that was handed over.
    Former,
}

/// Whose signature a line is; `None` for a key that is not known.
fn signer<'a>(
    line: &NoteSignature,
    text: &str,
    origin: &Origin,
    keyring: &'a Keyring,
) -> Result<Option<Signer<'a>>, NoteError> {
    let Ok(name) = line.name.parse::<Origin>() else { return Ok(None) };
    let Some(member) = keyring.owner(&name) else { return Ok(None) };
    let mut wrong = None;
    if name == *origin {
        for key in keyring.keys(&name).filter(|key| key_id(&line.name, Algorithm::Ed25519, key) == line.id) {
            let signature = line.bytes.as_slice().try_into().map(Signature);
            let domain = Domain::Checkpoint(origin.network);
            if signature.is_ok_and(|signature| key.verify(domain, payload(text), &signature).is_ok()) {
                return Ok(Some(Signer::Owner(key)));
            }
            wrong = Some(NoteError::Signature { name: line.name.clone() });
        }
    }
    for key in keyring.keys(&name).filter(|key| key_id(&line.name, Algorithm::Cosignature, key) == line.id) {
        match Cosignature::parse(line) {
            Ok(cosignature) if cosignature.is_by(key, text) => {
                let present = keyring.is_present(key, &name);
                return Ok(Some(if present { Signer::Witness(member, cosignature.time_s) } else { Signer::Former }));
            }
            Ok(_) => wrong = Some(NoteError::Signature { name: line.name.clone() }),
            Err(error) => wrong = Some(error),
        }
    }
    wrong.map_or(Ok(None), Err)
}

/// What of a checkpoint's text comes after its domain, `chorale/<16 hexadecimal digits>/`.
fn payload(text: &str) -> &[u8] {
    text.as_bytes().get(DOMAIN_BYTES..).unwrap_or_default()
}

const DOMAIN_BYTES: usize = "chorale/".len() + 16 + 1;
