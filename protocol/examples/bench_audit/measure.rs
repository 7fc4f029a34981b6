//! The auditor against its signatures alone: over the same records, on as many threads, in turns.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use bytes::Bytes;
use chorale_protocol::{
    audit::{
        Archive, Options, Piece,
        layout::{FEED_FILE_BYTES, Name},
        pieces, replay,
    },
    base::limit,
    code::Domain,
    feed::check_despite_cut,
    manifest::Chain,
};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::{Fail, merges::Merges};

/// Signatures that a thread takes at a time.
const SHARE: usize = 1024;
/// Bytes of an envelope around its payload: two heads in front, one and the signature behind.
const FRONT: usize = 4;
const BEHIND: usize = 66;

/// A message, its signature and the key.
type Signed = (Vec<u8>, Signature, VerifyingKey);

/// Seconds by the clock, and on processors: the least of all turns, since other programs only ever add to them.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: f64,
    busy: f64,
}

pub(crate) fn run(archive: &dyn Archive, threads: usize, turns: usize, recompute: bool) -> Result<(), Fail> {
    let genesis = archive.read(&Name::Genesis.to_string(), limit::MANIFEST_BYTES as u64)?;
    let network = Chain::genesis(genesis.clone())?.network();
    let options = |heads_only| Options {
        network,
        anchors: Vec::new(),
        allow_unanchored: true,
        allow_pruned: false,
        recompute,
        witnesses: 0,
        threads,
        heads_only,
    };
    let mut costs = [Cost::NONE; 4];
    let mut records = 0;
    let [strict, full, heads, merging] = &mut costs;
    println!("{threads} threads, {turns} turns, peak memory now {}", peak());
    for turn in 0..turns {
        // The verification first: what it takes in memory is then its own.
        for (cost, heads_only) in [(&mut *full, false), (&mut *heads, true)] {
            let report = cost.add(|| replay(archive, &options(heads_only), &|_, _| {}))?;
            records = report.counts.records.ok;
            if turn == 0 {
                let verdict = report.verdict().text();
                println!("{records} records, verdict {verdict}, heads only {heads_only}, peak memory {}", peak());
            }
        }
        let signed = signed(archive, genesis.clone())?;
        strict.add(|| verify(&signed, threads))?;
    }
    let merges = if recompute { Merges::of(archive, genesis)? } else { None };
    if let Some(merges) = &merges {
        (0..turns).try_for_each(|_| merging.add(|| merges.perform(threads)))?;
    }
    let rate = |cost: &Cost| records as f64 / cost.wall;
    let busy = |cost: &Cost| records as f64 / cost.busy;
    for (name, cost) in
        [("verify_strict alone", &costs[0]), ("full verification", &costs[1]), ("heads only", &costs[2])]
    {
        println!("{name:<20} {:>9.0} records/s, {:>9.0} a second on a processor", rate(cost), busy(cost));
    }
    let [strict, full, _, merging] = &costs;
    println!(
        "full / verify_strict: {:.3} by the clock, {:.3} on processors",
        rate(full) / rate(strict),
        busy(full) / busy(strict)
    );
    if let Some(merges) = merges {
        let (wall, busy) = (merging.wall, merging.busy);
        println!("{} merges alone, payloads in memory: {wall:.2} s, {busy:.2} s on processors", merges.len());
        println!("full verification: {:.2} s, {:.2} s on processors", full.wall, full.busy);
        println!("merges / full: {:.3} by the clock, {:.3} on processors", wall / full.wall, busy / full.busy);
    }
    Ok(())
}

impl Cost {
    const NONE: Self = Self { wall: f64::INFINITY, busy: f64::INFINITY };

    fn add<T, E: Into<Fail>>(&mut self, work: impl FnOnce() -> Result<T, E>) -> Result<T, Fail> {
        let (start, before) = (Instant::now(), on_processors());
        let result = work().map_err(Into::into)?;
        self.wall = self.wall.min(start.elapsed().as_secs_f64());
        self.busy = self.busy.min(on_processors() - before);
        Ok(result)
    }
}

/// Everything that was signed in the feeds.
fn signed(archive: &dyn Archive, genesis: Bytes) -> Result<Vec<Signed>, Fail> {
    let chain = Chain::genesis(genesis)?;
    let mut all = Vec::new();
    for (name, _) in archive.files()? {
        let Some(Name::Feed(member, _)) = Name::parse(&name) else { continue };
        let key = chain.current().member(&member).ok_or("a stranger")?.author_key.to_bytes();
        let key = VerifyingKey::from_bytes(&key)?;
        let mut first = true;
        for piece in pieces(&archive.read(&name, FEED_FILE_BYTES)?) {
            let Piece::Frame { envelope, .. } = piece else { continue };
            if first {
                check_despite_cut(envelope.clone(), &chain)?;
                first = false;
            }
            let middle = envelope.len() - BEHIND;
            let message = [&*Domain::Record.bytes(), &envelope[FRONT..middle]].concat();
            all.push((message, Signature::from_slice(&envelope[middle + 2..])?, key));
        }
    }
    Ok(all)
}

fn verify(signed: &[Signed], threads: usize) -> Result<(), Fail> {
    let (next, shares) = (AtomicUsize::new(0), signed.chunks(SHARE).collect::<Vec<_>>());
    let work = || {
        while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
            for (message, signature, key) in *share {
                key.verify_strict(message, signature)?;
            }
        }
        Ok::<_, ed25519_dalek::SignatureError>(())
    };
    thread::scope(|scope| {
        let helpers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        helpers.into_iter().try_for_each(|helper| Ok(helper.join().map_err(|_| "a thread panicked")??))
    })
}

/// Seconds that this process has spent on processors, as Linux counts them; elsewhere NaN.
fn on_processors() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that this process has held, as Linux says it.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
