//! What the member says: the lines that `chorale_tests::fleet::Line` reads.

use std::{
    io::Write,
    sync::{LazyLock, Mutex},
    time::Instant,
};

use chorale::driver::{Notice, Summary};
use chorale_protocol::{base::MemberId, engine::Event};
use serde_json::{Value, json};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Says what the node told.
pub(crate) fn notice(notice: &Notice) {
    let value = match notice {
        Notice::Listening(address) => json!({"line": "listening", "address": address.to_string()}),
        Notice::State(state) => json!({"line": "state", "state": state}),
        Notice::Work(work) => json!({
            "line": "work", "round": work.round.0,
            "merge": work.merge_us, "train": work.train_us, "keep": work.keep_us,
        }),
        Notice::Engine(event) => self::event(event),
    };
    line(&value);
}

/// Says how it ended.
pub(crate) fn end(end: &anyhow::Result<Summary>) {
    line(&match end {
        Ok(summary) => json!({"line": "ended", "state": summary.state}),
        Err(error) => json!({"line": "ended", "error": format!("{error:#}")}),
    });
}

fn event(event: &Event) -> Value {
    match event {
        Event::RoundDone(report) => json!({
            "line": "round",
            "round": report.round.0,
            "at_us": u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX),
            "merge": report.merge.to_string(),
            "contributors": report.contributors.iter().map(|(id, weight)| json!([name(id), weight])).collect::<Vec<_>>(),
            "skipped": report.skipped.iter().map(|(id, why)| json!([name(id), why.word()])).collect::<Vec<_>>(),
            "loss_before": report.loss_micro.0,
            "gather_ms": report.gather_ms,
            "work_ms": report.work_ms,
        }),
        Event::Admitted { member, round, .. } => json!({"line": "admitted", "member": name(member), "round": round.0}),
        Event::Refused { reason, .. } | Event::PayloadRefused { reason, .. } => {
            json!({"line": "refused", "code": reason.code})
        }
        Event::Barred { member, code, .. } => json!({"line": "barred", "member": name(member), "code": code}),
        Event::Convicted { member, .. } => json!({"line": "convicted", "member": name(member)}),
        Event::Manifest { version } => json!({"line": "manifest", "version": version}),
        Event::NewIncarnation { incarnation } => json!({"line": "incarnation", "incarnation": incarnation.0}),
        Event::RoundFailed { why, .. } => json!({"line": "failed", "why": why}),
        Event::NewKey { version } => json!({"line": "new_key", "version": version}),
        Event::KeyGone { version } => json!({"line": "key_gone", "version": version}),
        Event::DoubleVote { version, .. } => json!({"line": "double_vote", "version": version}),
        Event::Expelled => json!({"line": "state", "state": "expelled"}),
    }
}

fn name(id: &MemberId) -> String {
    id.to_string()
}

fn line(value: &Value) {
    static OUT: Mutex<()> = Mutex::new(());
    let _one = OUT.lock();
    let mut out = std::io::stdout().lock();
    // A test that has gone away does not matter.
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}
