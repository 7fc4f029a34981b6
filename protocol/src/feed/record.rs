//! A record: the signed header that travels for everything a member does.
//!
//! Envelope: CBOR `[payload: bstr, signature: bstr64]`. Payload: a map with the keys 0 v (1) · 1 net · 2 kind · 3 member ·
//! 4 key · 5 inc · 6 seq · 7 prev · 8 manifest version · 9 manifest hash · 10 clock · 11 claimed_time_s · 12 body hash ·
//! 13 body length · 14 codec (only with kind update) · 15 parents · 16 spec ·
//! 17 seen.

use bytes::Bytes;

use super::{
    Body, Reference, Refusal, Spec,
    payload::{Draft, Unkeyed, begin, decode, decode_known},
    rules,
};
use crate::{
    base::{BlobHash, Incarnation, Lamport, ManifestHash, MemberId, NetworkId, RecordId, Seq, UnixSeconds, limit},
    code::{
        AuthorKey, Context, Domain, Envelope, PublicKey,
        cbor::{self, Bounds},
        derive,
    },
    manifest::{Chain, Codec, Manifest, Role, Standing},
};

/// What a record's payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which network it belongs to.
    pub network: NetworkId,
    /// Who wrote it.
    pub member: MemberId,
    /// The key that signs it.
    pub key: PublicKey,
    /// Which of the member's feeds.
    pub incarnation: Incarnation,
    /// The place in it.
    pub seq: Seq,
    /// The record before; for seq 0 of a later incarnation the last known head of the one before; else absent.
    pub prev: Option<RecordId>,
    /// The manifest version the author acted under.
    pub manifest_version: u64,
    /// That version's hash.
    pub manifest_hash: ManifestHash,
    /// Greater than the clock of `prev` and of every parent.
    pub clock: Lamport,
    /// Claimed, rounded down to 60 s, never trusted.
    pub claimed_time: UnixSeconds,
    /// The blob it describes.
    pub body: Option<Body>,
    /// How the body is written, for updates.
    pub codec: Option<Codec>,
    /// The records it builds on, strictly ascending by their authors, so one of a member at most.
    pub parents: Vec<Reference>,
    /// What it says.
    pub spec: Spec,
    /// BLAKE3 of the newest cosigned checkpoint note, signatures included, that the author had. Nobody could foretell its
    /// cosignatures, so that the record is no older than they are.
    pub seen: Option<BlobHash>,
}

/// A record whose form, membership and signature were checked against the manifest chain. Only [`check`], [`check_stored`]
/// and [`sign`] make one. Its place in the feed is not yet known to be right: that is [`Feed`](super::Feed)'s to say.
#[derive(Debug, Clone)]
pub struct Checked {
    record: Record,
    id: RecordId,
    bytes: Bytes,
}

impl Checked {
    /// What it says.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The envelope as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Checks a foreign envelope, cheapest check first: strict form, network, version, membership, key, cut, signature.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(bytes: Bytes, chain: &Chain) -> Result<Checked, Refusal> {
    check_but(bytes, chain, Except::Nothing)
}

/// As [`check`] but for the signature: for records from the node's own store, which it had checked before.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_stored(bytes: Bytes, chain: &Chain) -> Result<Checked, Refusal> {
    check_but(bytes, chain, Except::Signature)
}

/// As [`check`] but for cuts and handovers: whether the author signed it as a participant, be it that it stands or not. For
/// audits.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_despite_cut(bytes: Bytes, chain: &Chain) -> Result<Checked, Refusal> {
    check_but(bytes, chain, Except::Cut)
}

/// As [`check_despite_cut`] but for the signature: for what a later record vouches for, or was checked before.
/// Void records are kept, too, where one that counts names them.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_unsigned(bytes: Bytes, chain: &Chain) -> Result<Checked, Refusal> {
    check_but(bytes, chain, Except::CutAndSignature)
}

/// The record of this id, which was checked before: the id vouches for every byte of the payload. `None` if it is another.
pub(crate) fn read_again(bytes: &Bytes, id: RecordId, chain: &Chain) -> Option<Record> {
    let Envelope { payload, .. } = Envelope::split(bytes, limit::RECORD_BYTES).ok()?;
    if id_of(&payload) != id {
        return None;
    }
    let (_, kind) = begin(&payload).ok()?;
    let Unkeyed { draft, key } = decode_known(&payload, kind).ok()?;
    let (_, author) = author(&draft, &key, chain).ok()?;
    Some(draft.with_key(author))
}

/// Which check to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Except {
    /// None.
    Nothing,
    /// The signature was checked before.
    Signature,
    /// What convicts a member need not stand: the cut came because of it.
    Cut,
    /// Both.
    CutAndSignature,
}

pub(super) fn check_but(bytes: Bytes, chain: &Chain, except: Except) -> Result<Checked, Refusal> {
    let Envelope { payload, signature } = Envelope::split(&bytes, limit::RECORD_BYTES)?;
    cbor::strict(&payload, Bounds::RECORD)?;
    let (network, kind) = begin(&payload)?;
    if network != chain.network() {
        return Err(Refusal::Network { got: network, wanted: chain.network() });
    }
    let Unkeyed { draft, key } = decode(&payload, kind)?;
    let (manifest, author) = author(&draft, &key, chain)?;
    let record = draft.with_key(author);
    keeps_incarnation(&record, chain)?;
    if matches!(except, Except::Nothing | Except::Signature) {
        stands(chain, record.standpoint(), || id_of(&payload))?;
    }
    rules::form(&record)?;
    rules::under(&record, manifest)?;
    if matches!(except, Except::Nothing | Except::Cut) {
        author.verify(Domain::Record, &payload, &signature)?;
    }
    Ok(Checked { record, id: id_of(&payload), bytes })
}

/// The id of the record in an envelope of which nothing else is known, its signature least of all; `None` if it is no envelope.
#[must_use]
pub fn peek_id(bytes: &Bytes) -> Option<RecordId> {
    Envelope::split(bytes, limit::RECORD_BYTES).ok().map(|envelope| id_of(&envelope.payload))
}

fn id_of(payload: &[u8]) -> RecordId {
    RecordId(derive(Context::RecordId, &[payload]))
}

/// The manifest that the record was made under, and its author's key there.
fn author<'a>(draft: &Draft, key: &[u8; 32], chain: &'a Chain) -> Result<(&'a Manifest, PublicKey), Refusal> {
    let (version, got) = draft.manifest();
    let Some((manifest, wanted)) = chain.at(version) else {
        return Err(Refusal::NeedsManifest { got: version, held: chain.current().version });
    };
    if got != wanted {
        return Err(Refusal::Manifest { version, got, wanted });
    }
    let member = draft.member();
    let author = manifest.member(&member).ok_or(Refusal::Stranger { member, version })?;
    if author.role != Role::Member {
        return Err(Refusal::Role { member, version });
    }
    if author.author_key.to_bytes() != *key {
        return Err(Refusal::Key { member, got: hex::encode(key), wanted: author.author_key.to_string() });
    }
    Ok((manifest, author.author_key))
}

/// A new key opens incarnations of its own: those up to the handover are the earlier keys'. Each key has so many.
fn keeps_incarnation(record: &Record, chain: &Chain) -> Result<(), Refusal> {
    let &Record { member, incarnation, manifest_version, .. } = record;
    if incarnation > chain.incarnations(&member, manifest_version).1 {
        return Err(rules::too_many_incarnations(incarnation));
    }
    let before = chain.handovers(&member).iter().filter(|(version, _)| *version <= manifest_version);
    match before.map(|(version, handover)| (handover.incarnation, *version)).max() {
        Some((ended, version)) if incarnation <= ended => {
            Err(Refusal::EarlierKeys { member, got: incarnation, ended, version })
        }
        _ => Ok(()),
    }
}

/// Where a record stands, and the manifest version that it names: what cuts and handovers go by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standpoint {
    pub(crate) member: MemberId,
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: Seq,
    pub(crate) manifest_version: u64,
}

impl Record {
    /// The records it builds on.
    pub fn parent_ids(&self) -> impl Iterator<Item = RecordId> + Clone {
        self.parents.iter().map(|parent| parent.record)
    }

    pub(crate) const fn standpoint(&self) -> Standpoint {
        let &Self { member, incarnation, seq, manifest_version, .. } = self;
        Standpoint { member, incarnation, seq, manifest_version }
    }
}

/// The record in this place is not cut off by the newest manifest, and does not lie behind a handover of its key.
pub(crate) fn stands(chain: &Chain, at: Standpoint, id: impl FnOnce() -> RecordId) -> Result<(), Refusal> {
    let Standpoint { member, incarnation, seq, .. } = at;
    let stands = chain.cut_of(&member, incarnation);
    if stands == Standing::Whole && chain.handovers(&member).is_empty() {
        return Ok(());
    }
    let id = id();
    if !stands.holds(seq, &id) {
        return Err(Refusal::Cut { member, incarnation, seq, stands });
    }
    match behind_handover(at, &id, chain) {
        Some((version, stands)) => Err(Refusal::HandedOver { member, incarnation, seq, version, stands }),
        None => Ok(()),
    }
}

/// The first handover that the record lies behind, by its version, and what stands of the feed by that.
pub(super) fn behind_handover(at: Standpoint, id: &RecordId, chain: &Chain) -> Option<(u64, Standing)> {
    let after = chain.handovers(&at.member).iter().filter(|(version, _)| *version > at.manifest_version);
    let standing = after.map(|(version, handover)| (*version, handover.standing(at.incarnation)));
    standing.into_iter().find(|(_, standing)| !standing.holds(at.seq, id))
}

/// Signs a record.
///
/// # Errors
/// The record breaks a rule of form (size, order, ranges), or names another key.
pub fn sign(record: Record, key: &AuthorKey) -> Result<Checked, Refusal> {
    if record.key != key.public() {
        let (got, wanted) = (record.key.to_string(), key.public().to_string());
        return Err(Refusal::Key { member: record.member, got, wanted });
    }
    rules::form(&record)?;
    let payload = record.payload();
    cbor::strict(&payload, Bounds::RECORD)?;
    let bytes = Envelope::seal(Domain::Record, &payload, key);
    Ok(Checked { id: id_of(&payload), record, bytes })
}
