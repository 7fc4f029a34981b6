//! A member with the fake trainer, for tests and benchmarks: flags in, one JSON object a line out.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

mod say;
mod trainer;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use chorale::driver::{self, Command, Setup, Timing};
use chorale_protocol::code::AuthorKey;
use chorale_tests::fleet::PEER_TIMEOUT_MS;
use clap::Parser;
use libp2p::{Multiaddr, identity::Keypair};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
struct Args {
    /// Its home folder, which holds the genesis
    #[arg(long)]
    home: PathBuf,
    /// 32 secret bytes, hexadecimal
    #[arg(long)]
    author: String,
    /// Keys that the manifest may give it next: 32 secret bytes each, hexadecimal
    #[arg(long)]
    spare: Vec<String>,
    /// 32 secret bytes, hexadecimal
    #[arg(long)]
    transport: String,
    /// Values of the adapter
    #[arg(long)]
    values: u64,
    /// Draws the targets
    #[arg(long)]
    seed: u64,
    /// Milliseconds of a step
    #[arg(long, default_value_t = 0)]
    step_ms: u64,
    /// Trains this model folder with libtorch instead
    #[arg(long)]
    model: Option<PathBuf>,
    /// On these examples
    #[arg(long)]
    data: Option<PathBuf>,
    /// How long to wait for the others before acting alone
    #[arg(long, default_value_t = 60_000)]
    start_wait_ms: u64,
    /// Where to listen
    #[arg(long, default_value = "/ip4/127.0.0.1/tcp/0")]
    listen: Vec<Multiaddr>,
    /// Milliseconds between checkpoints of its log
    #[arg(long, default_value_t = 30_000)]
    checkpoint_ms: u64,
    /// Whom to dial
    #[arg(long)]
    bootstrap: Vec<Multiaddr>,
    /// Go on serving after the last round
    #[arg(long)]
    stay: bool,
    /// Without held-out losses: cheap targets
    #[arg(long)]
    cheap: bool,
    /// What goes wrong: huge, not-finite, fails
    #[arg(long)]
    mischief: Option<String>,
    /// From which round on
    #[arg(long, default_value_t = 0)]
    mischief_from: u64,
    /// Threads of a merge
    #[arg(long, default_value_t = 1)]
    merge_threads: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    chorale::telemetry::start("info", true, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let end = runtime.block_on(run(args));
    // The trainer's thread may still be at work; the process ends without it.
    runtime.shutdown_background();
    say::end(&end);
    end.map(drop)
}

async fn run(args: Args) -> Result<driver::Summary> {
    let trainer = trainer::trainer(&args)?;
    let genesis = std::fs::read(args.home.join("genesis")).context("the genesis")?;
    let inbox = args.home.join("manifest");
    let running = driver::start(Setup {
        home: args.home,
        author: AuthorKey::from_seed(&secret(&args.author)?),
        spare: args.spare.iter().map(|key| Ok(AuthorKey::from_seed(&secret(key)?))).collect::<Result<_>>()?,
        identity: Keypair::ed25519_from_bytes(secret(&args.transport)?)?,
        genesis: genesis.into(),
        trainer,
        listen: args.listen,
        bootstrap: args.bootstrap,
        mdns: false,
        timing: Timing {
            start_wait_ms: args.start_wait_ms,
            gather_max_ms: PEER_TIMEOUT_MS,
            fetch_ms: 10_000,
            presence_ms: 1_000,
            checkpoint_ms: args.checkpoint_ms,
            ..Timing::default()
        },
        merge_threads: args.merge_threads,
        stay: args.stay,
    })
    .await?;
    let mut notices = running.events();
    let switch = running.switch();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut look = tokio::time::interval(Duration::from_millis(200));
    let (ended, mut end) = tokio::sync::oneshot::channel();
    let commands = running.commands();
    tokio::spawn(async move {
        let _ = ended.send(running.wait().await);
    });
    loop {
        tokio::select! { biased;
            notice = notices.recv() => match notice {
                Ok(notice) => say::notice(&notice),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
            },
            _ = terminate.recv() => switch.cancel(),
            // A manifest that the test puts into the home.
            _ = look.tick() => if let Ok(bytes) = std::fs::read(&inbox) {
                std::fs::remove_file(&inbox)?;
                let _ = commands.send(Command::Manifest(bytes.into())).await;
            },
            summary = &mut end => return Ok(summary??),
        }
    }
    Ok(end.await??)
}

fn secret(text: &str) -> Result<[u8; 32]> {
    let id: chorale_protocol::base::BlobHash = text.parse()?;
    Ok(id.0)
}
