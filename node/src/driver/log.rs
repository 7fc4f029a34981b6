//! The engine's events in the log.

use chorale_protocol::{
    base::Millis,
    engine::{Event, RoundReport},
    manifest::Chain,
};

use super::status::label;

/// Refusals that are told in one second; the rest are counted.
const TOLD: u64 = 20;

/// Keeps a peer that sends rubbish from filling the log.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    second: u64,
    count: u64,
}

impl Refusals {
    /// Whether one more is told.
    pub(super) fn tell(&mut self, now: Millis) -> bool {
        let second = now.0 / 1000;
        if second != self.second {
            let untold = self.count.saturating_sub(TOLD);
            if untold > 0 {
                tracing::warn!(untold, "more was refused than is told");
            }
            *self = Self { second, count: 0 };
        }
        self.count += 1;
        self.count <= TOLD
    }
}

fn round_done(chain: &Chain, report: &RoundReport) {
    let names = |id| label(chain, id);
    let merged: Vec<String> =
        report.contributors.iter().map(|(id, weight)| format!("{}×{weight}", names(id))).collect();
    let skipped: Vec<String> = report.skipped.iter().map(|(id, why)| format!("{} {}", names(id), why.word())).collect();
    tracing::info!(
        round = report.round.0,
        record = %report.record.short(),
        merge = %report.merge.short(),
        others = report.others,
        wanted = report.wanted,
        merged = merged.join(" "),
        skipped = skipped.join(", "),
        steps = report.steps,
        loss_before_micro = report.loss_micro.0,
        loss_after_micro = report.loss_micro.1,
        gather_ms = report.gather_ms,
        work_ms = report.work_ms,
        "round done"
    );
    if report.is_alone() {
        tracing::warn!(
            round = report.round.0,
            "merged nobody else: who is reached, and why not, is in `skipped` and in the status"
        );
    }
}

pub(super) fn event(chain: &Chain, event: &Event) {
    match event {
        Event::RoundDone(report) => round_done(chain, report),
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
            let (member, incarnation, seq) = (label(chain, member), incarnation.0, seq.0);
            tracing::warn!(member, incarnation, seq, "signed two histories");
        }
        Event::Barred { member, incarnation, seq, code } => {
            let (member, incarnation, seq) = (label(chain, member), incarnation.0, seq.0);
            tracing::warn!(member, incarnation, seq, code, "broke a rule: nothing counts that follows in this feed");
        }
        Event::Manifest { version } => tracing::info!(version, "a new manifest version holds"),
        Event::NewIncarnation { incarnation } => {
            tracing::warn!(
                incarnation = incarnation.0,
                "our feed was ahead of our disk: going on in a new incarnation"
            );
        }
        Event::RoundFailed { why, retry_ms } => tracing::error!(why, retry_ms, "a round failed"),
        Event::NewKey { version } => {
            tracing::warn!(version, "the manifest gives us our next key: it signs from now on")
        }
        Event::KeyGone { version } => tracing::error!(
            version,
            "the manifest gives us a key that this node did not start with: nothing is signed; put it into the home and start again"
        ),
        Event::DoubleVote { version, governors } => {
            let governors: Vec<String> = governors.iter().map(ToString::to_string).collect();
            tracing::error!(
                version,
                governors = governors.join(" "),
                "governors voted for two manifests of one version; kept"
            );
        }
        Event::Expelled => tracing::error!("this node is no longer a member of the network"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_refusals_are_told_in_a_second() {
        let mut refusals = Refusals::default();
        let told = |refusals: &mut Refusals, at: u64| (0..100).filter(|_| refusals.tell(Millis(at))).count() as u64;
        assert_eq!(told(&mut refusals, 5_000), TOLD);
        assert_eq!(told(&mut refusals, 5_999), 0);
        assert_eq!(told(&mut refusals, 6_000), TOLD);
    }
}
