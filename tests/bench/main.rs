//! What a round costs beside training: member processes with the fake trainer over loopback.
//!
//! `cargo run --release -p chorale-tests --bin bench-round -- --nodes 4 --values 1000000`
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

use std::{fs, path::Path};

use anyhow::{Context, Result};
use chorale::train::{FakeOptions, FakeTrainer, Trainer};
use chorale_protocol::{adapter::Layout, manifest::Codec};
use chorale_tests::fleet::{Line, Member, Network, Options, Shape};
use clap::Parser;

/// Rounds before the measuring starts.
const WARM: u64 = 3;
/// Clock ticks a second in /proc; Linux has had no other value for user space in decades.
const TICKS: f64 = 100.0;

#[derive(Debug, Parser)]
struct Args {
    /// Member processes
    #[arg(long, default_value_t = 4)]
    nodes: usize,
    /// Values of the adapter
    #[arg(long, default_value_t = 1_000_000)]
    values: u64,
    /// Rounds to measure
    #[arg(long, default_value_t = 12)]
    rounds: u64,
    /// Threads of a merge
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Without outer momentum
    #[arg(long)]
    plain: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let exe = std::env::current_exe()?.with_file_name("chorale-test-node");
    let shape =
        Shape { members: args.nodes, values: args.values, momentum: !args.plain, keep_rounds: 4, ..Shape::default() };
    let network = Network::new(shape);
    let folder = tempfile::tempdir()?;
    let mut options = Options { merge_threads: args.threads, cheap: true, ..Options::default() };
    let mut members = Vec::new();
    for index in 0..args.nodes {
        let home = folder.path().join(format!("m{index}"));
        let mut member = Member::start(&exe, &network, index, &home, &options);
        if index == 0 {
            options.bootstrap.push(member.address());
        }
        members.push(member);
    }
    // Everyone merges everyone before anything is measured.
    let mut from = 0;
    for member in &mut members {
        let full = member.round("full round", |round| round.contributors.len() == args.nodes);
        from = from.max(full.round + WARM);
    }
    members.iter_mut().for_each(|member| drop(member.round("warm round", |round| round.round >= from)));
    let before = Usage::of(&members, folder.path())?;
    let to = from + args.rounds;
    members.iter_mut().for_each(|member| drop(member.round("last round", |round| round.round >= to)));
    let after = Usage::of(&members, folder.path())?;
    report(&args, &mut members, (from, to), &before, &after)
}

/// What the processes used so far.
struct Usage {
    cpu_s: f64,
    blob_in: u64,
    total_in: u64,
    peak_bytes: u64,
    /// Of these, what lies in files: program and libraries, libtorch above all.
    mapped_bytes: u64,
}

impl Usage {
    fn of(members: &[Member], folder: &Path) -> Result<Self> {
        let mut usage = Self { cpu_s: 0.0, blob_in: 0, total_in: 0, peak_bytes: 0, mapped_bytes: 0 };
        for member in members {
            let (ticks, peak, mapped) = process(member.pid())?;
            usage.cpu_s += ticks as f64 / TICKS;
            usage.peak_bytes = usage.peak_bytes.max(peak);
            usage.mapped_bytes = usage.mapped_bytes.max(mapped);
            let text = fs::read(folder.join(format!("m{}/status.json", member.index())))?;
            let status: chorale::driver::Status = serde_json::from_slice(&text)?;
            usage.blob_in += status.blob_in;
            usage.total_in += status.total_in;
        }
        Ok(usage)
    }
}

/// CPU ticks, peak resident bytes and mapped resident bytes of a process.
fn process(pid: u32) -> Result<(u64, u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces; fields are counted after it. utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("a stat line")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields.get(11).context("utime")?.parse::<u64>()? + fields.get(12).context("stime")?.parse::<u64>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |key: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).with_context(|| key.to_owned())?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    };
    Ok((ticks, bytes("VmHWM:")?, bytes("RssFile:")?))
}

fn report(args: &Args, members: &mut [Member], window: (u64, u64), before: &Usage, after: &Usage) -> Result<()> {
    let (mut coordination, mut merge, mut keep, mut gather) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut partial, mut rounds) = (0, 0.0);
    for member in members.iter_mut() {
        let mut last: Option<u64> = None;
        let mut train = 0;
        for line in member.said() {
            match line {
                Line::Work(_, [merging, training, keeping]) => {
                    train = *training;
                    merge.push(*merging);
                    keep.push(*keeping);
                }
                Line::Round(round) => {
                    // A member that lands at the frontier passes numbers by: what it did are its lines.
                    rounds += if round.round > window.0 && round.round <= window.1 { 1.0 } else { 0.0 };
                    if let Some(last) = last.filter(|_| round.round > window.0 && round.round <= window.1) {
                        coordination.push((round.at_us - last).saturating_sub(train));
                        gather.push(round.gather_ms * 1000);
                        partial += usize::from(round.contributors.len() < args.nodes);
                    }
                    last = Some(round.at_us);
                }
                _ => {}
            }
        }
    }
    let trainer = FakeTrainer::new(FakeOptions { values: args.values, ..FakeOptions::default() });
    let layout = Layout::new(trainer.adapter())?;
    let payload = layout.payload_len(Codec::Bfp16);
    let ideal = (args.nodes as u64 - 1) as f64 * payload as f64;
    println!("nodes {}, values {}, payload {payload} bytes, rounds {}", args.nodes, layout.len(), args.rounds);
    println!(
        "coordination, median of {} rounds: {:.0} ms (gather {:.0}, merge {:.0}, encode and keep {:.0})",
        coordination.len(),
        median(coordination) / 1e3,
        median(gather) / 1e3,
        median(merge) / 1e3,
        median(keep) / 1e3
    );
    println!(
        "CPU of all processes for a round of all: {:.2} s",
        (after.cpu_s - before.cpu_s) / rounds * args.nodes as f64
    );
    println!(
        "blob bytes in, node and round: {:.3} × s × payload; all bytes {:.3} ×",
        (after.blob_in - before.blob_in) as f64 / rounds / ideal,
        (after.total_in - before.total_in) as f64 / rounds / ideal
    );
    println!(
        "peak memory of a process: {:.0} MB, of which program and libraries {:.0} MB; rounds that did not merge everyone: {partial}",
        after.peak_bytes as f64 / 1e6,
        after.mapped_bytes as f64 / 1e6
    );
    Ok(())
}

fn median(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default() as f64
}
