//! One member's merge: filter by reach, weigh by age, average, apply the momentum, hash.

use super::State;
use crate::{
    adapter::{Layout, Payload},
    base::{MemberId, MergeHash, NetworkId, RecordId, Round},
    manifest::{Phase, Policy},
};

/// One publication that may be merged.
#[derive(Debug, Clone)]
pub struct Voice {
    /// Whose.
    pub member: MemberId,
    /// The update record.
    pub record: RecordId,
    /// Its round.
    pub round: Round,
    /// Its values.
    pub payload: Payload,
}

/// What a merge is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The network.
    pub network: NetworkId,
    /// The policy of the manifest version that the record will name.
    pub policy: &'a Policy,
    /// The layout of its adapter.
    pub layout: &'a Layout,
    /// The member's own last publication, unless it is a newcomer or returns after a long absence.
    pub own: Option<&'a Voice>,
    /// Others' publications, in draw order, all within the window.
    pub others: &'a [Voice],
    /// The momentum state after the own last publication's merge; must be there iff `own` is and μ > 0.
    pub state: Option<&'a State>,
    /// Threads to use, at least 1; changes no bit.
    pub threads: usize,
}

/// The result of a merge.
#[derive(Debug)]
pub struct Merged {
    /// The round that training from here publishes: 1 + the largest round used; 1 without voices.
    pub round: Round,
    /// What trains in it.
    pub phase: Phase,
    /// Who was merged, with the weight, ascending by record id: the record's parents.
    pub used: Vec<(RecordId, u64)>,
    /// Who was left out because it lies out of reach, in the order of `others`.
    pub out_of_reach: Vec<MemberId>,
    /// M in Q.32, layout order.
    pub values: Vec<i64>,
    /// The momentum state after this merge, its `x` equal to `values`; `None` if μ = 0.
    pub state: Option<State>,
    /// The hash of it all.
    pub hash: MergeHash,
}

/// Why nothing could be merged. P2 completes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The plan breaks its own rules.
    #[error("merge: {0}")]
    Plan(&'static str),
}

/// The weight of a publication of `round` where the base round is `base`: RNE of 1024 · ages[max(0, base − round)] / 2^16;
/// `None` outside the window. The base is the own last publication's round, without one the largest round among the voices.
#[must_use]
pub fn weight(ages: &[u64], base: Round, round: Round) -> Option<u64> {
    let _ = (ages, base, round);
    todo!("P2")
}

/// Performs the merge.
///
/// Reach: a voice whose squared distance to the own last publication exceeds the policy's reach is left out. Without an own
/// publication and with three or more voices the reference is the medoid: the voice with the least sum of distances (of the
/// floor of their square roots) to the others, the smaller member id winning a tie; with fewer all are used.
///
/// `mean`: acc = Σ w·v, M = acc ÷ Σw half to even. Momentum μ: with X, v of the state, d = mean − X, v ← RNE(μ·v) + d,
/// M = X + d + RNE(μ·v); without a state X = mean, v = 0. M and v are held within ±(2^46 − 1). No voices: M is the start.
/// Hash: BLAKE3 under the merge context of net ‖ round u64-LE ‖ rule u64-LE ‖ count u64-LE ‖ each (member, record id,
/// weight u64-LE) ascending by record id ‖ the f32 little-endian view of M.
///
/// # Errors
/// The plan breaks its own rules.
pub fn perform(plan: Plan<'_>) -> Result<Merged, MergeError> {
    let _ = plan;
    todo!("P2")
}
