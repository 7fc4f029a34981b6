//! What any type of the wire is read from is what it is written as.

use std::fmt::Debug;

use chorale_protocol::{
    base::{BlobHash, Incarnation, MemberId, RecordId, Seq, TransportId},
    code::cbor::{self, Bounds},
    feed::{
        Body, Close, EvidenceForm, EvidenceSpec, FaultSpec, Flaw, Privacy, Reference, Release, Skip, SkipReason, Update,
    },
    manifest::{
        AdapterSpec, Codec, Cut, Factor, Handover, LogEnd, LoraRule, MergeRule, Phase, Policy, PrivacyTerms, Role,
        Steps, TensorSpec,
    },
    wire::Have,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{choices::Choices, refused};

/// One choice, the type; then the bytes.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let kind = usize::from(choices.byte());
    READERS[kind % READERS.len()].1(choices.0)
}

macro_rules! readers {
    ($($name:literal $type:ty),+ $(,)?) => {
        /// Every type, by a name.
        pub const READERS: &[(&str, fn(&[u8]) -> bool)] = &[$(($name, both::<$type>)),+];
    };
}

readers! {
    "update" Update,
    "release" Release,
    "accused" EvidenceSpec,
    "body" Body,
    "skip" Skip,
    "privacy" Privacy,
    "reason" SkipReason,
    "close" Close,
    "form" EvidenceForm,
    "have" Have,
    "haves" Vec<Have>,
    "policy" Policy,
    "adapter" AdapterSpec,
    "tensor" TensorSpec,
    "tensors" Vec<TensorSpec>,
    "factor" Factor,
    "rule" LoraRule,
    "merge" MergeRule,
    "codec" Codec,
    "phase" Phase,
    "role" Role,
    "steps" Steps,
    "cut" Cut,
    "cuts" Vec<Cut>,
    "head" (Incarnation, Seq, RecordId),
    "transport" TransportId,
    "blob" BlobHash,
    "members" Vec<MemberId>,
    "text" String,
    "reference" Reference,
    "fault" FaultSpec,
    "flaw" Flaw,
    "terms" PrivacyTerms,
    "handovers" Vec<Handover>,
    "log end" LogEnd,
}

fn both<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8]) -> bool {
    match cbor::decode::<T>(bytes, Bounds::RECORD) {
        Ok(value) => {
            assert_eq!(cbor::encode(&value), bytes, "{value:?}");
            let again = cbor::decode::<T>(&cbor::encode(&value), Bounds::RECORD).unwrap();
            assert_eq!(format!("{again:?}"), format!("{value:?}"));
            let general: serde_cbor::Value = serde_cbor::from_slice(bytes).unwrap();
            assert_eq!(serde_cbor::to_vec(&general).unwrap(), bytes, "{value:?}");
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}
