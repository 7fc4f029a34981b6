//! A network's keys and manifests, drawn from one seed.
#![allow(clippy::expect_used, reason = "for tests, whose inputs are known")]

use bytes::Bytes;
use chorale::train::{FakeOptions, FakeTrainer, Trainer};
use chorale_protocol::{
    adapter::{Layout, start_hash},
    base::{MemberId, TransportId},
    code::{AuthorKey, Context, derive},
    manifest::{
        ADAPTER_PART, AdapterSpec, Chain, Codec, LoraRule, Manifest, Member as ManifestMember, MergeRule, Policy, Role,
        SignedManifest, Steps,
    },
};
use libp2p::identity::Keypair;

/// What the members share.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Draws every key.
    pub seed: u64,
    /// Members of the genesis.
    pub members: usize,
    /// Values of the adapter.
    pub values: u64,
    /// The last round; 0: none.
    pub rounds: u64,
    /// Local steps of a round.
    pub steps: u64,
    /// Whether the policy has an outer momentum.
    pub momentum: bool,
    /// Rounds back that blobs are kept; 0: all.
    pub keep_rounds: u64,
    /// Others that must cosign a checkpoint; 0: none.
    pub witnesses: u64,
    /// Others' merges that a member recomputes a round.
    pub checks: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            seed: 1,
            members: 4,
            values: 4096,
            rounds: 0,
            steps: 4,
            momentum: true,
            keep_rounds: 0,
            witnesses: 0,
            checks: 1,
        }
    }
}

/// A network, with every key; keys beyond the genesis members' are there for newcomers.
///
/// Members train with the fake, unless another trainer's adapter is given.
#[derive(Debug, Clone)]
pub struct Network {
    shape: Shape,
    genesis: SignedManifest,
}

impl Network {
    /// Draws a network.
    ///
    /// # Panics
    /// The shape is out of bounds.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let fake = FakeTrainer::new(FakeOptions { values: shape.values, ..FakeOptions::default() });
        Self::of(shape, &fake)
    }

    /// Draws a network whose members train as `trainer` does.
    ///
    /// # Panics
    /// The shape is out of bounds.
    #[must_use]
    pub fn of(shape: Shape, trainer: &dyn Trainer) -> Self {
        let manifest = Manifest {
            network: None,
            version: 0,
            prev: None,
            governors: governors(&shape, shape.members),
            threshold: shape.members as u64 / 2 + 1,
            members: members(&shape, shape.members),
            cuts: Vec::new(),
            policy: policy(&shape, trainer),
            handovers: Vec::new(),
        };
        let mut genesis = SignedManifest::new(manifest).expect("a genesis within bounds");
        for index in 0..shape.members {
            genesis.vote(&author(&shape, index));
        }
        Self { shape, genesis }
    }

    /// What the members share.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The signed genesis.
    #[must_use]
    pub fn genesis(&self) -> Bytes {
        self.genesis.to_bytes()
    }

    /// The chain of the genesis alone.
    ///
    /// # Panics
    /// Never: the genesis was made by [`Self::new`].
    #[must_use]
    pub fn chain(&self) -> Chain {
        Chain::genesis(self.genesis()).expect("our own genesis")
    }

    /// Version 1, which admits one more member, signed by as many governors as it takes.
    ///
    /// # Panics
    /// Never: it follows from [`Self::new`].
    #[must_use]
    pub fn admit_one_more(&self) -> Bytes {
        self.amend(&self.chain(), |manifest| manifest.members = members(&self.shape, self.shape.members + 1))
    }

    /// The version after those of `chain` with this change, signed by as many governors as it takes.
    ///
    /// # Panics
    /// The change breaks a rule that a manifest must keep by itself.
    #[must_use]
    pub fn amend(&self, chain: &Chain, change: impl FnOnce(&mut Manifest)) -> Bytes {
        let mut manifest = Manifest {
            network: Some(chain.network()),
            version: chain.current().version + 1,
            prev: Some(chain.current_hash()),
            ..chain.current().clone()
        };
        change(&mut manifest);
        let mut signed = SignedManifest::new(manifest).expect("a version within bounds");
        for index in 0..=self.shape.members / 2 {
            signed.vote(&self.author(index));
        }
        signed.to_bytes()
    }

    /// A member's author key.
    #[must_use]
    pub fn author(&self, index: usize) -> AuthorKey {
        author(&self.shape, index)
    }

    /// A member's transport key.
    ///
    /// # Panics
    /// Never: any 32 bytes make a key.
    #[must_use]
    pub fn identity(&self, index: usize) -> Keypair {
        identity(&self.shape, index)
    }

    /// A member's id.
    #[must_use]
    pub fn id(&self, index: usize) -> MemberId {
        id(&self.shape, index)
    }

    /// A member as process lines name it.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        self.id(index).to_string()
    }
}

/// 32 secret bytes for a purpose.
pub(super) fn secret(shape: &Shape, purpose: &str, index: usize) -> [u8; 32] {
    let text = format!("{purpose} {} {index}", shape.seed);
    *blake3::hash(text.as_bytes()).as_bytes()
}

fn author(shape: &Shape, index: usize) -> AuthorKey {
    AuthorKey::from_seed(&secret(shape, "author", index))
}

fn identity(shape: &Shape, index: usize) -> Keypair {
    Keypair::ed25519_from_bytes(secret(shape, "transport", index)).expect("any 32 bytes make a key")
}

fn id(shape: &Shape, index: usize) -> MemberId {
    MemberId(derive(Context::MemberId, &[&author(shape, index).public().to_bytes()]))
}

fn governors(shape: &Shape, count: usize) -> Vec<chorale_protocol::code::PublicKey> {
    let mut keys: Vec<_> = (0..count).map(|index| author(shape, index).public()).collect();
    keys.sort();
    keys
}

fn members(shape: &Shape, count: usize) -> Vec<ManifestMember> {
    let mut members: Vec<ManifestMember> = (0..count)
        .map(|index| ManifestMember {
            id: id(shape, index),
            label: format!("m{index}"),
            author_key: author(shape, index).public(),
            transport: vec![TransportId(identity(shape, index).public().to_peer_id().to_bytes())],
            role: Role::Member,
            next: None,
            rank: None,
        })
        .collect();
    members.sort_by_key(|member| member.id);
    members
}

fn policy(shape: &Shape, trainer: &dyn Trainer) -> Policy {
    let adapter = trainer.adapter().clone();
    let layout = Layout::new(&adapter).expect("the trainer's layout");
    // A round may move every value by 0.05, and members may lie four times as far apart.
    let bound = (0.05 * (layout.len() as f64).sqrt() * 65_536.0) as u64;
    Policy {
        base_model: trainer.base_model(),
        adapter: AdapterSpec { start: start_hash(&layout.start(adapter.seed)), ..adapter },
        lora_rule: LoraRule::Both,
        merge: MergeRule::Mean,
        momentum: if shape.momentum { 32_768 } else { 0 },
        ages: vec![65_536, 46_341, 37_837, 32_768],
        draw: (shape.members as u64).clamp(1, 63),
        norm_bound: bound,
        reach: 4 * bound,
        codec: Codec::Bfp16,
        rounds: shape.rounds,
        steps: Steps { min: 1, max: shape.steps },
        round_ms: 0,
        checkpoint_every: 0,
        keep_rounds: shape.keep_rounds,
        parts: vec![ADAPTER_PART.into()],
        witnesses: Some(shape.witnesses).filter(|count| *count > 0),
        checks: Some(shape.checks).filter(|count| *count != 1),
        privacy: None,
    }
}
