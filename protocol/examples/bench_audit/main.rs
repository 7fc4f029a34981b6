//! Large archives to measure the auditor with, and how fast it verifies them.
//!
//! `cargo run --release -p chorale-protocol --features cli --example bench_audit -- make FOLDER --records 1000000`
//! writes one, `... -- run FOLDER` measures; without arguments a small one is made, measured and removed.
#![allow(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a benchmark looks at the clock; the auditor's modules are its own"
)]

#[path = "../../src/bin/chorale-audit/folder.rs"]
mod folder;
mod make;
#[path = "../../src/bin/chorale-audit/mapped.rs"]
mod mapped;
mod measure;
mod merges;
#[path = "../../src/bin/chorale-audit/spare.rs"]
mod spare;
#[path = "../../src/bin/chorale-audit/tarball.rs"]
mod tarball;

use std::{path::PathBuf, thread};

use clap::{Parser, Subcommand, ValueEnum};
use folder::Access;

/// Any error, for `main`.
type Fail = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes an archive, and the ids of its newest records into FOLDER.anchors. The same arguments give the same bytes.
    Make(Make),
    /// Compares the rate of a full verification with that of its signatures alone.
    Run {
        /// An archive, as a folder or a tar.
        archive: PathBuf,
        /// Threads of both; by default one for each processor.
        #[arg(long)]
        threads: Option<usize>,
        /// How often each is measured, in turns.
        #[arg(long, default_value_t = 3)]
        turns: usize,
        /// Without recomputing merges.
        #[arg(long)]
        no_recompute: bool,
        /// With large files mapped.
        #[arg(long)]
        mmap: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Make {
    /// A folder that is not there yet.
    folder: PathBuf,
    /// Members; each publishes once a round.
    #[arg(long, default_value_t = 32)]
    members: u64,
    /// Records in all: as many rounds are played as give them.
    #[arg(long, default_value_t = 65_536)]
    records: u64,
    /// What becomes of payloads.
    #[arg(long, value_enum, default_value = "pruned")]
    blobs: Blobs,
    /// Values of the adapter, at least 28.
    #[arg(long, default_value_t = 28)]
    values: u64,
    /// Changes claims and payloads.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What becomes of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Blobs {
    /// None is kept: the verdict is INCOMPLETE (exit code 3), since merges cannot be recomputed.
    Pruned,
    /// Everyone publishes the same payload, so that there is one blob: PASSED with the anchors (exit code 0).
    Same,
    /// Everyone publishes its own: PASSED with the anchors.
    Own,
}

fn main() -> Result<(), Fail> {
    let all = thread::available_parallelism().map_or(1, Into::into);
    match Args::parse().command {
        Some(Command::Make(args)) => make::make(&args, all),
        Some(Command::Run { archive, threads, turns, no_recompute, mmap }) => {
            let access = if mmap { Access::Map } else { Access::Read };
            measure::run(&*folder::open_by(&archive, access)?, threads.unwrap_or(all), turns, !no_recompute)
        }
        None => {
            let home = tempfile::tempdir()?;
            let folder = home.path().join("archive");
            let args = Make {
                folder: folder.clone(),
                members: 32,
                records: 65_536,
                blobs: Blobs::Pruned,
                values: 28,
                seed: 1,
            };
            make::make(&args, all)?;
            measure::run(&*folder::open_by(&folder, Access::Read)?, all, 3, true)
        }
    }
}
