//! What the federation is compared with: the base model, every member alone, and all data in one place. Each is a process of
//! its own, as many at a time as there are cores.

use std::{collections::VecDeque, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    task::JoinSet,
};

use super::{Course, RunArgs, material::Material};
use crate::cli::{out::Out, program::program};

/// One lone run.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    pub(crate) name: String,
    /// Loss on part of the test after each stretch as long as a round.
    pub(crate) curve: Vec<f64>,
    pub(crate) score: Score,
}

/// Loss and exact answers on the whole test.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Score {
    pub(crate) loss: f64,
    pub(crate) accuracy: f64,
}

/// Base, then every member alone, then pooled.
pub(crate) struct Baselines {
    pub(crate) base: Baseline,
    pub(crate) alone: Vec<Baseline>,
    pub(crate) pooled: Baseline,
}

struct Job {
    at: usize,
    name: String,
    data: PathBuf,
    batch: usize,
    base: bool,
}

/// Runs them all.
pub(crate) async fn run(args: &RunArgs, course: Course, material: &Material, out: &Out) -> Result<Baselines> {
    let members = material.silos.len();
    let mut jobs = VecDeque::new();
    // The longest first: the others fill the cores beside it.
    jobs.push_back(Job {
        at: 0,
        name: "pooled".into(),
        data: material.pooled.clone(),
        batch: args.batch * members,
        base: false,
    });
    for (silo, at) in material.silos.iter().zip(1..) {
        jobs.push_back(Job { at, name: silo.label.clone(), data: silo.data.clone(), batch: args.batch, base: false });
    }
    jobs.push_back(Job {
        at: members + 1,
        name: "base".into(),
        data: material.pooled.clone(),
        batch: args.batch,
        base: true,
    });
    let slots = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while running.len() < slots
            && let Some(job) = jobs.pop_front()
        {
            let bar = out.bar(&job.name, if job.base { 1 } else { course.rounds });
            running.spawn(one(command(args, course, material, &job)?, job, bar));
        }
        let Some(ended) = running.join_next().await else { break };
        done.push(ended.context("a lone run")??);
    }
    done.sort_by_key(|(at, _)| *at);
    let mut done = done.into_iter().map(|(_, baseline)| baseline);
    let pooled = done.next().context("pooled run")?;
    let mut alone: Vec<Baseline> = done.collect();
    let base = alone.pop().context("base run")?;
    Ok(Baselines { base, alone, pooled })
}

fn command(args: &RunArgs, course: Course, material: &Material, job: &Job) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.args(["train-alone", "--json", "--threads", "1"]).arg("--model").arg(&material.model);
    command.arg("--data").arg(&job.data).arg("--test").arg(&material.test);
    let mut option = |name: &str, value: String| {
        command.arg(name).arg(value);
    };
    option("--steps", (course.rounds * course.steps).to_string());
    option("--every", course.steps.to_string());
    option("--batch", job.batch.to_string());
    option("--sequence-length", material.sequence_length.to_string());
    option("--learning-rate", args.learning_rate.to_string());
    option("--seed", args.seed.to_string());
    option("--holdout-limit", course.curve_examples.to_string());
    for (flag, on) in [("--no-packing", !material.packing), ("--base", job.base)] {
        if on {
            command.arg(flag);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

async fn one(mut command: Command, job: Job, bar: ProgressBar) -> Result<(usize, Baseline)> {
    let mut child = command.spawn().context("this program")?;
    let stdout = child.stdout.take().context("standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let (mut curve, mut score) = (Vec::new(), None);
    while let Some(line) = lines.next_line().await? {
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        match value["event"].as_str() {
            Some("point") => {
                let loss = value["loss"].as_f64().unwrap_or(f64::NAN);
                curve.push(loss);
                bar.inc(1);
                bar.set_message(format!("by itself, loss {loss:.3}"));
            }
            Some("done") => score = Some(serde_json::from_value(value).context("result of a lone run")?),
            _ => {}
        }
    }
    let output = child.wait_with_output().await?;
    bar.finish_and_clear();
    let Some(score) = score.filter(|_| output.status.success()) else {
        bail!("the run of {} failed: {}", job.name, String::from_utf8_lossy(&output.stderr).trim());
    };
    Ok((job.at, Baseline { name: job.name, curve, score }))
}
