//! One member's merge: filter by reach, weigh by age, average, apply the momentum, hash.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    State, base_round, common_round,
    digest::Digest,
    reach, round_published,
    state::checkpoint,
    work::{Made, Memory, Work},
};
use crate::{
    adapter::{Layout, Payload, simd::Level},
    base::{
        BlobHash, MemberId, MergeHash, NetworkId, RecordId, Round,
        limit::{WEIGHT, WEIGHT_SUM},
    },
    code::Context,
    manifest::{MergeRule, Phase, Policy},
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
#[derive(Debug, Clone)]
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
    /// The momentum state after the own last publication's merge; must be there iff `own` is and μ > 0. It becomes the
    /// result's, in place: a merge holds no second one.
    pub state: Option<State>,
    /// Memory for the values where no state brings it, such as an earlier merge's; what it holds is of no matter.
    pub spare: Vec<i64>,
    /// Threads to use, at least 1; changes no bit.
    pub threads: usize,
}

/// The result of a merge.
#[derive(Debug)]
pub struct Merged {
    /// The round that training from here publishes, see [`round_published`].
    pub round: Round,
    /// What trains in it.
    pub phase: Phase,
    /// Who was merged, with the weight, ascending by member: the record's parents.
    pub used: Vec<(RecordId, u64)>,
    /// Who was left out because it lies out of reach, in the order of `others`.
    pub out_of_reach: Vec<MemberId>,
    /// M in Q.32, layout order; the momentum state's X.
    pub values: Vec<i64>,
    /// The momentum state's v; `None` if μ = 0.
    pub momentum: Option<Vec<i64>>,
    /// Plain BLAKE3 of the f32 view of M, or with momentum of the checkpoint blob.
    pub state: BlobHash,
    /// The hash of it all.
    pub hash: MergeHash,
    /// ‖P − M‖² of the payload that was to be measured, in units of 2⁻⁶⁴.
    pub moved2: Option<u128>,
}

impl Merged {
    /// The momentum state after this merge; `None` if μ = 0.
    #[must_use]
    pub fn into_state(self) -> Option<State> {
        self.momentum.map(|v| State { x: self.values, v })
    }

    /// The checkpoint blob of the state, whose hash is `state`; `None` if μ = 0.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Bytes> {
        self.momentum.as_ref().map(|v| checkpoint(&self.values, v))
    }
}

/// Why nothing could be merged: the plan breaks its own rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Too old, or an empty age table.
    #[error("{member:?} published for round {round}, which lies outside the window of a merge based on round {base}")]
    Window {
        /** whose */
        member: MemberId,
        /** of the publication */
        round: Round,
        /** of the merge */
        base: Round,
    },
    /// One member, or one record, twice.
    #[error("{member:?} is merged twice; a merge takes at most one publication of a member")]
    Twice {
        /** whose */
        member: MemberId,
    },
    /// Not of this codec and layout.
    #[error("the payload of {member:?} is not of the plan's codec and layout")]
    Payload {
        /** whose */
        member: MemberId,
    },
    /// A sum of weights of 0, or beyond the limit.
    #[error("the weights add up to {sum}, allowed is 1 to {WEIGHT_SUM}; check the policy's age table and draw")]
    Weights {
        /** what they add up to */
        sum: u64,
    },
    /// A momentum of 1 and more.
    #[error("a momentum of {momentum} / 65536; it must be less than 1")]
    Momentum {
        /** as in the policy */
        momentum: u64,
    },
    /// Momentum without the state of the own last publication.
    #[error("with momentum and an own publication the merge needs the momentum state after it")]
    StateMissing,
    /// A state that nothing calls for.
    #[error("a momentum state came along without momentum or without an own publication")]
    StateSuperfluous,
    /// A state of another layout, or with values that no merge yields.
    #[error("the momentum state has {x} and {v} values, the layout {want}, each below 2^46 in magnitude")]
    State {
        /** values of X */
        x: usize,
        /** values of v */
        v: usize,
        /** values of the layout */
        want: usize,
    },
}

/// The weight of a publication of `round` where the base round is `base`: RNE of 1024 · ages[max(0, base − round)] / 2^16;
/// `None` outside the window. The base is the own last publication's round, without one the common round of those merged.
///
/// ```
/// use chorale_protocol::{base::Round, merge::weight};
///
/// let ages = [65_536, 46_341, 37_837, 32_768];
/// assert_eq!(weight(&ages, Round(7), Round(7)), Some(1024));
/// assert_eq!(weight(&ages, Round(7), Round(9)), Some(1024), "a later round counts as fresh");
/// assert_eq!(weight(&ages, Round(7), Round(6)), Some(724));
/// assert_eq!(weight(&ages, Round(7), Round(3)), None, "outside the window");
/// ```
#[must_use]
pub fn weight(ages: &[u64], base: Round, round: Round) -> Option<u64> {
    let age = usize::try_from(base.0.saturating_sub(round.0)).ok()?;
    let scaled = u128::from(*ages.get(age)?) * u128::from(WEIGHT);
    let rounded = (scaled + 0x7fff + ((scaled >> 16) & 1)) >> 16;
    u64::try_from(rounded).ok()
}

/// Performs the merge.
///
/// Reach: a voice whose squared distance to the own last publication exceeds the policy's reach is left out. Without an own
/// publication and with three or more voices the reference is the medoid: the voice with the least sum of distances (of the
/// floor of their square roots, in units of 2^-32) to the others, the smaller member id winning a tie; with fewer all are used.
///
/// `mean`: acc = Σ w·v, M = acc ÷ Σw half to even. Momentum μ: with X, v of the state, d = mean − X, v ← RNE(μ·v) + d,
/// M = X + d + RNE(μ·v); without a state X = mean, v = 0. M and v are held within ±(2^46 − 1). No voices: M is the start.
/// For the hash see [`merge_hash`].
///
/// # Errors
/// The plan breaks its own rules.
pub fn perform(plan: Plan<'_>) -> Result<Merged, MergeError> {
    perform_measured(plan, None)
}

/// As [`perform`]; measures also how far a payload is from M.
///
/// # Errors
/// The plan breaks its own rules.
pub fn perform_measured(plan: Plan<'_>, payload: Option<&Payload>) -> Result<Merged, MergeError> {
    let (layout, codec) = (plan.layout, plan.policy.codec);
    let mut merged = perform_at(plan, payload.filter(|payload| payload.codec() == codec), Level::widest())?;
    let other = payload.filter(|payload| payload.codec() != codec);
    merged.moved2 = merged.moved2.or_else(|| Some(other?.distance2_q32(&merged.values, layout)));
    Ok(merged)
}

/// `measured` is of the plan's codec.
pub(super) fn perform_at(plan: Plan<'_>, measured: Option<&Payload>, level: Level) -> Result<Merged, MergeError> {
    let Plan { network, policy, layout, own, others, threads, .. } = plan;
    let momentum = i64::try_from(policy.momentum)
        .ok()
        .filter(|momentum| *momentum < 1 << 16)
        .ok_or(MergeError::Momentum { momentum: policy.momentum })?;
    check_voices(&plan)?;
    check_state(&plan)?;

    let within = reach::within(own, others, policy.reach, layout, threads);
    // An auditor knows those who were merged, not those who were out of reach.
    let near = others.iter().zip(&within).filter(|(_, near)| **near).map(|(voice, _)| voice);
    let own_round = own.map(|own| own.round);
    let common = common_round(policy, own.into_iter().chain(near).map(|voice| voice.round));
    let base = base_round(own_round, common);
    let mut used = Vec::with_capacity(others.len() + 1);
    let mut out_of_reach = Vec::new();
    for (voice, near) in own.into_iter().map(|own| (own, true)).chain(others.iter().zip(within)) {
        if near {
            let outside = MergeError::Window { member: voice.member, round: voice.round, base };
            let weight = weight(&policy.ages, base, voice.round).ok_or(outside)?;
            used.push((voice, weight));
        } else {
            out_of_reach.push(voice.member);
        }
    }
    used.sort_unstable_by_key(|(voice, _)| voice.member);
    let round = round_published(policy, own_round, common);

    let Made { memory, state, moved2 } = if used.is_empty() {
        let values = layout.start_in(policy.adapter.seed, plan.spare);
        let v = if momentum == 0 { Vec::new() } else { vec![0; values.len()] };
        let mut digest = Digest::new(0, values.len(), momentum != 0, level);
        digest.take(&values, &v);
        let moved2 = measured.map_or(0, |payload| payload.distance2_q32(&values, layout));
        Made { memory: Memory { values, v, before: false }, state: Digest::finish(&[digest]), moved2 }
    } else {
        let (voices, sum) = narrow(&used)?;
        let memory = Memory::new(layout.len(), momentum != 0, plan.state, plan.spare);
        let work = Work { layout, codec: policy.codec, voices: &voices, sum, momentum, measured, level };
        let (x, v) = (memory.values.len(), memory.v.len());
        work.run(memory, threads).ok_or(MergeError::State { x, v, want: layout.len() })?
    };
    let named = used.iter().map(|(voice, weight)| (voice.member, voice.record, *weight));
    Ok(Merged {
        round,
        phase: policy.lora_rule.phase(round),
        hash: merge_hash(network, round, policy.merge, named, &state),
        used: used.iter().map(|(voice, weight)| (voice.record, *weight)).collect(),
        out_of_reach,
        values: memory.values,
        momentum: (momentum != 0).then_some(memory.v),
        state,
        moved2: measured.map(|_| moved2),
    })
}

/// The merge hash: BLAKE3 under the merge context of net ‖ round u64-LE ‖ rule u64-LE ‖ count u64-LE ‖ each (member, record id,
/// weight u64-LE) ‖ the hash of the state after it, which is plain BLAKE3 of the f32 little-endian view of M, or with momentum of
/// the checkpoint blob. The rule `mean` is 1. `used` comes in the order of a record's parents.
#[must_use]
pub fn merge_hash(
    network: NetworkId,
    round: Round,
    rule: MergeRule,
    used: impl ExactSizeIterator<Item = (MemberId, RecordId, u64)>,
    state: &BlobHash,
) -> MergeHash {
    let rule: u64 = match rule {
        MergeRule::Mean => 1,
    };
    let mut hasher = Context::Merge.hasher();
    hasher.update(network.as_bytes());
    for number in [round.0, rule, used.len() as u64] {
        hasher.update(&number.to_le_bytes());
    }
    for (member, record, weight) in used {
        hasher.update(member.as_bytes()).update(record.as_bytes()).update(&weight.to_le_bytes());
    }
    MergeHash(*hasher.update(&state.0).finalize().as_bytes())
}

fn check_voices(plan: &Plan<'_>) -> Result<(), MergeError> {
    let (mut members, mut records) = (BTreeSet::new(), BTreeSet::new());
    let want = plan.layout.payload_len(plan.policy.codec);
    for voice in plan.own.into_iter().chain(plan.others) {
        let member = voice.member;
        if !members.insert(member) || !records.insert(voice.record) {
            return Err(MergeError::Twice { member });
        }
        if voice.payload.codec() != plan.policy.codec || voice.payload.bytes().len() as u64 != want {
            return Err(MergeError::Payload { member });
        }
    }
    Ok(())
}

fn check_state(plan: &Plan<'_>) -> Result<(), MergeError> {
    let wanted = plan.own.is_some() && plan.policy.momentum != 0;
    let Some(state) = &plan.state else {
        return if wanted { Err(MergeError::StateMissing) } else { Ok(()) };
    };
    if !wanted {
        return Err(MergeError::StateSuperfluous);
    }
    let (x, v, want) = (state.x.len(), state.v.len(), plan.layout.len());
    if x != want || v != want {
        return Err(MergeError::State { x, v, want });
    }
    Ok(())
}

/// Voices with their weights, and the sum of these.
type Weighted<'a> = (Vec<(&'a Voice, u32)>, u32);

/// Weights as the work takes them.
fn narrow<'a>(used: &[(&'a Voice, u64)]) -> Result<Weighted<'a>, MergeError> {
    let sum = used.iter().fold(0_u64, |sum, (_, weight)| sum.saturating_add(*weight));
    let narrow = |weight: u64| u32::try_from(weight).map_err(|_| MergeError::Weights { sum });
    if sum == 0 || sum > WEIGHT_SUM {
        return Err(MergeError::Weights { sum });
    }
    let voices = used.iter().map(|(voice, weight)| Ok((*voice, narrow(*weight)?))).collect::<Result<_, _>>()?;
    Ok((voices, narrow(sum)?))
}
