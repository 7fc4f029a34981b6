//! The federated run: one process for each member, a live line for each.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chorale::{
    config::Home,
    train::{Options, torch::Inference},
};
use serde_json::Value;

use super::{Course, RunArgs, baselines::Score, material::Material};
use crate::cli::{
    adapter::{Which, held},
    card, model,
    network::Shape,
    out::{Out, safe},
    testnet::{self, Local, Supervisor},
};

/// What one member came to.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    /// (round, loss on part of the test); round 0 is the base model.
    pub(crate) curve: Vec<(u64, f64)>,
    /// Milliseconds of each round that were not training.
    pub(crate) coordination_ms: Vec<f64>,
    pub(crate) rounds: u64,
    pub(crate) bytes_sent: u64,
    /// Its newest record.
    pub(crate) head: Option<String>,
    pub(crate) score: Option<Score>,
}

/// Makes the homes, runs the nodes to the last round, and measures every member's adapter.
pub(crate) async fn run(
    args: &RunArgs,
    course: Course,
    material: &Material,
    folder: &Path,
    out: &Out,
) -> Result<Vec<Member>> {
    let homes = testnet::make(&folder.join("nodes"), &locals(args, course, material), &shape(args, course, material))?;
    let mut members: Vec<Member> = homes
        .into_iter()
        .zip(&material.silos)
        .map(|(home, silo)| Member {
            name: silo.label.clone(),
            home,
            curve: Vec::new(),
            coordination_ms: Vec::new(),
            rounds: 0,
            bytes_sent: 0,
            head: None,
            score: None,
        })
        .collect();
    let homes: Vec<PathBuf> = members.iter().map(|member| member.home.clone()).collect();
    let mut supervisor = Supervisor::new(&homes)?;
    supervisor.start().await?;
    let bars: Vec<_> = members.iter().map(|member| out.bar(&member.name, course.rounds)).collect();
    while let Some(told) = supervisor.next().await? {
        for told in told {
            let (Some(member), Some(bar)) = (members.get_mut(told.node), bars.get(told.node)) else { continue };
            let event = told.what["event"].as_str().unwrap_or_default().to_owned();
            member.hear(&event, &told.what);
            if event == "round" {
                bar.set_position(member.rounds);
                bar.set_message(safe(&testnet::line("round", &told.what)));
                if !out.terminal() {
                    out.line(safe(&format!("{:>12} {}", member.name, testnet::line("round", &told.what))));
                }
            } else if event == "crashed" {
                let crashes = told.what["crashes"].as_u64().unwrap_or(0);
                let log = told.what["log"].as_str().unwrap_or_default();
                ensure!(crashes < 5, "{} crashed {crashes} times in a row; see {log}", member.name);
                out.line(safe(&format!("{:>12} crashed, is started again; see {log}", member.name)));
            }
        }
    }
    supervisor.stop().await?;
    bars.iter().for_each(indicatif::ProgressBar::finish_and_clear);
    for member in &mut members {
        member.score = Some(measure(&member.home, material)?);
    }
    Ok(members)
}

impl Member {
    fn hear(&mut self, event: &str, what: &Value) {
        match event {
            "round" => {
                let round = what["round"].as_u64().unwrap_or(0);
                self.rounds = self.rounds.max(round);
                if self.curve.is_empty()
                    && let Some(loss) = what["loss_before"].as_f64()
                {
                    self.curve.push((round.saturating_sub(1), loss));
                }
                if let Some(loss) = what["loss_after"].as_f64() {
                    self.curve.push((round, loss));
                }
                let number = |key: &str| what[key].as_f64().unwrap_or(0.0);
                self.coordination_ms
                    .push(number("gather_ms") + (number("work_ms") - number("train_us") / 1000.0).max(0.0));
            }
            "ended" => {
                self.bytes_sent = self.bytes_sent.max(what["bytes_sent"].as_u64().unwrap_or(0));
                self.head = what["head"].as_str().map(str::to_owned);
            }
            _ => {}
        }
    }
}

fn locals(args: &RunArgs, course: Course, material: &Material) -> Vec<Local> {
    let text = |value: &str| toml_string(value);
    let local = |(silo, seed): (&super::material::Silo, u64)| {
        let settings = [
            ("data.held_out", text(&material.test.display().to_string())),
            ("data.holdout_limit", course.curve_examples.to_string()),
            ("data.sequence_length", material.sequence_length.to_string()),
            ("data.packing", material.packing.to_string()),
            ("data.seed", seed.to_string()),
            ("train.learning_rate", args.learning_rate.to_string()),
            ("train.schedule", text("cosine")),
            ("train.batch", args.batch.to_string()),
            ("train.threads", "1".to_owned()),
        ];
        Local {
            label: silo.label.clone(),
            data: Some(silo.data.clone()),
            settings: settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        }
    };
    material.silos.iter().zip(0..).map(local).collect()
}

fn toml_string(text: &str) -> String {
    // A JSON string is a TOML string.
    Value::String(text.to_owned()).to_string()
}

fn shape(args: &RunArgs, course: Course, material: &Material) -> Shape {
    Shape {
        model: Some(material.model.clone()),
        seed: Some(args.seed),
        rounds: course.rounds,
        steps: course.steps,
        min_steps: course.steps,
        momentum: course.momentum,
        // Every adapter is kept, so the auditor computes all merges again from the start and needs no checkpoint.
        keep_rounds: 0,
        witnesses: None,
        checkpoint_every: 0,
        ..Shape::default()
    }
}

/// Loss and exact answers of a member's newest publication on the whole test.
fn measure(home: &Path, material: &Material) -> Result<Score> {
    let home = Home::open(home)?;
    let config = card::load(&home)?;
    let held = held(&home, Which::Own)?;
    let options: Options = model::options(&config, &held.spec, 0);
    let values = held.values.as_deref().context("a publication")?;
    let inference = Inference::open(&options.model, Some((&held.spec, values)), options.dtype, options.device)?;
    let evaluation = inference.evaluate(&material.test, &options)?;
    Ok(Score { loss: evaluation.loss, accuracy: evaluation.accuracy() })
}
