//! How many records one core checks in a second: whole, and all but the signature.
//!
//! `cargo run --release -p chorale-protocol --example bench_records [records]`
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and may stop at a failure"
)]

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use chorale_protocol::{
    code::Domain,
    feed::{Checked, check, check_stored},
    fixture::{self, Author},
    manifest::Chain,
};

const AUTHORS: u64 = 32;
const PARENTS: usize = 3;

/// Updates of 32 members in turn, each on three others' newest ones, as a busy network has them.
fn records(chain: &Chain, count: usize) -> Vec<Bytes> {
    let mut authors: Vec<Author> = (0..AUTHORS).map(Author::new).collect();
    let mut newest: Vec<Checked> = authors.iter_mut().map(|author| author.update(chain, 1, &[])).collect();
    let mut all = Vec::with_capacity(count);
    for n in 0..count {
        let parents: Vec<Checked> = (1..=PARENTS).map(|step| newest[(n + step) % newest.len()].clone()).collect();
        let round = 2 + (n / newest.len()) as u64;
        let place = n % newest.len();
        newest[place] = authors[place].update(chain, round, &parents.iter().collect::<Vec<_>>());
        all.push(newest[place].bytes().clone());
    }
    all
}

fn rate(records: &[Bytes], mut each: impl FnMut(&Bytes)) -> f64 {
    let (wall, cpu) = (Instant::now(), cpu_ns());
    records.iter().for_each(&mut each);
    let cpu = cpu_ns().zip(cpu).map(|(now, then)| (now - then) as f64 * 1e-9);
    records.len() as f64 / cpu.unwrap_or_else(|| wall.elapsed().as_secs_f64())
}

/// Time that this thread spent on a processor, where the system tells: others' load then matters less.
fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn main() {
    let count = std::env::args().nth(1).map_or(20_000, |count| count.parse().unwrap());
    let chain = fixture::chain(AUTHORS, fixture::policy());
    let records = records(&chain, count);
    let bytes: usize = records.iter().map(Bytes::len).sum();
    let whole = rate(&records, |record| drop(black_box(check(record.clone(), &chain).unwrap())));
    let stored = rate(&records, |record| drop(black_box(check_stored(record.clone(), &chain).unwrap())));
    println!("{count} records of {} bytes on average, {PARENTS} parents each, one core", bytes / count);
    println!("check         {whole:>9.0} records/s");
    let payloads: Vec<Bytes> = records.iter().map(|record| record.slice(4..record.len() - 66)).collect();
    let (key, public) = (fixture::author(0), fixture::author(0).public());
    let signature = key.sign(Domain::Record, &payloads[0]);
    let verify = rate(&payloads, |_| public.verify(Domain::Record, &payloads[0], &signature).unwrap());
    println!("signature     {verify:>9.0} records/s");
    println!("check_stored  {stored:>9.0} records/s");
}
