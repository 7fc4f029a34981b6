//! The golden vectors of payloads, merges, draws and spot checks, made by another implementation: `scripts/vectors_merge.py`.
#![allow(clippy::unwrap_used)] // Helpers of tests, too, may fail loudly.

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, PayloadError, encode_f32, encode_q32, start_hash},
    base::{Incarnation, MemberId, NetworkId, RecordId, Round},
    code::blob_hash,
    draw::{self, Seed},
    manifest::{ADAPTER_PART, AdapterSpec, Codec, Factor, LoraRule, MergeRule, Policy, Steps, TensorSpec},
    merge::{MergeError, Merged, Plan, State, Voice, perform},
};
use serde_json::Value;

const PAYLOAD: &str = include_str!("../vectors/payload.json");
const MERGE: &str = include_str!("../vectors/merge.json");

#[test]
fn the_starting_adapter_is_the_other_implementations() {
    let (vectors, layouts) = read(PAYLOAD);
    for case in list(&vectors["start"]) {
        let values = layout(&layouts, case).start(unsigned(&case["seed"]));
        assert_eq!(values, integers(&case["values"]), "{case}");
        assert_eq!(hex::encode(start_hash(&values)), text(&case["hash"]));
    }
}

#[test]
fn integers_are_encoded_as_the_other_implementation_does() {
    let (vectors, layouts) = read(PAYLOAD);
    for case in list(&vectors["encode"]) {
        let encoded = encode_q32(layout(&layouts, case), codec(case), &integers(&case["values"]));
        compare(case, encoded);
    }
}

#[test]
fn floats_are_encoded_as_the_other_implementation_does() {
    let (vectors, layouts) = read(PAYLOAD);
    for case in list(&vectors["encode_f32"]) {
        let bits = list(&case["bits"]).iter().map(|bits| u32::try_from(unsigned(bits)).unwrap());
        let values: Vec<_> = bits.map(f32::from_bits).collect();
        compare(case, encode_f32(layout(&layouts, case), codec(case), &values));
    }
}

#[test]
fn payloads_are_read_or_refused_as_the_other_implementation_does() {
    let (vectors, layouts) = read(PAYLOAD);
    for case in list(&vectors["check"]) {
        let layout = layout(&layouts, case);
        match Payload::check(layout, codec(case), payload(&case["payload"])) {
            Ok(payload) => assert_eq!(payload.to_q32(layout), integers(&case["values"]), "{case}"),
            Err(error) => assert_eq!(error.code(), text(&case["code"]), "{case}"),
        }
    }
}

#[test]
fn draws_are_the_other_implementations() {
    let (vectors, _) = read(PAYLOAD);
    for case in list(&vectors["draw"]) {
        let network: NetworkId = text(&case["network"]).parse().unwrap();
        let me = text(&case["me"]).parse().unwrap();
        let merged = list(&case["merged"]).iter().map(|id| text(id).parse().unwrap()).collect();
        let seed = Seed { round: Round(unsigned(&case["round"])), merged };
        let order =
            draw::order(&network, &me, Incarnation(unsigned(&case["incarnation"])), &seed, &members(&case["members"]));
        assert_eq!(order, members(&case["order"]), "{case}");
    }
}

#[test]
fn others_merges_are_recomputed_in_the_other_implementations_order() {
    let (vectors, _) = read(PAYLOAD);
    let cases = list(&vectors["check_order"]);
    assert!(cases.iter().any(|case| list(&case["order"]).len() > 8), "more words than one block has");
    for case in cases {
        let (network, me) = (text(&case["network"]).parse().unwrap(), text(&case["me"]).parse().unwrap());
        let published: RecordId = text(&case["published"]).parse().unwrap();
        let order = draw::check_order(&network, &me, &published, &members(&case["members"]));
        assert_eq!(order, members(&case["order"]), "{case}");
    }
}

fn members(ids: &Value) -> Vec<MemberId> {
    list(ids).iter().map(|id| text(id).parse().unwrap()).collect()
}

#[test]
fn merges_are_the_other_implementations_on_any_number_of_threads() {
    let (vectors, layouts) = read(MERGE);
    for case in list(&vectors["merge"]) {
        for threads in [1, 3] {
            match (merge(case, layout(&layouts, case), threads), case.get("error")) {
                (Ok(merged), None) => compare_merge(&case["expect"], &merged),
                (Err(error), Some(expected)) => assert_eq!(name(&error), text(expected), "{case}"),
                (result, _) => panic!("{result:?} for {case}"),
            }
        }
    }
}

fn merge(case: &Value, layout: &Layout, threads: usize) -> Result<Merged, MergeError> {
    let voice = |value: &Value| Voice {
        member: text(&value["member"]).parse().unwrap(),
        record: text(&value["record"]).parse().unwrap(),
        round: Round(unsigned(&value["round"])),
        payload: Payload::check(layout, codec(case), payload(&value["payload"])).unwrap(),
    };
    let own = case.get("own").filter(|own| !own.is_null()).map(voice);
    let others: Vec<_> = list(&case["others"]).iter().map(voice).collect();
    let state = case.get("state").filter(|state| !state.is_null());
    let state = state.map(|state| State { x: integers(&state["x"]), v: integers(&state["v"]) });
    let policy = policy(case);
    perform(Plan {
        network: text(&case["network"]).parse().unwrap(),
        policy: &policy,
        layout,
        own: own.as_ref(),
        others: &others,
        state,
        spare: Vec::new(),
        threads,
    })
}

fn compare_merge(expected: &Value, merged: &Merged) {
    assert_eq!(merged.round.0, unsigned(&expected["round"]), "{expected}");
    let used = list(&expected["used"]).iter().map(|pair| (text(&pair[0]).parse().unwrap(), unsigned(&pair[1])));
    assert_eq!(merged.used, used.collect::<Vec<(RecordId, u64)>>(), "{expected}");
    let out = list(&expected["out_of_reach"]).iter().map(|id| text(id).parse().unwrap());
    assert_eq!(merged.out_of_reach, out.collect::<Vec<MemberId>>(), "{expected}");
    compare_values(&expected["values"], Some(&merged.values));
    compare_values(&expected["v"], merged.momentum.as_ref());
    assert_eq!(merged.state.to_string(), text(&expected["state"]), "{expected}");
    if let Some(bytes) = merged.checkpoint() {
        assert_eq!(merged.state, blob_hash(&bytes), "{expected}");
    }
    assert_eq!(merged.hash.to_string(), text(&expected["hash"]), "{expected}");
}

fn compare_values(expected: &Value, values: Option<&Vec<i64>>) {
    match (expected, values) {
        (Value::Array(_), Some(values)) => assert_eq!(*values, integers(expected)),
        (Value::String(hash), Some(values)) => {
            let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(blake3::hash(&bytes).to_string(), *hash);
        }
        (Value::Null, None) => {}
        other => panic!("{other:?}"),
    }
}

fn compare(case: &Value, encoded: Result<Bytes, PayloadError>) {
    match encoded {
        Ok(bytes) => assert_eq!(Some(hex::encode(&bytes).as_str()), case["payload"].as_str(), "{case}"),
        Err(error) => assert_eq!(Some(error.code()), case["code"].as_str(), "{case}"),
    }
}

fn name(error: &MergeError) -> &'static str {
    match error {
        MergeError::Window { .. } => "Window",
        MergeError::Twice { .. } => "Twice",
        MergeError::Payload { .. } => "Payload",
        MergeError::Weights { .. } => "Weights",
        MergeError::Momentum { .. } => "Momentum",
        MergeError::StateMissing => "StateMissing",
        MergeError::StateSuperfluous => "StateSuperfluous",
        MergeError::State { .. } => "State",
    }
}

fn policy(case: &Value) -> Policy {
    let adapter = AdapterSpec { rank: 1, alpha: 1, seed: unsigned(&case["seed"]), start: [0; 32], tensors: Vec::new() };
    Policy {
        base_model: [0; 32],
        adapter,
        lora_rule: LoraRule::Both,
        merge: MergeRule::Mean,
        momentum: unsigned(&case["momentum"]),
        ages: list(&case["ages"]).iter().map(unsigned).collect(),
        draw: 8,
        norm_bound: 0,
        reach: unsigned(&case["reach"]),
        codec: codec(case),
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

fn read(vectors: &str) -> (Value, Vec<Layout>) {
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let layouts = list(&vectors["layouts"]).iter().map(|layout| {
        let tensors = list(&layout["tensors"]).iter().map(|tensor| TensorSpec {
            name: text(&tensor["name"]).into(),
            factor: match text(&tensor["factor"]) {
                "A" => Factor::A,
                "B" => Factor::B,
                _ => Factor::Dense,
            },
            rows: unsigned(&tensor["rows"]),
            columns: unsigned(&tensor["columns"]),
        });
        let tensors = tensors.collect();
        Layout::new(&AdapterSpec { rank: 1, alpha: 1, seed: 0, start: [0; 32], tensors }).unwrap()
    });
    let layouts = layouts.collect();
    (vectors, layouts)
}

fn layout<'a>(layouts: &'a [Layout], case: &Value) -> &'a Layout {
    &layouts[usize::try_from(unsigned(&case["layout"])).unwrap()]
}

fn codec(case: &Value) -> Codec {
    if case["codec"] == "bfp16" { Codec::Bfp16 } else { Codec::Bfp8 }
}

fn payload(value: &Value) -> Bytes {
    hex::decode(text(value)).unwrap().into()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn integers(value: &Value) -> Vec<i64> {
    list(value).iter().map(|value| value.as_i64().unwrap()).collect()
}

fn unsigned(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
