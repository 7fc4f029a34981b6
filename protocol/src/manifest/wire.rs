//! The encoding of a manifest: a map with the keys 0 v (1) · 1 net · 2 version · 3 prev · 4 governors · 5 threshold ·
//! 6 members · 7 cuts · 8 policy · 9 handovers, where 1 and 3 are absent in the genesis, and 9 if there are none.
//!
//! Member: 0 id · 1 label · 2 author key · 3 transport ids · 4 role · 5 next key's hash, optional · 6 rank, optional. Cut and handover: 0 member ·
//! 1 incarnation · 2 `[seq, id]`, absent if nothing of the incarnation stands; a handover's 3 log `{0 size · 1 root}`, optional. Policy: 0 base model · 1 adapter · 2 LoRA rule · 3 merge rule · 4 draw · 5 norm
//! bound · 6 codec · 7 rounds · 8 steps · 9 round ms · 10 checkpoint every · 11 keep rounds · 12 parts · 13 witnesses, optional ·
//! 14 checks, optional · 15 privacy, optional. Privacy: 0 −log₁₀ δ·1000 · 1 the most ε·1000.
//! Merge rule: 0 kind (1 mean) · 1 momentum · 2 ages · 3 reach.
//! Adapter: 0 rank · 1 alpha · 2 seed · 3 start · 4 tensors. Tensor: 0 name · 1 factor · 2 rows · 3 columns. LoRA rule:
//! 0 kind (0 both, 1 alternate, 2 FFA) · 1 period, with alternate only. Steps: 0 min · 1 max.

use super::{
    AdapterSpec, Codec, Cut, Factor, Handover, LogEnd, LoraRule, Manifest, ManifestError, Member, MergeRule, Phase,
    Policy, PrivacyTerms, Role, Steps, TensorSpec,
    rules::{governors_fit, members_fit},
};
use crate::{
    base::{KeyHash, ManifestHash, MemberId, NetworkId, TransportId},
    code::{
        PublicKey,
        cbor::{self, Bounds, CborError},
        map::{Raw, map, numbers},
    },
};

/// The version of the manifest's encoding.
const VERSION: u64 = 1;

/// A manifest whose keys were not looked at yet.
pub(super) struct Draft {
    v: u64,
    pub(super) network: Option<NetworkId>,
    pub(super) version: u64,
    pub(super) prev: Option<ManifestHash>,
    governors: Vec<Raw<32>>,
    threshold: u64,
    members: Vec<DraftMember>,
    cuts: Vec<Cut>,
    policy: Policy,
    handovers: Option<Handovers>,
}

/// A list that is left out where it would be empty: one encoding.
struct Handovers(Vec<Handover>);

struct DraftMember {
    id: MemberId,
    label: String,
    author_key: [u8; 32],
    transport: Vec<TransportId>,
    role: Role,
    next: Option<KeyHash>,
    rank: Option<u64>,
}

map! { Draft {
    [0 v] [1 network ?] [2 version] [3 prev ?] [4 governors] [5 threshold] [6 members] [7 cuts] [8 policy]
    [9 handovers ?]
} }
map! { DraftMember { [0 id] [1 label] [2 author_key raw] [3 transport] [4 role] [5 next ?] [6 rank ?] } }
map! { Cut { [0 member] [1 incarnation] [2 last ?] } }
map! { Handover { [0 member] [1 incarnation] [2 last ?] [3 log ?] } }
map! { LogEnd { [0 size] [1 root raw] } }
map! { DraftPolicy {
    [0 base_model raw] [1 adapter] [2 lora_rule] [3 merge] [4 draw] [5 norm_bound] [6 codec] [7 rounds] [8 steps]
    [9 round_ms] [10 checkpoint_every] [11 keep_rounds] [12 parts] [13 witnesses ?] [14 checks ?]
    [15 privacy ?]
} }
map! { PrivacyTerms { [0 delta_log10_milli] [1 epsilon_milli] } }
map! { DraftMerge { [0 kind] [1 momentum] [2 ages] [3 reach] } }
map! { AdapterSpec { [0 rank] [1 alpha] [2 seed] [3 start raw] [4 tensors] } }
map! { TensorSpec { [0 name] [1 factor] [2 rows] [3 columns] } }
map! { Steps { [0 min] [1 max] } }
map! { DraftRule { [0 kind] [1 period ?] } }
numbers! { Role { Member = 0, Observer = 1, Relay = 2, Archivist = 3 } }
numbers! { Factor { A = 0, B = 1, Dense = 2 } }
numbers! { Phase { Both = 0, A = 1, B = 2 } }
numbers! { MergeRule { Mean = 1 } }
numbers! { Codec { Bfp16 = 0, Bfp8 = 1 } }

/// A policy as it is written: what belongs to the merge rule stands in a map of its own.
struct DraftPolicy {
    base_model: [u8; 32],
    adapter: AdapterSpec,
    lora_rule: LoraRule,
    merge: DraftMerge,
    draw: u64,
    norm_bound: u64,
    codec: Codec,
    rounds: u64,
    steps: Steps,
    round_ms: u64,
    checkpoint_every: u64,
    keep_rounds: u64,
    parts: Vec<String>,
    witnesses: Option<u64>,
    checks: Option<u64>,
    privacy: Option<PrivacyTerms>,
}

struct DraftMerge {
    kind: MergeRule,
    momentum: u64,
    ages: Vec<u64>,
    reach: u64,
}

impl serde::Serialize for Policy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { base_model, lora_rule, draw, norm_bound, codec, rounds, steps, round_ms, .. } = *self;
        let Self { checkpoint_every, keep_rounds, witnesses, checks, privacy, .. } = *self;
        let (kind, momentum, ages, reach) = (self.merge, self.momentum, self.ages.clone(), self.reach);
        let merge = DraftMerge { kind, momentum, ages, reach };
        let (adapter, parts) = (self.adapter.clone(), self.parts.clone());
        let draft = DraftPolicy {
            base_model,
            adapter,
            lora_rule,
            merge,
            draw,
            norm_bound,
            codec,
            rounds,
            steps,
            round_ms,
            checkpoint_every,
            keep_rounds,
            parts,
            witnesses,
            checks,
            privacy,
        };
        draft.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Policy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let draft = DraftPolicy::deserialize(deserializer)?;
        let DraftPolicy { base_model, adapter, lora_rule, merge, draw, norm_bound, codec, rounds, .. } = draft;
        let DraftPolicy { steps, round_ms, checkpoint_every, keep_rounds, parts, witnesses, checks, privacy, .. } =
            draft;
        let DraftMerge { kind: merge, momentum, ages, reach } = merge;
        Ok(Self {
            base_model,
            adapter,
            lora_rule,
            merge,
            momentum,
            ages,
            draw,
            norm_bound,
            reach,
            codec,
            rounds,
            steps,
            round_ms,
            checkpoint_every,
            keep_rounds,
            parts,
            witnesses,
            checks,
            privacy,
        })
    }
}

struct DraftRule {
    kind: u64,
    period: Option<u64>,
}

impl serde::Serialize for Handovers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Handovers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::deserialize(deserializer)?;
        if list.is_empty() { Err(serde::de::Error::custom("no handovers are no list")) } else { Ok(Self(list)) }
    }
}

impl serde::Serialize for LoraRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, period) = match *self {
            Self::Both => (0, None),
            Self::Alternate(period) => (1, Some(period)),
            Self::Ffa => (2, None),
        };
        DraftRule { kind, period }.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for LoraRule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match DraftRule::deserialize(deserializer)? {
            DraftRule { kind: 0, period: None } => Ok(Self::Both),
            DraftRule { kind: 1, period: Some(period) } => Ok(Self::Alternate(period)),
            DraftRule { kind: 2, period: None } => Ok(Self::Ffa),
            DraftRule { kind, .. } => Err(serde::de::Error::custom(format_args!("no LoRA rule {kind} of this shape"))),
        }
    }
}

impl Draft {
    /// Decodes a payload.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, ManifestError> {
        cbor::strict(payload, Bounds::MANIFEST)?;
        let v = cbor::version(payload)?;
        if v != VERSION {
            return Err(ManifestError::Unsupported { got: v });
        }
        Ok(cbor::typed(payload)?)
    }

    /// Admits every key. This is the costly part, so the numbers of keys are bounded first.
    pub(super) fn admit(self) -> Result<Manifest, ManifestError> {
        governors_fit(self.governors.len())?;
        members_fit(self.members.len())?;
        let admit =
            |key: [u8; 32]| PublicKey::admit(&key).map_err(|why| ManifestError::Key { key: hex::encode(key), why });
        let governors = self.governors.into_iter().map(|key| admit(key.0)).collect::<Result<_, _>>()?;
        let member = |draft: DraftMember| {
            let DraftMember { id, label, author_key, transport, role, next, rank } = draft;
            Ok(Member { id, label, author_key: admit(author_key)?, transport, role, next, rank })
        };
        let members = self.members.into_iter().map(member).collect::<Result<_, ManifestError>>()?;
        let Self { v: _, network, version, prev, threshold, cuts, policy, handovers, .. } = self;
        let handovers = handovers.map(|list| list.0).unwrap_or_default();
        Ok(Manifest { network, version, prev, governors, threshold, members, cuts, policy, handovers })
    }
}

impl Manifest {
    /// The bytes that governors sign.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let member = |member: &Member| DraftMember {
            id: member.id,
            label: member.label.clone(),
            author_key: member.author_key.to_bytes(),
            transport: member.transport.clone(),
            role: member.role,
            next: member.next,
            rank: member.rank,
        };
        cbor::encode(&Draft {
            v: VERSION,
            network: self.network,
            version: self.version,
            prev: self.prev,
            governors: self.governors.iter().map(|key| Raw(key.to_bytes())).collect(),
            threshold: self.threshold,
            members: self.members.iter().map(member).collect(),
            cuts: self.cuts.clone(),
            policy: self.policy.clone(),
            handovers: Some(self.handovers.clone()).filter(|list| !list.is_empty()).map(Handovers),
        })
    }

    /// Decodes a payload and checks the rules that it must keep by itself.
    ///
    /// # Errors
    /// Not strict, an inadmissible key, or the first rule that it breaks.
    pub fn parse(payload: &[u8]) -> Result<Self, ManifestError> {
        let manifest = Draft::decode(payload)?.admit()?;
        manifest.check()?;
        Ok(manifest)
    }
}

impl From<CborError> for ManifestError {
    fn from(error: CborError) -> Self {
        Self::Cbor(error)
    }
}
