//! The engine's events in the log.

use chorale_protocol::{engine::Event, manifest::Chain};

use super::status::{label, reason};

pub(super) fn event(chain: &Chain, event: &Event) {
    match event {
        Event::RoundDone(report) => {
            let names = |id| label(chain, id);
            let merged: Vec<String> =
                report.contributors.iter().map(|(id, weight)| format!("{}×{weight}", names(id))).collect();
            let skipped: Vec<String> =
                report.skipped.iter().map(|(id, why)| format!("{} {}", names(id), reason(*why))).collect();
            tracing::info!(
                round = report.round.0,
                record = %report.record.short(),
                merge = %report.merge.short(),
                merged = merged.join(" "),
                skipped = skipped.join(", "),
                steps = report.steps,
                loss_before_micro = report.loss_micro.0,
                loss_after_micro = report.loss_micro.1,
                gather_ms = report.gather_ms,
                work_ms = report.work_ms,
                "round done"
            );
        }
        Event::Admitted { member, round, record } => {
            tracing::debug!(member = label(chain, member), round = round.0, record = %record.short(), "update admitted");
        }
        Event::Refused { from, reason } => {
            tracing::warn!(?from, code = reason.code, why = ?reason.text, "refused");
        }
        Event::PayloadRefused { member, hash, reason } => {
            tracing::warn!(member = label(chain, member), payload = %hash.short(), code = reason.code, why = ?reason.text, "payload refused");
        }
        Event::Convicted { member, incarnation, seq } => {
            tracing::warn!(
                member = label(chain, member),
                incarnation = incarnation.0,
                seq = seq.0,
                "signed two histories"
            );
        }
        Event::Manifest { version } => tracing::info!(version, "a new manifest version holds"),
        Event::NewIncarnation { incarnation } => {
            tracing::warn!(
                incarnation = incarnation.0,
                "our feed was ahead of our disk: going on in a new incarnation"
            );
        }
        Event::RoundFailed { why, retry_ms } => tracing::error!(why, retry_ms, "a round failed"),
        Event::Expelled => tracing::error!("this node is no longer a member of the network"),
    }
}
