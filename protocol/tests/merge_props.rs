//! The promises of payloads and merges on any input: one encoding, and the same bits whatever the way.
#![allow(clippy::unwrap_used)] // Helpers of tests, too, may fail loudly.

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, encode_f32, encode_q32, f32_view, within_bound},
    base::{MemberId, NetworkId, RecordId, Round},
    code::blob_hash,
    manifest::{ADAPTER_PART, AdapterSpec, Codec, Factor, LoraRule, MergeRule, Policy, Steps, TensorSpec},
    merge::{Merged, Plan, State, Voice, merge_hash, perform, perform_measured},
};
use proptest::{collection::vec, prelude::*, sample::select};

const LIMIT: i64 = 1 << 46;
const AGES: [u64; 4] = [65_536, 46_341, 37_837, 32_768];

/// Tensors of 1, 63, 64, 65 and some thousand values: short blocks, whole ones, and more than one tile.
fn layouts() -> impl Strategy<Value = Layout> {
    let shape = select(vec![(1, 1), (1, 3), (1, 64), (5, 13), (7, 9), (33, 4), (130, 130)]);
    let factor = select(vec![Factor::A, Factor::B, Factor::Dense]);
    vec((shape, factor), 1..5).prop_map(|tensors| {
        let tensors = tensors.into_iter().enumerate().map(|(number, ((rows, columns), factor))| TensorSpec {
            name: format!("t{number}"),
            factor,
            rows,
            columns,
        });
        layout(tensors.collect())
    })
}

fn layout(tensors: Vec<TensorSpec>) -> Layout {
    Layout::new(&AdapterSpec { rank: 4, alpha: 8, seed: 1, start: [0; 32], tensors }).unwrap()
}

fn codecs() -> impl Strategy<Value = Codec> {
    select(vec![Codec::Bfp16, Codec::Bfp8])
}

/// Q.32 values of every size: a seed makes as many as the layout wants.
fn values(layout: &Layout, seed: u64) -> Vec<i64> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bits = 20;
    (0..layout.len())
        .map(|place| {
            if place % 64 == 0 {
                bits = 1 + next() % 46;
            }
            let value = i64::try_from(next() % (1 << bits)).unwrap();
            let value = if next() % 16 == 0 { (1_i64 << bits) - 1 } else { value };
            if next() % 2 == 0 { value } else { -value }
        })
        .collect()
}

fn payload(layout: &Layout, codec: Codec, values: &[i64]) -> Payload {
    Payload::check(layout, codec, encode_q32(layout, codec, values).unwrap()).unwrap()
}

fn voice(layout: &Layout, codec: Codec, number: u8, round: u64, values: &[i64]) -> Voice {
    Voice {
        member: MemberId([number; 32]),
        record: RecordId([number ^ 0x5a; 32]),
        round: Round(round),
        payload: payload(layout, codec, values),
    }
}

fn policy(codec: Codec, momentum: u64, reach: u64) -> Policy {
    Policy {
        base_model: [0; 32],
        adapter: AdapterSpec { rank: 4, alpha: 8, seed: 1, start: [0; 32], tensors: Vec::new() },
        lora_rule: LoraRule::Both,
        merge: MergeRule::Mean,
        momentum,
        ages: AGES.to_vec(),
        draw: 8,
        norm_bound: 0,
        reach,
        codec,
        rounds: 0,
        steps: Steps { min: 1, max: 1 },
        round_ms: 0,
        checkpoint_every: 0,
        keep_rounds: 0,
        parts: vec![ADAPTER_PART.into()],
        witnesses: None,
        checks: None,
        privacy: None,
    }
}

fn network() -> NetworkId {
    NetworkId([9; 32])
}

fn merge(
    layout: &Layout,
    policy: &Policy,
    own: Option<&Voice>,
    others: &[Voice],
    state: Option<&State>,
    threads: usize,
) -> Merged {
    perform(Plan { network: network(), policy, layout, own, others, state: state.cloned(), spare: vec![1; 7], threads })
        .unwrap()
}

/// `merge/v1`'s mean and momentum from its definition, one value at a time.
fn reference(voices: &[(Vec<i64>, i128)], momentum: i128, state: Option<(&[i64], &[i64])>) -> (Vec<i64>, Vec<i64>) {
    let hold = |value: i128| value.clamp(1 - i128::from(LIMIT), i128::from(LIMIT) - 1);
    let total: i128 = voices.iter().map(|(_, weight)| weight).sum();
    let count = voices.first().map_or(0, |(values, _)| values.len());
    (0..count)
        .map(|i| {
            let mean = rne(voices.iter().map(|(values, weight)| i128::from(values[i]) * weight).sum(), total);
            let (x, v) = state.map_or((mean, 0), |(x, v)| (i128::from(x[i]), i128::from(v[i])));
            let v = hold(rne(momentum * v, 65_536) + mean - x);
            (i64::try_from(hold(mean + rne(momentum * v, 65_536))).unwrap(), i64::try_from(v).unwrap())
        })
        .unzip()
}

fn rne(number: i128, by: i128) -> i128 {
    let (floor, rest) = (number.div_euclid(by), number.rem_euclid(by));
    floor + i128::from(2 * rest > by || (2 * rest == by && floor % 2 != 0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_payload_is_the_one_encoding_of_its_values(layout in layouts(), codec in codecs(), seed in any::<u64>()) {
        let payload = payload(&layout, codec, &values(&layout, seed));
        let decoded = payload.to_q32(&layout);
        prop_assert_eq!(&encode_q32(&layout, codec, &decoded).unwrap(), payload.bytes());
        prop_assert_eq!(&encode_f32(&layout, codec, &payload.to_f32(&layout)).unwrap(), payload.bytes());
        prop_assert_eq!(f32_view(&decoded), payload.to_f32(&layout));
    }

    #[test]
    fn encoding_is_off_by_at_most_half_a_step_and_alike_for_floats(
        layout in layouts(), codec in codecs(), seed in any::<u64>(),
    ) {
        let exact = values(&layout, seed);
        // What f32 holds exactly is encoded alike from either side.
        let short: Vec<i64> = exact.iter().map(|value| value / (1 << 22) * (1 << 22)).collect();
        let from_floats = encode_f32(&layout, codec, &f32_view(&short)).unwrap();
        prop_assert_eq!(from_floats, encode_q32(&layout, codec, &short).unwrap());
        let coded = payload(&layout, codec, &exact).to_q32(&layout);
        let bits = if codec == Codec::Bfp16 { 15 } else { 7 };
        for (block, coded) in layout.slots().iter().flat_map(|slot| {
            exact[slot.values.clone()].chunks(64).zip(coded[slot.values.clone()].chunks(64))
        }) {
            let top = block.iter().map(|value| value.abs()).max().unwrap_or(0);
            // Half a step below the next power of two; what had to be held at the end of the range may be off by as much.
            let most = if top < 1 << bits { 0 } else { 1_i64 << (64 - top.leading_zeros() - bits) };
            for (value, coded) in block.iter().zip(coded) {
                prop_assert!((value - coded).abs() <= most, "{value} became {coded}, the block's largest is {top}");
            }
        }
    }

    #[test]
    fn distances_are_exact(layout in layouts(), codec in codecs(), seeds in any::<[u64; 2]>()) {
        let [a, b] = seeds.map(|seed| payload(&layout, codec, &values(&layout, seed)));
        let (left, right) = (a.to_q32(&layout), b.to_q32(&layout));
        let exact = left.iter().zip(&right).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum::<u128>();
        prop_assert_eq!(a.distance2(&b, &layout), exact);
        prop_assert_eq!(b.distance2(&a, &layout), exact);
        prop_assert_eq!(a.distance2_q32(&right, &layout), exact);
        prop_assert_eq!(a.distance2(&a, &layout), 0);
        let bound = u64::try_from(exact.isqrt() >> 16).unwrap();
        prop_assert_eq!(within_bound(exact, bound), (u128::from(bound) << 16).pow(2) >= exact);
        prop_assert!(within_bound(exact, bound + 1));
    }

    #[test]
    fn a_merge_is_the_definitions_whatever_the_order_and_the_threads(
        layout in layouts(),
        codec in codecs(),
        seeds in vec((any::<u64>(), 1..6_u64), 1..9),
        momentum in select(vec![0_u64, 1, 32_768, 65_535]),
        state in any::<[u64; 2]>(),
        threads in 2..9_usize,
        turn in 0..8_usize,
    ) {
        let voices: Vec<_> = seeds
            .iter()
            .zip(1..)
            .map(|((seed, round), number)| voice(&layout, codec, number, *round, &values(&layout, *seed)))
            .collect();
        let policy = policy(codec, momentum, u64::MAX);
        let (own, others) = voices.split_last().unwrap();
        let mut own = own.clone();
        own.round = Round(4);
        let state = State { x: values(&layout, state[0]), v: values(&layout, state[1]) };
        let state = (momentum != 0).then_some(&state);
        let merged = merge(&layout, &policy, Some(&own), others, state, 1);

        let weights = others.iter().chain([&own]).map(|voice| {
            let age = usize::try_from(4_u64.saturating_sub(voice.round.0)).unwrap();
            (voice.payload.to_q32(&layout), rne(i128::from(AGES[age]) * 1024, 65_536))
        });
        let (expected, v) = reference(
            &weights.collect::<Vec<_>>(), i128::from(momentum), state.map(|state| (&state.x[..], &state.v[..])),
        );
        prop_assert_eq!(&merged.values, &expected);
        if let Some(got) = &merged.momentum {
            prop_assert_eq!(got, &v);
        }
        let member = |record: &RecordId| voices.iter().find(|voice| voice.record == *record).map(|voice| voice.member);
        prop_assert!(merged.used.is_sorted_by_key(|(record, _)| member(record)));

        let mut turned = others.to_vec();
        let turn = turn % turned.len().max(1);
        turned.rotate_left(turn);
        let again = merge(&layout, &policy, Some(&own), &turned, state, threads);
        prop_assert_eq!((again.hash, again.values, again.momentum), (merged.hash, merged.values, merged.momentum));
    }

    #[test]
    fn equal_publications_of_equal_weight_merge_to_themselves(
        layout in layouts(), codec in codecs(), seed in any::<u64>(), count in 1..12_u8,
    ) {
        let values = values(&layout, seed);
        let voices: Vec<_> = (1..=count).map(|number| voice(&layout, codec, number, 3, &values)).collect();
        let merged = merge(&layout, &policy(codec, 0, 0), None, &voices, None, 1);
        prop_assert_eq!(merged.used.len(), usize::from(count));
        prop_assert_eq!(&merged.values, &voices[0].payload.to_q32(&layout));
        prop_assert_eq!(&encode_q32(&layout, codec, &merged.values).unwrap(), voices[0].payload.bytes());
    }

    #[test]
    fn a_flipped_bit_is_refused_or_shows_in_the_hash(
        layout in layouts(), codec in codecs(), seed in any::<u64>(), bit in any::<prop::sample::Index>(),
    ) {
        let honest = voice(&layout, codec, 1, 1, &values(&layout, seed));
        let mut bytes = honest.payload.bytes().to_vec();
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(payload) = Payload::check(&layout, codec, Bytes::from(bytes)) {
            let policy = policy(codec, 0, u64::MAX);
            let tampered = Voice { payload, ..honest.clone() };
            let of = |voice: &Voice| merge(&layout, &policy, Some(voice), &[], None, 1);
            prop_assert_ne!(of(&tampered).values, of(&honest).values);
            prop_assert_ne!(of(&tampered).hash, of(&honest).hash);
        }
    }

    #[test]
    fn the_momentum_recomputes_along_a_feed(layout in layouts(), seed in any::<u64>(), momentum in 1..65_536_u64) {
        let codec = Codec::Bfp16;
        let policy = policy(codec, momentum, u64::MAX);
        let run = |threads: usize, through_bytes: bool| {
            let mut own: Option<Voice> = None;
            let mut state: Option<State> = None;
            let mut hashes = Vec::new();
            for step in 0..4 {
                let other = voice(&layout, codec, 2, step + 1, &values(&layout, seed ^ step));
                let used = own.as_ref().and(state.as_ref());
                let merged = merge(&layout, &policy, own.as_ref(), &[other], used, threads);
                own = Some(voice(&layout, codec, 1, merged.round.0, &merged.values));
                hashes.push(merged.hash);
                state = merged.into_state().map(|state| {
                    if through_bytes { State::parse(&state.to_bytes(), &layout).unwrap() } else { state }
                });
            }
            hashes
        };
        prop_assert_eq!(run(1, false), run(3, true));
    }

    #[test]
    fn any_bytes_are_a_payload_or_refused(bytes in vec(any::<u8>(), 0..260), codec in codecs()) {
        let layout = layout(vec![TensorSpec { name: "t".into(), factor: Factor::A, rows: 1, columns: 65 }]);
        if let Ok(payload) = Payload::check(&layout, codec, bytes.into()) {
            prop_assert_eq!(&encode_q32(&layout, codec, &payload.to_q32(&layout)).unwrap(), payload.bytes());
        }
    }
}

#[test]
fn the_merge_hash_covers_the_plain_hash_of_the_state_on_any_number_of_threads() {
    // Odd lengths over several groups of the hash's tree; small values, and large ones that take more room in a checkpoint.
    let tensors = [(1, 70_001), (3, 16_384), (1, 1), (7, 2_341)]
        .into_iter()
        .enumerate()
        .map(|(number, (rows, columns))| TensorSpec { name: format!("t{number}"), factor: Factor::A, rows, columns });
    let layout = layout(tensors.collect());
    let codec = Codec::Bfp16;
    let small: Vec<i64> = (0..layout.len() as i64).map(|at| at * 9_973 % (1 << 28) - (1 << 27)).collect();
    for values in [values(&layout, 5), small] {
        let [own, other] = [1, 2].map(|number| voice(&layout, codec, number, 1, &values));
        let state = State { x: values.iter().map(|value| value / 3).collect(), v: values.clone() };
        for (momentum, before) in [(0, None), (40_000, None), (40_000, Some(&state))] {
            let policy = policy(codec, momentum, u64::MAX);
            let mine = (momentum == 0 || before.is_some()).then_some(&own);
            for threads in 1..6 {
                let others = [other.clone()];
                let plan = Plan {
                    network: network(),
                    policy: &policy,
                    layout: &layout,
                    own: mine,
                    others: &others,
                    state: before.cloned(),
                    spare: Vec::new(),
                    threads,
                };
                let merged = perform_measured(plan, Some(&own.payload)).unwrap();
                let view = || f32_view(&merged.values).iter().flat_map(|value| value.to_le_bytes()).collect::<Bytes>();
                let bytes = merged.checkpoint().unwrap_or_else(view);
                assert_eq!(merged.state, blob_hash(&bytes), "{threads} threads, momentum {momentum}");
                let member =
                    |record| mine.into_iter().chain(&others).find(|voice| voice.record == record).unwrap().member;
                let used = merged.used.iter().map(|(record, weight)| (member(*record), *record, *weight));
                let hash = merge_hash(network(), merged.round, policy.merge, used, &merged.state);
                assert_eq!(merged.hash, hash);
                assert_eq!(merged.moved2, Some(own.payload.distance2_q32(&merged.values, &layout)));
            }
        }
    }
}

#[test]
fn ties_go_to_the_even_one_on_either_side_of_zero() {
    let layout = layout(vec![TensorSpec { name: "t".into(), factor: Factor::A, rows: 1, columns: 6 }]);
    let codec = Codec::Bfp16;
    let a = voice(&layout, codec, 1, 1, &[1, 3, 5, -1, -3, -5]);
    let b = voice(&layout, codec, 2, 1, &[0, 0, 0, 0, 0, 0]);
    let merged = merge(&layout, &policy(codec, 0, u64::MAX), Some(&a), &[b], None, 1);
    assert_eq!(merged.values, [0, 2, 2, 0, -2, -2]);
}

#[test]
fn extremes_stay_within_bounds() {
    let layout = layout(vec![TensorSpec { name: "t".into(), factor: Factor::A, rows: 1, columns: 65 }]);
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        for sign in [1, -1] {
            let most = vec![sign * (LIMIT - 1); layout.len()];
            let voices: Vec<_> = (1..=64).map(|number| voice(&layout, codec, number, 1, &most)).collect();
            let held = voices[0].payload.to_q32(&layout);
            let (own, others) = voices.split_first().unwrap();
            let merged = merge(&layout, &policy(codec, 0, 0), Some(own), others, None, 2);
            assert_eq!(merged.values, held);
            assert_eq!(merged.used.iter().map(|(_, weight)| weight).sum::<u64>(), 65_536);

            let state = State { x: most.iter().map(|value| -value).collect(), v: most.clone() };
            let merged = merge(&layout, &policy(codec, 65_535, 0), Some(own), others, Some(&state), 1);
            assert_eq!(merged.values, most, "held at the bound");
            assert_eq!(merged.momentum, Some(most));
        }
    }
}

#[test]
fn nobody_to_merge_is_the_start() {
    let tensors = vec![TensorSpec { name: "t".into(), factor: Factor::A, rows: 3, columns: 40 }];
    let layout = layout(tensors);
    for momentum in [0, 32_768] {
        let merged = merge(&layout, &policy(Codec::Bfp16, momentum, 0), None, &[], None, 1);
        assert_eq!((merged.round, merged.used.len()), (Round(1), 0));
        assert_eq!(merged.values, layout.start(1));
        assert_eq!(merged.momentum, (momentum != 0).then(|| vec![0; layout.len()]));
    }
}
