//! The one table at the end, and the same as JSON.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    baselines::{Baseline, Baselines, Score},
    federation::Member,
    plot::{Series, Style, svg},
};
use crate::cli::out::bytes;

/// Everything that was measured.
pub(crate) struct Report<'a> {
    pub(crate) members: &'a [Member],
    pub(crate) baselines: &'a Baselines,
    pub(crate) seconds: f64,
}

impl Report<'_> {
    fn federated(&self) -> impl Iterator<Item = &Score> {
        self.members.iter().filter_map(|member| member.score.as_ref())
    }

    /// How much of the way from the alone runs' mean loss to the pooled run's the federated members' mean has gone.
    pub(crate) fn gap_closed(&self) -> f64 {
        let alone = mean(self.baselines.alone.iter().map(|one| one.score.loss));
        let pooled = self.baselines.pooled.score.loss;
        (alone - mean(self.federated().map(|score| score.loss))) / (alone - pooled)
    }

    /// Whether the worst federated member is better than the best lone one.
    pub(crate) fn all_better(&self) -> bool {
        let best = self.baselines.alone.iter().map(|one| one.score.loss).fold(f64::INFINITY, f64::min);
        self.federated().all(|score| score.loss < best)
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{:<24} {:>9} {:>8} {:>10} {:>7} {:>16}",
            "on the common test", "loss", "exact", "sent", "rounds", "coordination"
        );
        let mut plain = |name: &str, score: Score| {
            let _ = write!(text, "\n{name:<24} {:>9.4} {:>6.1} %", score.loss, 100.0 * score.accuracy);
        };
        let Baselines { base, alone, pooled } = self.baselines;
        plain("base", base.score);
        for one in alone {
            plain(&format!("{} alone", one.name), one.score);
        }
        for member in self.members {
            let Some(score) = member.score else { continue };
            let _ = write!(
                text,
                "\n{:<24} {:>9.4} {:>6.1} % {:>10} {:>7} {:>10.0} ms/round",
                format!("{} federated", member.name),
                score.loss,
                100.0 * score.accuracy,
                bytes(member.bytes_sent),
                member.rounds,
                median(&member.coordination_ms)
            );
        }
        let _ = write!(
            text,
            "\n{:<24} {:>9.4} {:>6.1} %\nfederated closes {:.1} % of the gap between alone and pooled",
            "pooled data",
            pooled.score.loss,
            100.0 * pooled.score.accuracy,
            100.0 * self.gap_closed()
        );
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let lone = |one: &Baseline| json!({ "name": one.name, "loss": one.score.loss, "accuracy": one.score.accuracy, "curve": one.curve });
        let member = |one: &Member| {
            json!({
                "name": one.name, "loss": one.score.map(|score| score.loss), "accuracy": one.score.map(|score| score.accuracy),
                "curve": one.curve, "bytes_sent": one.bytes_sent, "rounds": one.rounds,
                "coordination_ms": median(&one.coordination_ms), "head": one.head,
            })
        };
        json!({
            "base": lone(&self.baselines.base),
            "alone": self.baselines.alone.iter().map(lone).collect::<Vec<_>>(),
            "pooled": lone(&self.baselines.pooled),
            "federated": self.members.iter().map(member).collect::<Vec<_>>(),
            "gap_closed": self.gap_closed(), "all_federated_better_than_alone": self.all_better(), "seconds": self.seconds,
        })
    }

    /// Writes `report.json` and `loss.svg`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string())
        };
        put("report.json", format!("{:#}\n", self.json()))?;
        put("loss.svg", svg("Held-out loss on the common test", &self.series()))
    }

    fn series(&self) -> Vec<Series> {
        #[allow(clippy::cast_precision_loss)]
        let federated = |one: &Member| Series {
            label: one.name.clone(),
            points: one.curve.iter().map(|(round, loss)| (*round as f64, *loss)).collect(),
            style: Style::Federated,
        };
        // All start from the base model, whose loss the members measured.
        let start = self.members.iter().find_map(|member| member.curve.first()).filter(|(round, _)| *round == 0);
        let lone = |one: &Baseline, label: String, style| {
            let mut points: Vec<(f64, f64)> = start.map(|(_, loss)| (0.0, *loss)).into_iter().collect();
            points.extend((1_u32..).map(f64::from).zip(one.curve.iter().copied()));
            Series { label, points, style }
        };
        let mut all: Vec<Series> = self.members.iter().map(federated).collect();
        all.push(lone(&self.baselines.pooled, "pooled data".into(), Style::Pooled));
        all.extend(self.baselines.alone.iter().map(|one| lone(one, format!("{} alone", one.name), Style::Alone)));
        all
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
