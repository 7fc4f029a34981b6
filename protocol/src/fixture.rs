//! Networks and records for tests: every key and id follows from small numbers.
#![allow(clippy::expect_used, reason = "for tests, whose inputs are known")]

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::{
    admit::drawable,
    base::{BlobHash, Incarnation, Lamport, MemberId, MergeHash, RecordId, Round, Seq, TransportId, UnixSeconds},
    code::{AuthorKey, blob_hash},
    draw::{self, Look, Seed},
    feed::{Body, Checked, Record, Reference, Skip, SkipReason, Spec, Update, sign},
    manifest::{
        ADAPTER_PART, AdapterSpec, Chain, Codec, Factor, LoraRule, Manifest, Member, MergeRule, Policy, Role,
        SignedManifest, Steps, TensorSpec,
    },
};

/// The author key number `n`.
#[must_use]
pub fn author(n: u64) -> AuthorKey {
    key("author", n)
}

/// The governor key number `n`.
#[must_use]
pub fn governor(n: u64) -> AuthorKey {
    key("governor", n)
}

fn key(what: &str, n: u64) -> AuthorKey {
    AuthorKey::from_seed(blake3::hash(format!("fixture {what} {n}").as_bytes()).as_bytes())
}

/// The transport id number `n`: as long as an Ed25519 peer id, though no key belongs to it.
#[must_use]
pub fn transport(n: u64) -> TransportId {
    let digest = blake3::hash(format!("fixture transport {n}").as_bytes());
    TransportId([&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20], digest.as_bytes().as_slice()].concat())
}

/// One projection of rank 2: A [2, 8] and B [2, 6], 28 values; `start` is not computed.
#[must_use]
pub fn adapter() -> AdapterSpec {
    let tensor = |name: &str, factor, rows, columns| TensorSpec { name: name.into(), factor, rows, columns };
    AdapterSpec {
        rank: 2,
        alpha: 4,
        seed: 7,
        start: [0; 32],
        tensors: vec![
            tensor("layers.0.q_proj.lora_A.weight", Factor::A, 2, 8),
            tensor("layers.0.q_proj.lora_B.weight", Factor::B, 2, 6),
        ],
    }
}

/// A small policy: both factors always, draw 3, momentum 1/2, BFP16, 1 to 32 steps, no last round.
#[must_use]
pub fn policy() -> Policy {
    Policy {
        base_model: [0xba; 32],
        adapter: adapter(),
        lora_rule: LoraRule::Both,
        merge: MergeRule::Mean,
        momentum: 32_768,
        ages: vec![65_536, 46_341, 37_837, 32_768],
        draw: 3,
        norm_bound: 65_536,
        reach: 4 * 65_536,
        codec: Codec::Bfp16,
        rounds: 0,
        steps: Steps { min: 1, max: 32 },
        round_ms: 0,
        checkpoint_every: 0,
        keep_rounds: 0,
        parts: vec![ADAPTER_PART.into()],
        witnesses: None,
        checks: None,
        privacy: None,
    }
}

/// Member number `n`, in the role of a member, with transport id number `n`.
#[must_use]
pub fn member(n: u64) -> Member {
    let author_key = author(n).public();
    Member {
        id: MemberId::of(&author_key),
        label: format!("silo-{n}"),
        author_key,
        transport: vec![transport(n)],
        role: Role::Member,
        next: None,
        rank: None,
    }
}

/// A genesis with the members 0 to `members` - 1 and one governor, number 0.
#[must_use]
pub fn genesis(members: u64, policy: Policy) -> Manifest {
    let mut members: Vec<Member> = (0..members).map(member).collect();
    members.sort_by_key(|member| member.id);
    Manifest {
        network: None,
        version: 0,
        prev: None,
        governors: vec![governor(0).public()],
        threshold: 1,
        members,
        cuts: Vec::new(),
        policy,
        handovers: Vec::new(),
    }
}

/// The signed bytes of a manifest with the votes of these governors.
///
/// # Panics
/// The manifest breaks a rule of its own.
#[must_use]
pub fn signed(manifest: Manifest, governors: &[u64]) -> Bytes {
    let mut signed = SignedManifest::new(manifest).expect("a valid manifest");
    governors.iter().for_each(|&n| signed.vote(&governor(n)));
    signed.to_bytes()
}

/// The chain of [`genesis`] alone.
///
/// # Panics
/// The policy breaks a rule.
#[must_use]
pub fn chain(members: u64, policy: Policy) -> Chain {
    Chain::genesis(signed(genesis(members, policy), &[0])).expect("a valid genesis")
}

/// The next version of the chain, before any change to it.
#[must_use]
pub fn next(chain: &Chain) -> Manifest {
    let mut next = chain.current().clone();
    next.network = Some(chain.network());
    next.version += 1;
    next.prev = Some(chain.current_hash());
    next.handovers.clear();
    next
}

/// Writes one member's feed.
#[derive(Debug, Clone)]
pub struct Author {
    /// Its number.
    pub n: u64,
    /// The number of its author key; its own, until it changes.
    pub key: u64,
    /// Its id.
    pub id: MemberId,
    /// In which incarnation it writes.
    pub incarnation: Incarnation,
    head: Option<(Incarnation, Seq, RecordId, Lamport)>,
    /// What its next draw is made from, if it is of the incarnation it writes in.
    seed: Option<(Incarnation, Seed)>,
    /// Its updates.
    own: BTreeSet<RecordId>,
}

impl Author {
    /// Member number `n` with an empty feed.
    #[must_use]
    pub fn new(n: u64) -> Self {
        Self { n, key: n, id: member(n).id, incarnation: Incarnation(0), head: None, seed: None, own: BTreeSet::new() }
    }

    /// Goes on under another key, in a feed of its own.
    pub fn hand_over(&mut self, key: u64) {
        (self.key, self.incarnation) = (key, self.incarnation.next());
    }

    /// An unsigned record in the next place, for the newest manifest, body and codec as an update has them. An update that passes
    /// nobody over is made to account for its draw: whom it does not merge it calls banned.
    #[must_use]
    pub fn draft(&self, chain: &Chain, parents: &[&Checked], mut spec: Spec) -> Record {
        if let Spec::Update(update) = &mut spec
            && update.skipped.is_empty()
        {
            update.skipped = self.passed_over(chain, parents);
        }
        let is_update = matches!(spec, Spec::Update(_));
        let before = parents.iter().map(|parent| parent.record().clock).chain(self.head.map(|head| head.3)).max();
        let here = self.head.filter(|head| head.0 == self.incarnation);
        let seq = here.map_or(Seq(0), |head| head.1.next());
        let parents = references(chain.current(), parents);
        let name = format!("fixture body {} {} {seq}", self.n, self.incarnation);
        Record {
            network: chain.network(),
            member: self.id,
            key: author(self.key).public(),
            incarnation: self.incarnation,
            seq,
            prev: self.head.map(|head| head.2),
            manifest_version: chain.current().version,
            manifest_hash: chain.current_hash(),
            clock: before.map_or(Lamport(1), Lamport::next),
            claimed_time: UnixSeconds(1_700_000_040),
            body: is_update.then(|| Body { hash: blob_hash(name.as_bytes()), length: 66 }),
            codec: is_update.then_some(chain.current().policy.codec),
            parents,
            spec,
            seen: None,
        }
    }

    /// Whom the draw names before as many are merged as it draws, and who is none of `parents`.
    fn passed_over(&self, chain: &Chain, parents: &[&Checked]) -> Vec<Skip> {
        let manifest = chain.current();
        let merged = |member: &MemberId| parents.iter().any(|parent| parent.record().member == *member);
        let seed = self.seed.as_ref().filter(|(incarnation, _)| *incarnation == self.incarnation);
        let seed = seed.map(|(_, seed)| seed.clone()).unwrap_or_default();
        let order = draw::order(&chain.network(), &self.id, self.incarnation, &seed, &drawable(manifest));
        let mut skipped = Vec::new();
        draw::walk(&order, manifest.policy.draw, merged(&self.id), |member| {
            if merged(member) {
                return Some(Look::Fetched);
            }
            let member = manifest.place_of(member)?;
            skipped.push(Skip { member, reason: SkipReason::Banned, record: None });
            Some(Look::Passed)
        });
        skipped
    }

    /// Signs a record in the next place and goes on from it.
    ///
    /// # Panics
    /// The record breaks a rule of form.
    pub fn write(&mut self, record: Record) -> Checked {
        let checked = sign(record, &author(self.key)).expect("a well-formed record");
        let Record { incarnation, seq, clock, .. } = *checked.record();
        let record = checked.record();
        if let Spec::Update(update) = &record.spec {
            let merged =
                record.parents.iter().map(|parent| parent.record).filter(|id| !self.own.contains(id)).collect();
            self.seed = Some((incarnation, Seed { round: update.round, merged }));
            self.own.insert(checked.id());
        }
        self.head = Some((incarnation, seq, checked.id(), clock));
        checked
    }

    /// Signs and returns an update of `round` that merged `parents` with weight 1024 each.
    pub fn update(&mut self, chain: &Chain, round: u64, parents: &[&Checked]) -> Checked {
        let spec = Spec::Update(update(chain, round, parents.len()));
        self.write(self.draft(chain, parents, spec))
    }
}

/// Records as a record under this version names them.
///
/// # Panics
/// One is by nobody in its list.
#[must_use]
pub fn references(manifest: &Manifest, records: &[&Checked]) -> Vec<Reference> {
    let place = |checked: &Checked| manifest.place_of(&checked.record().member).expect("a member");
    let mut references: Vec<Reference> =
        records.iter().map(|checked| Reference { member: place(checked), record: checked.id() }).collect();
    references.sort_unstable_by_key(|reference| reference.member);
    references
}

/// The spec of an update.
#[must_use]
pub fn update(chain: &Chain, round: u64, parents: usize) -> Update {
    Update {
        round: Round(round),
        phase: chain.current().policy.lora_rule.phase(Round(round)),
        weights: vec![1024; parents],
        merge: MergeHash([0x3e; 32]),
        skipped: Vec::new(),
        steps: 8,
        examples: 64,
        loss_before_micro: Some(2_400_000),
        loss_after_micro: Some(2_300_000),
        privacy: None,
        dataset: None,
        state: None,
        checked: Vec::new(),
    }
}

/// A body of this hash and length.
#[must_use]
pub fn body(bytes: &[u8]) -> Body {
    Body { hash: BlobHash(*blake3::hash(bytes).as_bytes()), length: bytes.len() as u64 }
}
