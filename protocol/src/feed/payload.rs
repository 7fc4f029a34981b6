//! The encoding of a record's payload and of the specs in it. Keys are documented in [`record`](super::record).

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Body, Close, EvidenceSpec, FaultSpec, Flaw, Other, Privacy, Record, Reference, Refusal, Release, Skip, SkipReason,
    Spec, Update,
};
use crate::{
    base::{BlobHash, Incarnation, Lamport, ManifestHash, MemberId, NetworkId, RecordId, Seq, UnixSeconds},
    code::{
        PublicKey,
        cbor::{self, CborError},
        map::{map, numbers},
    },
    manifest::Codec,
};

/// The version of the record's encoding.
const VERSION: u64 = 1;

/// A payload as it stands on the wire; `T` is the spec of its kind.
pub(super) struct Payload<T> {
    v: u64,
    network: NetworkId,
    kind: u64,
    member: MemberId,
    key: [u8; 32],
    incarnation: Incarnation,
    seq: Seq,
    prev: Option<RecordId>,
    manifest_version: u64,
    manifest_hash: ManifestHash,
    clock: Lamport,
    claimed_time: UnixSeconds,
    body_hash: Option<BlobHash>,
    body_length: Option<u64>,
    codec: Option<Codec>,
    parents: Vec<Reference>,
    spec: T,
    seen: Option<BlobHash>,
}

map! { Payload<T> {
    [0 v] [1 network] [2 kind] [3 member] [4 key raw] [5 incarnation] [6 seq] [7 prev ?] [8 manifest_version]
    [9 manifest_hash] [10 clock] [11 claimed_time] [12 body_hash ?] [13 body_length ?] [14 codec ?] [15 parents] [16 spec]
    [17 seen ?]
} }
map! { Update {
    [0 round] [1 phase] [2 weights] [3 merge] [4 skipped] [5 steps] [6 examples] [7 loss_before_micro ?]
    [8 loss_after_micro ?] [9 privacy ?] [10 dataset ? raw] [11 state ?] [12 checked list]
} }
map! { Release { [0 round] [1 label] } }
map! { EvidenceSpec { [0 accused] [1 incarnation] [2 seq] } }
map! { CloseSpec { [0 reason] } }
map! { FaultSpec { [0 accused] [1 incarnation] [2 seq] [3 record] [4 flaw] } }
map! { Body { [0 hash] [1 length] } }
map! { Skip { [0 member] [1 reason] [2 record ?] } }
map! { Reference { [0 member] [1 record] } }
map! { Privacy { [0 sigma_milli] [1 clip_milli] [2 rate_micro] [3 steps] [4 epsilon_milli] [5 delta_log10_milli] } }
numbers! { SkipReason { Absent = 0, Stale = 1, Unreachable = 2, Distance = 3, Refused = 4, Banned = 5 } }
numbers! { Flaw { Rule = 0, Payload = 1, Merge = 2 } }
numbers! { Close { Finished = 0, Left = 1 } }

struct CloseSpec {
    reason: Close,
}

/// The spec of an unknown kind.
struct Item(Vec<u8>);

impl Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: serde_cbor::Value = cbor::known(&self.0).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(cbor::encode(&serde_cbor::Value::deserialize(deserializer)?)))
    }
}

/// What the first three fields of a strict payload say, network and kind: enough to refuse most foreign ones at little cost.
pub(super) fn begin(payload: &[u8]) -> Result<(NetworkId, u64), Refusal> {
    let version = cbor::version(payload)?;
    if version != VERSION {
        return Err(Refusal::Unsupported { what: "record version", got: version });
    }
    Ok(cbor::network_and_kind(payload)?)
}

/// A decoded payload, and the key in it, of which nothing is known.
pub(super) struct Unkeyed {
    /// All but the key.
    pub(super) draft: Draft,
    /// The key as it came.
    pub(super) key: [u8; 32],
}

/// A record but for its key.
pub(super) struct Draft(Payload<Spec>);

/// Decodes a payload that passed [`cbor::strict`] and whose beginning is known.
pub(super) fn decode(payload: &[u8], kind: u64) -> Result<Unkeyed, Refusal> {
    decode_by(payload, kind, false)
}

/// Decodes a payload that [`decode`] had decoded before: it is not compared with its re-encoding again.
pub(super) fn decode_known(payload: &[u8], kind: u64) -> Result<Unkeyed, Refusal> {
    decode_by(payload, kind, true)
}

fn decode_by(payload: &[u8], kind: u64, known: bool) -> Result<Unkeyed, Refusal> {
    let payload = match kind {
        0 => typed::<Update>(payload, known)?.with(Spec::Update),
        1 => typed::<Release>(payload, known)?.with(Spec::Release),
        2 => typed::<EvidenceSpec>(payload, known)?.with(Spec::Evidence),
        3 => typed::<CloseSpec>(payload, known)?.with(|spec| Spec::Close(spec.reason)),
        4 => typed::<FaultSpec>(payload, known)?.with(Spec::Fault),
        kind => typed::<Item>(payload, known)?.with(|item| Spec::Other(Other { kind, item: item.0 })),
    };
    if payload.body_hash.is_some() != payload.body_length.is_some() {
        return Err(super::rules::body_half());
    }
    Ok(Unkeyed { key: payload.key, draft: Draft(payload) })
}

fn typed<T: DeserializeOwned + Serialize>(payload: &[u8], known: bool) -> Result<Payload<T>, CborError> {
    if known { cbor::known(payload) } else { cbor::typed(payload) }
}

impl<T> Payload<T> {
    fn with<U>(self, spec: impl FnOnce(T) -> U) -> Payload<U> {
        Payload {
            v: self.v,
            network: self.network,
            kind: self.kind,
            member: self.member,
            key: self.key,
            incarnation: self.incarnation,
            seq: self.seq,
            prev: self.prev,
            manifest_version: self.manifest_version,
            manifest_hash: self.manifest_hash,
            clock: self.clock,
            claimed_time: self.claimed_time,
            body_hash: self.body_hash,
            body_length: self.body_length,
            codec: self.codec,
            parents: self.parents,
            spec: spec(self.spec),
            seen: self.seen,
        }
    }
}

impl Draft {
    pub(super) fn member(&self) -> MemberId {
        self.0.member
    }

    pub(super) fn manifest(&self) -> (u64, ManifestHash) {
        (self.0.manifest_version, self.0.manifest_hash)
    }

    pub(super) fn with_key(self, key: PublicKey) -> Record {
        let body = self.0.body_hash.zip(self.0.body_length).map(|(hash, length)| Body { hash, length });
        Record {
            network: self.0.network,
            member: self.0.member,
            key,
            incarnation: self.0.incarnation,
            seq: self.0.seq,
            prev: self.0.prev,
            manifest_version: self.0.manifest_version,
            manifest_hash: self.0.manifest_hash,
            clock: self.0.clock,
            claimed_time: self.0.claimed_time,
            body,
            codec: self.0.codec,
            parents: self.0.parents,
            spec: self.0.spec,
            seen: self.0.seen,
        }
    }
}

impl Record {
    /// The bytes that its author signs.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        match &self.spec {
            Spec::Update(spec) => cbor::encode(&self.payload_with(spec)),
            Spec::Release(spec) => cbor::encode(&self.payload_with(spec)),
            Spec::Evidence(spec) => cbor::encode(&self.payload_with(spec)),
            Spec::Close(reason) => cbor::encode(&self.payload_with(&CloseSpec { reason: *reason })),
            Spec::Fault(spec) => cbor::encode(&self.payload_with(spec)),
            Spec::Other(other) => cbor::encode(&self.payload_with(&Item(other.item.clone()))),
        }
    }

    fn payload_with<T>(&self, spec: T) -> Payload<T> {
        Payload {
            v: VERSION,
            network: self.network,
            kind: self.spec.number(),
            member: self.member,
            key: self.key.to_bytes(),
            incarnation: self.incarnation,
            seq: self.seq,
            prev: self.prev,
            manifest_version: self.manifest_version,
            manifest_hash: self.manifest_hash,
            clock: self.clock,
            claimed_time: self.claimed_time,
            body_hash: self.body.map(|body| body.hash),
            body_length: self.body.map(|body| body.length),
            codec: self.codec,
            parents: self.parents.clone(),
            spec,
            seen: self.seen,
        }
    }
}
