//! What payloads and merges cost on this machine, on one core unless said otherwise.
//!
//! `cargo run --release -p chorale-protocol --example bench_merge [-- <million values> <voices>]`
#![allow(clippy::disallowed_methods)] // A benchmark looks at the clock.
#![allow(clippy::cast_precision_loss)]

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, encode_f32, encode_q32, f32_view, publish},
    base::{MemberId, NetworkId, RecordId, Round},
    manifest::{ADAPTER_PART, AdapterSpec, Codec, Factor, LoraRule, MergeRule, Phase, Policy, Steps, TensorSpec},
    merge::{Plan, State, Voice, perform},
};

/// Any error, for `main`.
type Fail = Box<dyn std::error::Error>;

const REPEATS: usize = 5;
/// Values of one tensor: rank 16 on a projection of 4096.
const RANK: u64 = 16;
const WIDTH: u64 = 4096;

fn main() -> Result<(), Fail> {
    let mut arguments = std::env::args().skip(1);
    let millions: u64 = arguments.next().map_or(Ok(25), |text| text.parse())?;
    let count: u8 = arguments.next().map_or(Ok(8), |text| text.parse())?;
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        bench(millions, count, codec)?;
    }
    Ok(())
}

fn bench(millions: u64, count: u8, codec: Codec) -> Result<(), Fail> {
    let policy = policy(millions, codec);
    let layout = Layout::new(&policy.adapter)?;
    println!("{codec:?}: {} values, {} payload bytes", layout.len(), layout.payload_len(codec));
    let f32_bytes = 4.0 * layout.len() as f64;

    let start = timed("start (integers from the hash stream)", f32_bytes, || layout.start(7));
    let view = timed("f32_view", f32_bytes, || f32_view(&start));
    let trained = jitter(&view, 1);
    let encoded = timed("encode_f32", f32_bytes, || encode_f32(&layout, codec, &trained))?;
    timed("encode_q32 (of the start)", f32_bytes, || encode_q32(&layout, codec, &start))?;
    let payload = timed("Payload::check", f32_bytes, || Payload::check(&layout, codec, encoded.clone()))?;
    timed("to_f32", f32_bytes, || payload.to_f32(&layout));
    timed("to_q32", f32_bytes, || payload.to_q32(&layout));
    timed("distance2_q32", f32_bytes, || payload.distance2_q32(&start, &layout));
    let (mut residual, mut spare) = (vec![0.0; layout.len()], Vec::new());
    timed("publish", f32_bytes, || {
        publish(&layout, codec, Phase::Both, 1 << 40, &start, &trained, &mut residual, &mut spare)
            .map(|published| published.norm)
    })?;

    let voices = (1..=count)
        .map(|number| voice(&layout, codec, &jitter(&view, number), number))
        .collect::<Result<Vec<_>, Fail>>()?;
    timed("distance2 (one pair)", f32_bytes, || {
        let (first, last) = (voices.first(), voices.last());
        first.zip(last).map(|(a, b)| a.payload.distance2(&b.payload, &layout))
    });
    let (own, others) = voices.split_first().ok_or("no voices")?;
    for threads in [1, 2] {
        for momentum in [0, 32_768] {
            let policy = Policy { momentum, ..policy.clone() };
            // As a node does from round to round: the memory of one merge is the next one's.
            let mut spare = Vec::new();
            let mut state = (momentum != 0).then(|| State { x: start.clone(), v: start.clone() });
            let merge = || {
                let plan = Plan {
                    network: NetworkId([1; 32]),
                    policy: &policy,
                    layout: &layout,
                    own: Some(own),
                    others,
                    state: state.take(),
                    spare: std::mem::take(&mut spare),
                    threads,
                };
                let merged = perform(plan)?;
                let hash = merged.hash.short();
                match merged.momentum {
                    Some(v) => state = Some(State { x: merged.values, v }),
                    None => spare = merged.values,
                }
                Ok::<_, Fail>(hash)
            };
            let name = format!("merge of {count}, momentum {momentum}/65536, threads {threads}");
            println!("    hash {}", timed(&name, f32_bytes, merge)?);
        }
    }
    Ok(())
}

/// Runs `work` some times and prints the least time by the clock, and the least that this thread spent on a processor:
/// on a busy machine only the latter says something.
fn timed<T>(name: &str, bytes: f64, mut work: impl FnMut() -> T) -> T {
    let (mut wall, mut busy) = (f64::INFINITY, f64::INFINITY);
    let mut measured = || {
        let (start, used) = (Instant::now(), on_processor());
        let result = black_box(work());
        wall = wall.min(start.elapsed().as_secs_f64());
        busy = busy.min(on_processor() - used);
        result
    };
    let mut result = measured();
    for _ in 1..REPEATS {
        drop(result);
        result = measured();
    }
    let rate = bytes / wall.min(busy) / 1e9;
    println!("  {name:<48} {:>8.1} ms, {:>8.1} ms on a processor, {rate:>6.2} GB/s of f32", wall * 1e3, busy * 1e3);
    result
}

/// Seconds that this thread has spent on a processor, as Linux counts them; elsewhere NaN.
fn on_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).map_or(f64::NAN, |ns| ns / 1e9)
}

fn policy(millions: u64, codec: Codec) -> Policy {
    let tensors = (0..millions * 1_000_000 / (RANK * WIDTH))
        .map(|number| {
            let factor = if number % 2 == 0 { Factor::A } else { Factor::B };
            TensorSpec { name: format!("layer.{number:05}"), factor, rows: RANK, columns: WIDTH }
        })
        .collect();
    Policy {
        base_model: [0; 32],
        adapter: AdapterSpec { rank: RANK, alpha: 2 * RANK, seed: 7, start: [0; 32], tensors },
        lora_rule: LoraRule::Both,
        merge: MergeRule::Mean,
        momentum: 0,
        ages: vec![65_536, 46_341, 37_837, 32_768],
        draw: 7,
        // The defaults of `chorale network create`: 0.1 and 0.4 times the root of the number of values.
        norm_bound: (6_553.6 * (millions as f64 * 1e6).sqrt()) as u64,
        reach: (26_214.4 * (millions as f64 * 1e6).sqrt()) as u64,
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

/// `values`, each moved by about a thousandth, differently for each `number`.
fn jitter(values: &[f32], number: u8) -> Vec<f32> {
    let mut state = u32::from(number) * 2_654_435_761 + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as f32 / 65_536.0 - 0.5
    };
    values.iter().map(|value| value + 0.002 * next()).collect()
}

fn voice(layout: &Layout, codec: Codec, values: &[f32], number: u8) -> Result<Voice, Fail> {
    let bytes: Bytes = encode_f32(layout, codec, values)?;
    Ok(Voice {
        member: MemberId([number; 32]),
        record: RecordId([number; 32]),
        round: Round(u64::from(number % 3) + 1),
        payload: Payload::check(layout, codec, bytes)?,
    })
}
