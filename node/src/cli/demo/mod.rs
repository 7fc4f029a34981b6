//! `chorale demo`: the whole way, from nothing to a verified archive.

mod baselines;
mod clinics;
mod federation;
mod material;
mod plot;
mod report;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use chorale::{config::Home, store::Store};
use serde_json::json;

use super::{network, out::Out};
use federation::Member;
use report::Report;

/// See it work: four members, their data and their model from nothing; or yours
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Run(Box<RunArgs>),
    Data(DataArgs),
}

/// Run the members to the end beside what they are compared with: a table, a plot, an archive that verifies
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// A folder for everything, new or empty
    #[arg(long, default_value = "chorale-demo", overrides_with = "out")]
    out: PathBuf,
    /// A base model (Hugging Face folder) instead of one made here
    #[arg(long)]
    model: Option<PathBuf>,
    /// Private examples instead of invented ones: a file for each member, or a folder with train.jsonl and test.jsonl
    #[arg(long, num_args = 1.., requires = "model")]
    data: Vec<PathBuf>,
    /// Test examples; all files together are the common test. Without any, a tenth of each --data file
    #[arg(long, num_args = 1.., requires = "data")]
    test: Vec<PathBuf>,
    /// Rounds; 20, or 60 with --data
    #[arg(long)]
    rounds: Option<u64>,
    /// Local optimiser steps in a round; 15, or 5 with --data
    #[arg(long)]
    steps: Option<u64>,
    /// Rows of a member's batch; the pooled run's is as large as all members' together
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Tokens in a row; 256 with --data
    #[arg(long)]
    sequence_length: Option<usize>,
    /// Peak learning rate, falling to 0 along a cosine
    #[arg(long, default_value_t = 5e-3)]
    learning_rate: f64,
    /// Outer momentum; 0.5, or 0.65 with --data
    #[arg(long)]
    momentum: Option<f64>,
    /// Test examples behind each point of a curve; 64, or 16 with --data
    #[arg(long)]
    curve_examples: Option<usize>,
    /// Steps of pre-training the base model
    #[arg(long, default_value_t = 400)]
    pretrain_steps: u64,
    /// Seed of everything
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    size: clinics::Size,
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) rounds: u64,
    /// Local optimiser steps in a round.
    pub(crate) steps: u64,
    /// Outer momentum.
    pub(crate) momentum: f64,
    /// Test examples behind each point of a curve.
    pub(crate) curve_examples: usize,
}

/// Write the synthetic consortium: public text, four clinics' private facts, a common test
#[derive(Debug, clap::Args)]
struct DataArgs {
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    size: clinics::Size,
    /// Another seed, other facts
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        match self.verb {
            Verb::Run(args) => args.run(out),
            Verb::Data(args) => args.run(out),
        }
    }
}

impl RunArgs {
    fn run(self, out: &Out) -> Result<()> {
        let began = Instant::now();
        let course = self.course();
        ensure!(course.rounds > 0 && course.steps > 0, "--rounds and --steps: wanted 1 or more");
        let folder = std::path::absolute(&self.out)?;
        let empty = std::fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
        ensure!(empty, "{} is not empty; nothing is overwritten: name another --out", folder.display());
        let args = self.absolute()?;
        let material = material::prepare(&args, &folder, out)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let members = material.silos.len();
        out.line(format!("{members} members train together, {} rounds of {} steps", course.rounds, course.steps));
        let federated = runtime.block_on(federation::run(&args, course, &material, &folder, out))?;
        out.line("for comparison: the base model, each member alone, all data in one place");
        let baselines = runtime.block_on(baselines::run(&args, course, &material, out))?;
        let seconds = began.elapsed().as_secs_f64();
        let report = Report { members: &federated, baselines: &baselines, seconds };
        report.write(&folder)?;
        out.result(&report.json(), format!("\n{}\n", report.table()));
        out.line(format!("curves: {}", folder.join("loss.svg").display()));
        audit(&federated, &folder, out)?;
        out.line(format!("all of it is in {}, made in {:.0} s", folder.display(), began.elapsed().as_secs_f64()));
        Ok(())
    }

    /// 300 steps in all, if not told otherwise. Real silos differ more than invented ones: there, merging more often with more
    /// momentum closes more of the gap (docs/BENCHMARKS.md), and a point of a curve takes longer.
    fn course(&self) -> Course {
        let real = !self.data.is_empty();
        Course {
            rounds: self.rounds.unwrap_or(if real { 60 } else { 20 }),
            steps: self.steps.unwrap_or(if real { 5 } else { 15 }),
            momentum: self.momentum.unwrap_or(if real { 0.65 } else { 0.5 }),
            curve_examples: self.curve_examples.unwrap_or(if real { 16 } else { 64 }),
        }
    }

    /// Processes and configurations get whole paths.
    fn absolute(mut self) -> Result<Self> {
        for path in self.data.iter_mut().chain(&mut self.test).chain(&mut self.model) {
            *path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
        }
        Ok(self)
    }
}

/// Writes the first member's archive and has the auditor's program verify it.
fn audit(members: &[Member], folder: &Path, out: &Out) -> Result<()> {
    let first = members.first().context("no members")?;
    let home = Home::open(&first.home)?;
    let network = network::stored_chain(&home)?.network().to_string();
    let path = folder.join("archive.tar");
    let archive = Store::open(home.root())?.archive(&path)?;
    let held: Vec<String> = archive.heads.iter().map(|head| head.id.to_string()).collect();
    // Each member tells its newest record itself; this archive may have been written before it heard of a last one.
    let anchors: Vec<&String> =
        members.iter().filter_map(|member| member.head.as_ref()).filter(|id| held.contains(id)).collect();
    let program = std::env::current_exe()?.with_file_name("chorale-audit");
    ensure!(
        program.is_file(),
        "{} is not there; build it with: cargo build --release -p chorale-protocol --features cli",
        program.display()
    );
    let mut command = Command::new(&program);
    // Unanchored ends are said, and are no trouble here.
    command.arg("verify").arg(&path).args(["--network", &network, "--allow-unanchored"]);
    anchors.iter().for_each(|anchor| {
        command.args(["--anchor", anchor]);
    });
    out.line(format!("\nchorale-audit verify {} --network {network} --allow-unanchored", path.display()));
    anchors.iter().for_each(|anchor| out.line(format!("    --anchor {anchor}")));
    let output = command.output().with_context(|| program.display().to_string())?;
    out.line(super::out::safe_lines(String::from_utf8_lossy(&output.stdout).trim_end()));
    let code = output.status.code();
    if out.json() {
        out.record(&json!({ "archive": path.display().to_string(), "network": network, "anchors": anchors, "audit_exit": code }));
    }
    if code != Some(0) {
        bail!("chorale-audit ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

impl DataArgs {
    fn run(self, out: &Out) -> Result<()> {
        let files = clinics::write(&self.out, self.size, self.seed)?;
        let show = |path: &PathBuf| path.display().to_string();
        let silos: Vec<String> = files.silos.iter().map(show).collect();
        let text = format!("wrote {}, {}, {}", show(&files.public), silos.join(", "), show(&files.test));
        out.result(&json!({ "public": show(&files.public), "silos": silos, "test": show(&files.test) }), text);
        Ok(())
    }
}
