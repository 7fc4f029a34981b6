//! Wider registers change no bit of a merge.

use super::{Plan, State, Voice, perform::perform_at};
use crate::{
    adapter::{Layout, Payload, encode_q32, simd::Level},
    base::{MemberId, NetworkId, RecordId, Round},
    manifest::{ADAPTER_PART, AdapterSpec, Codec, Factor, LoraRule, MergeRule, Policy, Steps, TensorSpec},
};

fn policy(codec: Codec, momentum: u64) -> Policy {
    let tensors = [(130, 130), (5, 13)].into_iter().enumerate().map(|(number, (rows, columns))| TensorSpec {
        name: format!("t{number}"),
        factor: Factor::A,
        rows,
        columns,
    });
    Policy {
        base_model: [0; 32],
        adapter: AdapterSpec { rank: 1, alpha: 1, seed: 0, start: [0; 32], tensors: tensors.collect() },
        lora_rule: LoraRule::Both,
        merge: MergeRule::Mean,
        momentum,
        ages: vec![65_536, 46_341, 37_837, 32_768],
        draw: 8,
        norm_bound: 0,
        reach: u64::MAX,
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

/// Block by block larger, up to `bits`, so that every way of adding and dividing is taken.
fn voice(layout: &Layout, codec: Codec, number: u8, bits: usize) -> Voice {
    let start = layout.start(u64::from(number));
    let sized = |(place, value): (usize, &i64)| {
        let spread = (place / 64 + usize::from(number) * (place / 4096)) % bits;
        value.wrapping_mul(0x9e37_79b9) % (1 << spread)
    };
    let values: Vec<_> = start.iter().enumerate().map(sized).collect();
    Voice {
        member: MemberId([number; 32]),
        record: RecordId([number; 32]),
        round: Round(u64::from(number % 4) + 1),
        payload: Payload::check(layout, codec, encode_q32(layout, codec, &values).unwrap()).unwrap(),
    }
}

#[test]
fn every_level_merges_to_the_same_bits() {
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        for momentum in [0, 40_000] {
            let policy = policy(codec, momentum);
            let layout = Layout::new(&policy.adapter).unwrap();
            let mut voices: Vec<_> = (1..9).map(|number| voice(&layout, codec, number, 46)).collect();
            voices[0].round = Round(4);
            let state = State { x: voices[1].payload.to_q32(&layout), v: voices[2].payload.to_q32(&layout) };
            let state = (momentum != 0).then_some(&state);
            for count in 1..=voices.len() {
                let (own, others) = (voices.first(), &voices[1..count]);
                let network = NetworkId([1; 32]);
                let of = |level| {
                    let plan = Plan {
                        network,
                        policy: &policy,
                        layout: &layout,
                        own,
                        others,
                        state: state.cloned(),
                        spare: Vec::new(),
                        threads: 1,
                    };
                    let merged = perform_at(plan, voices.last().map(|voice| &voice.payload), level).unwrap();
                    (merged.hash, merged.values, merged.momentum, merged.moved2)
                };
                let levels = Level::all();
                let expected = of(levels[0]);
                for level in levels {
                    assert_eq!(of(level), expected, "{level:?} with {count} voices");
                }
            }
        }
    }
}
