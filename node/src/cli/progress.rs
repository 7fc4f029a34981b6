//! What a running node says: a line for each round, and JSON lines for programs.

use std::collections::BTreeMap;

use chorale::{
    config::{Config, Home},
    driver::{RoundStatus, State, Status, Summary, Work},
};
use chorale_protocol::{base::MemberId, engine::RoundReport, manifest::Chain};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    card::read_text,
    out::{Out, bytes},
};

/// The voice of one running node.
pub(crate) struct Progress<'a> {
    out: &'a Out,
    home: &'a Home,
    labels: BTreeMap<MemberId, String>,
    bar: ProgressBar,
    work: BTreeMap<u64, Work>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(out: &'a Out, home: &'a Home, config: &Config, chain: &Chain) -> Self {
        let manifest = chain.current();
        let bar = out.bar(&config.label, manifest.policy.rounds);
        let labels = manifest.members.iter().map(|member| (member.id, member.label.clone())).collect();
        let progress = Self { out, home, labels, bar, work: BTreeMap::new() };
        progress.say("started", &json!({ "label": config.label, "network": chain.network().to_string() }));
        progress
    }

    pub(crate) fn label(&self, member: &MemberId) -> String {
        self.labels.get(member).cloned().unwrap_or_else(|| member.short())
    }

    /// Something that a person may want to know.
    pub(crate) fn say(&self, event: &str, what: &Value) {
        if self.out.terminal() {
            self.bar.set_message(format!("{event} {}", plain(what)));
        } else {
            self.record(event, what);
        }
    }

    /// Something that a person should know.
    pub(crate) fn warn(&self, event: &str, what: &Value) {
        if self.out.terminal() {
            self.out.line(format!("{event}: {}", plain(what)));
        } else {
            self.record(event, what);
        }
    }

    pub(crate) fn state(&self, state: State) {
        self.say("state", &json!({ "state": state }));
    }

    pub(crate) fn work(&mut self, work: Work) {
        self.work.insert(work.round.0, work);
    }

    pub(crate) fn round(&mut self, report: &RoundReport) {
        let nats = |micro: Option<u64>| {
            #[allow(clippy::cast_precision_loss)]
            micro.map(|micro| micro as f64 / 1e6)
        };
        let (before, after) = (nats(report.loss_micro.0), nats(report.loss_micro.1));
        let contributors: Vec<(String, u64)> = report.contributors.iter().map(|(m, w)| (self.label(m), *w)).collect();
        let skipped: Vec<(String, &str)> = report.skipped.iter().map(|(m, why)| (self.label(m), why.word())).collect();
        let work = self.work.remove(&report.round.0).unwrap_or_default();
        if report.is_alone() {
            self.warn("alone", &json!({ "round": report.round.0, "wanted": report.wanted }));
        }
        let sent = read_status(self.home).map_or(0, |status| status.total_out);
        if self.out.terminal() {
            self.bar.set_position(report.round.0);
            let loss = |loss: Option<f64>| loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.3}"));
            let names = contributors.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(",");
            let missing = skipped.iter().map(|(label, why)| format!(" -{label}({why})")).collect::<String>();
            self.out.line(format!(
                "round {:>3}  loss {} -> {}  merged {} of {}: {names}{missing}  {} sent  waited {} ms, worked {} ms",
                report.round,
                loss(before),
                loss(after),
                report.others,
                report.wanted,
                bytes(sent),
                report.gather_ms,
                report.work_ms
            ));
        } else {
            self.record(
                "round",
                &json!({
                    "round": report.round.0, "record": report.record.to_string(), "merge": report.merge.to_string(),
                    "loss_before": before, "loss_after": after, "contributors": contributors, "skipped": skipped,
                    "others": report.others, "wanted": report.wanted, "steps": report.steps,
                    "gather_ms": report.gather_ms, "work_ms": report.work_ms,
                    "merge_us": work.merge_us, "train_us": work.train_us, "keep_us": work.keep_us, "bytes_sent": sent,
                }),
            );
        }
    }

    pub(crate) fn ended(&self, summary: &Summary) {
        self.bar.finish_and_clear();
        let head = summary.head.map(|head| head.id.to_string());
        let text = match &head {
            Some(head) => format!("{:?} at round {}; newest record {head}", summary.state, summary.round),
            None => format!("{:?} at round {}", summary.state, summary.round),
        };
        let status = read_status(self.home);
        let sent = status.as_ref().map_or(0, |status| status.total_out);
        let value = json!({ "state": summary.state, "round": summary.round.0, "head": head, "bytes_sent": sent });
        if self.out.terminal() { self.out.line(text) } else { self.record("ended", &value) }
    }

    fn record(&self, event: &str, what: &Value) {
        let mut record = json!({ "event": event });
        if let (Some(record), Some(what)) = (record.as_object_mut(), what.as_object()) {
            record.extend(what.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        self.out.record(&record);
    }
}

/// The newest status that the node of a home wrote, if there is one.
pub(crate) fn read_status(home: &Home) -> Option<Status> {
    serde_json::from_str(&read_text(&home.status(), 16 << 20).ok()?).ok()
}

/// A round of a status for people.
pub(crate) fn round_line(round: &RoundStatus) -> String {
    let loss = |loss: Option<f64>| loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.3}"));
    let merged = round.contributors.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(",");
    let merged = format!("{} of {}  {merged}", round.others, round.wanted);
    let skipped = round.skipped.iter().map(|(label, why)| format!(" -{label}({why})")).collect::<String>();
    format!(
        "{:>5}  {:>8}  {:>8}  {:>7}  {:>7}  {merged}{skipped}",
        round.round,
        loss(round.loss_before),
        loss(round.loss_after),
        round.gather_ms,
        round.work_ms
    )
}

/// `key value, key value` of a flat object.
fn plain(what: &Value) -> String {
    let Some(object) = what.as_object() else { return String::new() };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    object.iter().map(|(key, value)| format!("{key} {}", text(value))).collect::<Vec<_>>().join(", ")
}
