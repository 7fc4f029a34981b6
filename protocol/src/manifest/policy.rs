//! The policy: what all members must share, so that mismatched nodes cannot mix.

/// What all members must share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Fingerprint of the frozen base model: BLAKE3 of config, every safetensors shard and the tokenizer.
    pub base_model: [u8; 32],
    /// What travels.
    pub adapter: AdapterSpec,
    /// Which factors train in which round.
    pub lora_rule: LoraRule,
    /// How publications become one. Momentum, ages and reach are its parameters.
    pub merge: MergeRule,
    /// Outer momentum μ in units of 2^-16; 0 is off, below 65536.
    pub momentum: u64,
    /// Weight of a publication by its age in rounds, in units of 2^-16; its length less one is the window.
    pub ages: Vec<u64>,
    /// How many peers a member pulls in a round, 1 to 63.
    pub draw: u64,
    /// C: the most that local training may move the merge result, ‖P − M‖₂, in units of 2^-16.
    pub norm_bound: u64,
    /// How far a publication may lie from the merging member's own last one and still be merged, in units of 2^-16.
    pub reach: u64,
    /// How adapters are written.
    pub codec: Codec,
    /// The last round: who published it is done; 0: no last round.
    pub rounds: u64,
    /// Bounds on local optimiser steps in a round.
    pub steps: Steps,
    /// How long a round should take, in milliseconds: each member fits its steps to it. 0: always `steps.max`.
    pub round_ms: u64,
    /// Every how many rounds the momentum state is published as a checkpoint blob; 0: never.
    pub checkpoint_every: u64,
    /// How many rounds back blobs are kept; 0: all.
    pub keep_rounds: u64,
    /// The parts of a payload by name, in the order of their bytes: today [`ADAPTER_PART`] alone.
    pub parts: Vec<String>,
    /// How many distinct participants other than a log's owner must have cosigned a checkpoint for it to count, 1 to 63; absent:
    /// the network asks for none.
    pub witnesses: Option<u64>,
    /// Others' merges that a member recomputes after each publication of its own, 0 or 2 to 63; `None`: one.
    pub checks: Option<u64>,
    /// The privacy that every update must claim; absent: a claim is its author's own affair.
    pub privacy: Option<PrivacyTerms>,
}

/// The part of a payload that is the adapter in the policy's codec.
pub const ADAPTER_PART: &str = "adapter";

impl Policy {
    /// The round after this one, 1 after none, and never beyond the last round, so that a member that lags behind may still
    /// merge what the others ended with.
    #[must_use]
    pub fn round_after(&self, before: Option<crate::base::Round>) -> crate::base::Round {
        let next = before.unwrap_or_default().next();
        if self.rounds == 0 { next } else { next.min(crate::base::Round(self.rounds)) }
    }

    /// How many rounds ahead of the others a publication is still used: the window of the ages, at least 1.
    #[must_use]
    pub fn lead(&self) -> u64 {
        (self.ages.len() as u64).saturating_sub(1).max(1)
    }

    /// The most bytes of a momentum checkpoint: 20 a value, of which it takes 8 and little more where values are small.
    #[must_use]
    pub fn checkpoint_bytes(&self) -> u64 {
        self.adapter.values().saturating_mul(20)
    }

    /// Whether an update of this round names a momentum checkpoint.
    #[must_use]
    pub const fn wants_checkpoint(&self, round: crate::base::Round) -> bool {
        self.momentum > 0 && self.checkpoint_every > 0 && round.0.is_multiple_of(self.checkpoint_every)
    }
}

/// The privacy that every update of a network claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivacyTerms {
    /// −log₁₀ of the δ that every claim has, in thousandths; at least 1.
    pub delta_log10_milli: u64,
    /// The most ε that a member may spend, in thousandths; at least 1.
    pub epsilon_milli: u64,
}

/// Bounds on local optimiser steps in a round; 1 ≤ min ≤ max.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The fewest.
    pub min: u64,
    /// The most.
    pub max: u64,
}

/// The adapter: LoRA factors on named projections, and dense tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterSpec {
    /// r, 1 to 1024.
    pub rank: u64,
    /// α; the scale is α / r.
    pub alpha: u64,
    /// Seed of the starting A factors; all else starts at 0.
    pub seed: u64,
    /// BLAKE3 of the starting adapter's f32 little-endian view.
    pub start: [u8; 32],
    /// Every tensor, strictly ascending by UTF-8 bytes of its name.
    pub tensors: Vec<TensorSpec>,
}

impl AdapterSpec {
    /// Values of all tensors together.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.rows.saturating_mul(tensor.columns)))
    }

    /// Bytes of a payload: of each tensor an exponent for every 64 values or what is left of them, and the mantissas.
    #[must_use]
    pub fn payload_bytes(&self, codec: Codec) -> u64 {
        let mantissa = match codec {
            Codec::Bfp16 => 2,
            Codec::Bfp8 => 1,
        };
        let bytes = |tensor: &TensorSpec| {
            let values = tensor.rows.saturating_mul(tensor.columns);
            values.div_ceil(64).saturating_add(values.saturating_mul(mantissa))
        };
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(bytes(tensor)))
    }
}

/// One factor of one projection, or what is added to one tensor of the base model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// A and B: as in Hugging Face PEFT, without the prefix `base_model.model.`; dense: as in the base model.
    pub name: String,
    /// Which factor it is.
    pub factor: Factor,
    /// A and B: the rank; dense: the rows of the base model's tensor.
    pub rows: u64,
    /// A: the projection's inputs; B: its outputs; dense: the columns of the base model's tensor.
    pub columns: u64,
}

/// Which factor of ΔW = (α/r)·Bᵀ·A, or ΔW itself.
///
/// The rank is the first dimension of both factors, so that the first rows of both are an adapter of a smaller rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// Down, [rank, in] (0).
    A,
    /// Up, [rank, out] (1): the transpose of what Hugging Face PEFT stores.
    B,
    /// What is added to a tensor of the base model, of that tensor's shape (2).
    Dense,
}

/// Which factors train in which round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoraRule {
    /// A and B, always (0).
    Both,
    /// B for so many rounds, then A for so many, and so on; T ≥ 1 (1).
    Alternate(u64),
    /// B only (2).
    Ffa,
}

impl LoraRule {
    /// What trains in `round`: for `alternate(T)`, ⌊round/T⌋ even is B.
    #[must_use]
    pub const fn phase(self, round: crate::base::Round) -> Phase {
        match self {
            Self::Both => Phase::Both,
            Self::Ffa => Phase::B,
            Self::Alternate(period) => {
                let period = if period == 0 { 1 } else { period };
                if (round.0 / period).is_multiple_of(2) { Phase::B } else { Phase::A }
            }
        }
    }
}

/// What trains in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Both factors (0).
    Both,
    /// A only (1).
    A,
    /// B only (2).
    B,
}

impl Phase {
    /// Whether `factor` trains in this phase. A dense tensor trains in every phase: phases exist because the mean of products
    /// is not the product of means, and a dense tensor is no factor of a product.
    #[must_use]
    pub const fn trains(self, factor: Factor) -> bool {
        matches!((self, factor), (_, Factor::Dense) | (Self::Both, _) | (Self::A, Factor::A) | (Self::B, Factor::B))
    }
}

/// How publications become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeRule {
    /// Weighted mean, divided half to even (1).
    Mean,
}

/// How adapters are written: block floating point with 16-bit (0) or 8-bit (1) mantissas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// 16 bits.
    Bfp16,
    /// 8 bits.
    Bfp8,
}

#[cfg(test)]
mod tests {
    use super::{Codec, Factor, LoraRule};
    use crate::{adapter::Layout, base::Round, fixture};

    #[test]
    fn a_dense_tensor_trains_in_every_round_under_every_rule() {
        for rule in [LoraRule::Both, LoraRule::Alternate(1), LoraRule::Alternate(3), LoraRule::Ffa] {
            assert!((1..9).all(|round| rule.phase(Round(round)).trains(Factor::Dense)), "{rule:?}");
        }
    }

    #[test]
    fn an_adapter_of_a_smaller_rank_is_a_prefix_of_each_tensor_of_a_larger_one() {
        let start = |rank: u64| {
            let mut adapter = fixture::adapter();
            adapter.tensors.iter_mut().for_each(|tensor| tensor.rows = rank);
            let layout = Layout::new(&adapter).unwrap();
            let values = layout.start(adapter.seed);
            layout.slots().iter().map(|slot| values[slot.values.clone()].to_vec()).collect::<Vec<_>>()
        };
        for (small, large) in start(2).iter().zip(start(5)) {
            assert!(large.starts_with(small) && large.len() > 2 * small.len());
        }
    }

    #[test]
    fn bytes_of_a_payload_are_those_of_its_layout() {
        for codec in [Codec::Bfp16, Codec::Bfp8] {
            let mut adapter = fixture::adapter();
            for columns in [1, 31, 32, 33, 1000] {
                adapter.tensors[0].columns = columns;
                let layout = Layout::new(&adapter).unwrap();
                assert_eq!(adapter.payload_bytes(codec), layout.payload_len(codec));
            }
        }
    }

    #[test]
    fn a_round_follows_the_newest_merged_but_never_the_last() {
        let mut policy = fixture::policy();
        assert_eq!(policy.round_after(None), Round(1));
        assert_eq!(policy.round_after(Some(Round(20))), Round(21), "no last round");
        policy.rounds = 20;
        assert_eq!(policy.round_after(Some(Round(19))), Round(20));
        assert_eq!(policy.round_after(Some(Round(20))), Round(20), "a late member ends with the others");
    }
}
