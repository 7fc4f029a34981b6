//! Whatever an honest author merged keeps the bound, whichever payloads are missing; what no merge gives does not.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    adapter::{encode_q32, within_bound},
    base::{MemberId, NetworkId, RecordId, Round},
    fixture,
    manifest::{AdapterSpec, Factor, TensorSpec},
    merge::{Merged, Plan, Voice, perform},
};

fn layout(columns: u64) -> Layout {
    let tensors = vec![TensorSpec { name: "a".into(), factor: Factor::A, rows: 1, columns }];
    Layout::new(&AdapterSpec { rank: 1, alpha: 1, seed: 0, start: [0; 32], tensors }).unwrap()
}

fn payload(layout: &Layout, values: &[i64]) -> Payload {
    Payload::check(layout, Codec::Bfp16, encode_q32(layout, Codec::Bfp16, values).unwrap()).unwrap()
}

fn voice(layout: &Layout, number: u8, round: u64, values: &[i64]) -> Voice {
    let round = Round(round);
    Voice { member: MemberId([number; 32]), record: RecordId([number; 32]), round, payload: payload(layout, values) }
}

/// Numbers that look random, within ±most.
fn numbers(seed: u64, count: usize, most: i64) -> Vec<i64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.cast_signed()
    };
    (0..count).map(|_| next() % (most + 1)).collect()
}

/// As far from `own` as reach lets it in that direction: at its very edge, but for what the encoding rounds.
fn at_the_edge(layout: &Layout, own: &Payload, reach: u64, seed: u64) -> Vec<i64> {
    let (from, way) = (own.to_q32(layout), numbers(seed, layout.len(), 1 << 20));
    let length = way.iter().map(|one| i128::from(*one).pow(2)).sum::<i128>().isqrt().max(1);
    let (mut near, mut far) = (0_i128, i128::from(reach) << 18);
    let step = |scale: i128| -> Vec<i64> {
        from.iter().zip(&way).map(|(o, w)| o + i64::try_from(i128::from(*w) * scale / length).unwrap()).collect()
    };
    while far - near > 1 {
        let middle = i128::midpoint(near, far);
        let fits = within_bound(payload(layout, &step(middle)).distance2(own, layout), reach);
        (near, far) = if fits { (middle, far) } else { (near, middle) };
    }
    step(near)
}

#[derive(Debug)]
struct Case {
    layout: Layout,
    policy: Policy,
    own: Voice,
    others: Vec<Voice>,
    before: State,
}

impl Case {
    fn merge(&self) -> Merged {
        let state = (self.policy.momentum > 0).then(|| self.before.clone());
        let plan = Plan {
            network: NetworkId([1; 32]),
            policy: &self.policy,
            layout: &self.layout,
            own: Some(&self.own),
            others: &self.others,
            state,
            spare: Vec::new(),
            threads: 1,
        };
        perform(plan).unwrap()
    }

    /// Without those of the others whose bit is set.
    fn bound(&self, merged: &Merged, missing: u32) -> Bound {
        let weight = |voice: &Voice| merged.used.iter().find(|(id, _)| *id == voice.record).unwrap().1;
        let (mut here, mut lost) = (Vec::new(), 0);
        for (place, voice) in self.others.iter().enumerate() {
            match missing >> place & 1 {
                0 => here.push((voice.payload.clone(), weight(voice))),
                _ => lost += weight(voice),
            }
        }
        let own = (self.own.payload.clone(), weight(&self.own));
        Bound::new((&self.policy, &self.layout), own, here, lost).unwrap()
    }

    fn state_before(&self) -> Before {
        Before::new(&self.policy, self.before.clone()).unwrap()
    }

    fn judge(&self, merged: &Merged, missing: u32) -> Judged {
        let state = State { x: merged.values.clone(), v: merged.momentum.clone().unwrap() };
        self.state_before().judge(&state, Some(&self.bound(merged, missing)), &self.layout)
    }
}

prop_compose! {
    /// Others at the edge of reach, in one direction or in many.
    fn cases()(
        columns in select(vec![1_u64, 3, 64, 65, 200]),
        reach in select(vec![1_u64, 9, 1_000, 1 << 16, 50 << 16]),
        momentum in select(vec![0_u64, 1, 32_768, 65_535]),
        ages in vec(0_u64..4, 1..6),
        one_way in any::<bool>(),
        seed in any::<u64>(),
        size in select(vec![10_u32, 33, 40]),
    ) -> Case {
        let layout = layout(columns);
        let policy = Policy { momentum, reach, norm_bound: 1 << 16, ..fixture::policy() };
        let own = voice(&layout, 0, 9, &numbers(seed, layout.len(), 1 << size));
        let others = (1..).zip(&ages).map(|(number, age)| {
            let way = if one_way { seed } else { seed ^ u64::from(number) };
            voice(&layout, number, 9 - age, &at_the_edge(&layout, &own.payload, reach, way))
        });
        let others = others.collect();
        let (x, v) = (numbers(seed ^ 77, layout.len(), 1 << size), numbers(seed ^ 78, layout.len(), 1 << size));
        Case { layout, policy, own, others, before: State { x, v } }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_merge_keeps_the_bound_whichever_payloads_are_missing(case in cases()) {
        let merged = case.merge();
        prop_assert!(merged.out_of_reach.is_empty());
        for missing in 1..1_u32 << case.others.len() {
            let bound = case.bound(&merged, missing);
            if case.policy.momentum == 0 {
                let published = payload(&case.layout, &merged.values);
                // Rounded by the encoding, which training makes up for: here the norm bound has room for it.
                prop_assert_eq!(bound.judge(1 << 16, &published, &case.layout), Judged::Kept);
            } else {
                prop_assert_eq!(case.judge(&merged, missing), Judged::Kept);
            }
        }
    }
}

/// Two members, one value, weights of 1 each: `other` lies exactly at reach from `own`.
fn one_value(momentum: u64) -> Case {
    let layout = layout(1);
    let policy = Policy { momentum, reach: 1 << 16, norm_bound: 1 << 16, ..fixture::policy() };
    let (own, other) = (voice(&layout, 0, 3, &[0]), voice(&layout, 1, 3, &[1 << 32]));
    Case { layout, policy, own, others: vec![other], before: State { x: vec![5], v: vec![7] } }
}

#[test]
fn the_bound_is_half_of_reach_and_the_roundings_where_one_of_two_is_missing() {
    let case = one_value(0);
    let bound = case.bound(&case.merge(), 1);
    assert_eq!(bound.apart, (1 << 31) + 2);
    // What was published may lie farther by the norm bound, and no farther.
    let judge = |value: i64| bound.judge(1 << 16, &payload(&case.layout, &[value]), &case.layout);
    assert_eq!(judge((1 << 32) + (1 << 31)), Judged::Kept);
    assert!(matches!(judge((1 << 32) + (1 << 31) + (1 << 19)), Judged::Broken(_)));
    assert_eq!(judge(-(1 << 32) - (1 << 31)), Judged::Kept);
}

#[test]
fn a_state_that_is_consistent_may_lie_as_far_as_the_bound_and_no_farther() {
    let case = one_value(32_768);
    let bound = case.bound(&case.merge(), 1);
    let apart = i64::try_from(bound.apart).unwrap();
    let before = case.state_before();
    for (mean, kept) in [(0, true), (apart, true), (-apart, true), (apart + 1, false), (-apart - 1, false)] {
        let v = mean - before.base[0];
        let state = State { x: vec![mean + scaled(32_768, v)], v: vec![v] };
        assert_eq!(before.judge(&state, Some(&bound), &case.layout) == Judged::Kept, kept, "{mean}");
        assert_eq!(before.judge(&state, None, &case.layout), Judged::Open, "without the own last one");
    }
}

#[test]
fn a_state_that_does_not_follow_from_the_one_before_is_broken_by_one_unit() {
    let case = one_value(32_768);
    let merged = case.merge();
    let right = State { x: merged.values, v: merged.momentum.unwrap() };
    for (by_x, by_v) in [(1, 0), (-1, 0), (0, 2), (4, 4), (1 << 40, 1 << 40)] {
        let state = State { x: vec![right.x[0] + by_x], v: vec![right.v[0] + by_v] };
        let judged = case.state_before().judge(&state, None, &case.layout);
        assert!(matches!(judged, Judged::Broken(_)), "{by_x} {by_v}");
    }
    assert_eq!(case.state_before().judge(&right, None, &case.layout), Judged::Open);
}

#[test]
fn an_honest_state_that_is_held_at_the_limit_is_not_blamed_and_does_not_count_as_bounded() {
    let (layout, most) = (layout(4), MOST);
    let policy = Policy { momentum: 65_535, reach: 1 << 32, ..fixture::policy() };
    let values = [MOST, -MOST, 7, 0].map(|value| value >> 1);
    let (own, other) = (voice(&layout, 0, 3, &values), voice(&layout, 1, 3, &values));
    // v is held and X is; v is held and X is not; X is held and v is not; neither.
    let before = State { x: vec![-most, most, -most, 0], v: vec![most, -most, most >> 1, 0] };
    let case = Case { layout, policy, own, others: vec![other], before };
    let merged = case.merge();
    assert_eq!(merged.momentum.as_ref().unwrap()[..2], [most, -most]);
    assert_eq!(case.judge(&merged, 1), Judged::Open);
    // The numbers that are not held are judged.
    let mut wrong = State { x: merged.values.clone(), v: merged.momentum.clone().unwrap() };
    wrong.x[3] += 1;
    let judged = case.state_before().judge(&wrong, Some(&case.bound(&merged, 1)), &case.layout);
    assert!(matches!(judged, Judged::Broken(_)));
}

#[test]
fn nobody_hides_what_it_made_up_behind_numbers_at_the_limit() {
    let case = one_value(32_768);
    let merged = case.merge();
    let bound = case.bound(&merged, 1);
    let right = State { x: merged.values.clone(), v: merged.momentum.clone().unwrap() };
    for v in [MOST, -MOST] {
        for x in [right.x[0], 1 << 37, MOST, -MOST] {
            let judged = case.state_before().judge(&State { x: vec![x], v: vec![v] }, Some(&bound), &case.layout);
            assert!(matches!(judged, Judged::Broken(_)), "{x} {v}");
        }
    }
}

#[test]
fn no_square_that_passes_all_numbers_is_out_of_bounds() {
    assert!(is_within(u128::MAX, 1 << 64) && !is_within(u128::MAX, (1 << 64) - 1));
    assert!(is_within(9, 3) && !is_within(10, 3));
}

#[test]
fn weights_that_no_merge_has_give_no_bound() {
    let case = one_value(0);
    let own = || case.own.payload.clone();
    let new = |weight, missing| Bound::new((&case.policy, &case.layout), (own(), weight), Vec::new(), missing);
    assert!(new(1024, 1024).is_some() && new(1, WEIGHT_SUM - 1).is_some());
    for (weight, missing) in [(0, 0), (1, WEIGHT_SUM), (1, u64::MAX), (u64::MAX, 0)] {
        assert!(new(weight, missing).is_none(), "{weight} {missing}");
    }
}
