//! How many messages a second one core refuses, by kind: what a flood of them costs a node whose network has 64 members.
//!
//! `cargo run --release -p chorale-protocol --example bench_flood [messages]`
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and may stop at a failure"
)]

use std::time::Instant;

use bytes::Bytes;
use chorale_protocol::{
    adapter::Layout,
    base::{Lamport, Millis, Seq},
    engine::{Config, Engine, Input, Stored, Ticket},
    feed::{Body, Checked, Spec, sign},
    fixture::{self, Author},
    manifest::{Chain, Policy},
    wire::Presence,
};

const MEMBERS: u64 = 64;
/// Who floods.
const LIAR: u64 = 1;

struct Flood {
    kind: &'static str,
    /// What comes before, unmeasured.
    before: Vec<Input>,
    messages: Vec<Input>,
}

fn engine(chain: &Chain) -> Engine {
    let config = Config {
        me: fixture::member(0).id,
        key: fixture::author(0),
        spare: Vec::new(),
        start_wait_ms: 5_000,
        wait_share: 1 << 16,
        gather_max_ms: 30_000,
        gather_min_ms: 250,
        fetch_ms: 60_000,
        presence_ms: 10_000,
        fetches: 8,
    };
    let mut engine = Engine::new(config, chain.clone(), Stored::default(), Millis(0)).unwrap();
    for n in 1..MEMBERS {
        engine.handle(Millis(0), Input::PeerUp { peer: fixture::transport(n) });
    }
    for n in 1..MEMBERS {
        let update = update(&mut Author::new(n), chain, 1, &[]);
        engine.handle(Millis(0), record(update.bytes().clone()));
    }
    while engine.poll().is_some() {}
    engine
}

fn record(bytes: Bytes) -> Input {
    Input::Record { bytes, from: fixture::transport(LIAR), ticket: Some(Ticket(0)) }
}

fn spoilt(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

/// An update with a payload of the layout's length.
fn update(author: &mut Author, chain: &Chain, round: u64, parents: &[&Checked]) -> Checked {
    let policy = &chain.current().policy;
    let mut draft = author.draft(chain, parents, Spec::Update(fixture::update(chain, round, parents.len())));
    let length = Layout::new(&policy.adapter).unwrap().payload_len(policy.codec);
    draft.body = draft.body.map(|body| Body { length, ..body });
    author.write(draft)
}

/// Updates of the liar, each after the one before and built on its first; that makes them of round 2.
fn chained(chain: &Chain, count: usize, round: u64) -> Vec<Checked> {
    let mut author = Author::new(LIAR);
    let first = update(&mut author, chain, 1, &[]);
    (0..count).map(|_| update(&mut author, chain, round, &[&first])).collect()
}

fn presence(chain: &Chain, counter: u64) -> Bytes {
    let presence = Presence {
        network: chain.network(),
        member: fixture::member(LIAR).id,
        peer: fixture::transport(LIAR),
        addresses: vec![vec![4, 127, 0, 0, 1, 6, 15, 161]],
        head: None,
        manifest_version: 0,
        counter,
    };
    presence.sign(&fixture::author(LIAR))
}

fn heard(bytes: Bytes) -> Input {
    Input::Presence { bytes, from: fixture::transport(LIAR), ticket: Some(Ticket(0)) }
}

fn floods(chain: &Chain, count: usize) -> Vec<Flood> {
    let flood = |kind, before, messages| Flood { kind, before, messages };
    let good = chained(chain, count, 2);
    let known = update(&mut Author::new(2), chain, 1, &[]).bytes().clone();
    let last = good[0].bytes().len() - 1;
    let body = good[0].bytes().len() / 2;
    let twice = |n: u64| {
        let mut draft = Author::new(LIAR).draft(chain, &[], Spec::Update(fixture::update(chain, 1, 0)));
        (draft.seq, draft.clock) = (Seq(0), Lamport(1));
        draft.claimed_time.0 += 60 * n;
        sign(draft, &fixture::author(LIAR)).unwrap()
    };
    let broken = chained(chain, count, 7);
    let far = |one: &Checked| record(one.bytes().clone());
    vec![
        flood("no record at all", vec![], vec![record(vec![7; 1024].into()); count]),
        flood("a record known already", vec![], vec![record(known); count]),
        flood("a wrong signature", vec![], good.iter().map(|one| record(spoilt(one.bytes(), last))).collect()),
        flood(
            "one byte of the payload changed",
            vec![],
            good.iter().map(|one| record(spoilt(one.bytes(), body))).collect(),
        ),
        flood("a record behind a gap", vec![], good.iter().skip(1).map(far).collect()),
        flood("records after a broken rule", vec![], broken.iter().map(far).collect()),
        flood("records of a convicted member", vec![far(&twice(1)), far(&twice(2))], good.iter().map(far).collect()),
        flood("presence, not new", vec![heard(presence(chain, 9))], vec![heard(presence(chain, 1)); count]),
        flood("presence, too many", vec![], (1..=count as u64).map(|n| heard(presence(chain, n))).collect()),
        flood("presence, wrong signature", vec![], {
            let one = presence(chain, 1);
            vec![heard(spoilt(&one, one.len() - 1)); count]
        }),
        flood("a manifest that is no manifest", vec![], {
            let input = || Input::Manifest { bytes: vec![0x82; 1024].into(), from: Some(fixture::transport(LIAR)) };
            (0..count).map(|_| input()).collect()
        }),
    ]
}

fn main() {
    let count = std::env::args().nth(1).map_or(20_000, |count| count.parse().unwrap());
    let chain = fixture::chain(MEMBERS, Policy { momentum: 0, ..fixture::policy() });
    println!("{MEMBERS} members, {count} messages of each kind, one core");
    for Flood { kind, before, messages } in floods(&chain, count) {
        let mut engine = engine(&chain);
        for input in before {
            engine.handle(Millis(0), input);
        }
        let (wall, cpu) = (Instant::now(), cpu_ns());
        let number = messages.len();
        for input in messages {
            engine.handle(Millis(0), input);
            while engine.poll().is_some() {}
        }
        let cpu = cpu_ns().zip(cpu).map(|(now, then)| (now - then) as f64 * 1e-9);
        let rate = number as f64 / cpu.unwrap_or_else(|| wall.elapsed().as_secs_f64());
        println!("{kind:<32} {rate:>9.0} messages/s");
    }
}

/// Time that this thread spent on a processor, where the system tells: others' load then matters less.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
