//! A line for each update, for spreadsheets and databases.

use std::{io, path::Path};

use chorale_protocol::{
    audit::{Presence, Stand, Survey},
    feed::{Checked, Spec, Update},
};

use crate::{
    exit::{Exit, OrExit, Trouble},
    file, survey,
    table::{micro, milli},
    when, words,
};

/// The columns; docs/AUDITING.md says what each holds.
const COLUMNS: [&str; 27] = [
    "member_id",
    "member_label",
    "incarnation",
    "seq",
    "record_id",
    "stands",
    "round",
    "clock",
    "claimed_time_utc",
    "manifest_version",
    "phase",
    "merged_count",
    "skipped_count",
    "local_steps",
    "examples_at_most",
    "loss_before_nats_per_token",
    "loss_after_nats_per_token",
    "dp_sigma",
    "dp_clip_norm",
    "dp_sampling_rate",
    "dp_noisy_steps",
    "dp_epsilon",
    "dp_minus_log10_delta",
    "dataset_commitment",
    "payload_blake3",
    "payload_bytes",
    "payload_here",
];

/// A line for each update, by member, incarnation and place.
pub(super) fn export(survey: &Survey<'_>, path: &Path) -> Result<Exit, Trouble> {
    let rows = survey.each_feed(|(member, _), feed| -> io::Result<String> {
        let (label, mut rows) = (survey.label(&member), String::new());
        for (stand, checked) in feed.records {
            let Spec::Update(update) = &checked.record().spec else { continue };
            let body = checked.record().body;
            let here = body.map_or(Ok(Presence::Missing), |body| survey.presence(body))?;
            rows += &row(&label, stand, &checked, update, here);
        }
        Ok(rows)
    });
    let rows = survey::read(survey::read(rows, path)?.into_iter().collect::<io::Result<String>>(), path)?;
    file::print(&format!("{}\n{rows}", COLUMNS.join(","))).or_io()?;
    Ok(if rows.is_empty() { Exit::Incomplete } else { Exit::Passed })
}

fn row(label: &str, stand: Stand, checked: &Checked, update: &Update, here: Presence) -> String {
    let record = checked.record();
    let number = |value: Option<u64>, shown: fn(u64) -> String| value.map(shown).unwrap_or_default();
    let privacy = update.privacy;
    let cells: [String; COLUMNS.len()] = [
        record.member.to_string(),
        label.to_owned(),
        record.incarnation.to_string(),
        record.seq.to_string(),
        checked.id().to_string(),
        words::stands(stand).to_owned(),
        update.round.to_string(),
        record.clock.to_string(),
        when::date(record.claimed_time.0),
        record.manifest_version.to_string(),
        words::phase(update.phase).to_owned(),
        record.parents.len().to_string(),
        update.skipped.len().to_string(),
        update.steps.to_string(),
        update.examples.to_string(),
        number(update.loss_before_micro, micro),
        number(update.loss_after_micro, micro),
        number(privacy.map(|claim| claim.sigma_milli), milli),
        number(privacy.map(|claim| claim.clip_milli), milli),
        number(privacy.map(|claim| claim.rate_micro), micro),
        number(privacy.map(|claim| claim.steps), |steps| steps.to_string()),
        number(privacy.map(|claim| claim.epsilon_milli), milli),
        number(privacy.map(|claim| claim.delta_log10_milli), milli),
        update.dataset.map(hex::encode).unwrap_or_default(),
        record.body.map(|body| body.hash.to_string()).unwrap_or_default(),
        number(record.body.map(|body| body.length), |length| length.to_string()),
        words::presence(here).to_owned(),
    ];
    cells.map(|cell| quoted(&cell)).join(",") + "\n"
}

/// A cell that no reader of CSV takes apart or runs as a formula.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if formula || cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_stays_one_cell() {
        assert_eq!(quoted("silo-1"), "silo-1");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("-x"), "\"'-x\"");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
