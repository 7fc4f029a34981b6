//! The logs of an archive in an audit: each by itself, and what they say about the records.

use std::io;

use super::{
    LogBook, Options, Severity, Witnessed,
    finding::{Notes, Place},
    layout::{LogFile, Name},
    light::{Index, Stand},
    report::{Counts, Intervals},
    rules::Rules,
    source::Source,
};
use crate::log::Keyring;

/// Checks all logs. Gives how many cosigners were asked for, and in which times the records lie.
pub(super) fn check(
    source: &Source<'_>,
    rules: &Rules,
    index: &Index,
    options: &Options,
    counts: &mut Counts,
    notes: &mut Notes,
) -> io::Result<(u64, Intervals)> {
    let asked = rules.chain().current().policy.witnesses.unwrap_or_default().max(options.witnesses);
    let keyring = Keyring::new(rules.chain());
    let logs = source.logs();
    let leaves = index.all().map(|light| light.leaf).filter(|_| !logs.is_empty());
    let mut witnessed = Witnessed::new(asked, leaves);
    for member in logs {
        // One tree at a time: each is as long as all feeds together.
        let mut own = Notes::default();
        let book = LogBook::read(source, &keyring, member, &mut own)?;
        if let Some((count, first)) = witnessed.add(&book) {
            let place = Place::file(Name::Log(member, LogFile::Checkpoint));
            let text = format!("{count} leaves are no records of this archive, the first is {first}");
            own.add("LOG-004", &place, text);
        }
        match own.worst() {
            Some(Severity::Failure) => counts.logs.failed += 1,
            Some(Severity::Incomplete) => counts.logs.missing += 1,
            Some(Severity::Warning) | None => counts.logs.ok += 1,
        }
        notes.absorb(own);
    }
    let mut intervals = Intervals::default();
    for light in index.all().filter(|light| light.stand != Stand::Loose) {
        let interval = witnessed.interval(&light.leaf, light.seen.as_ref());
        let count = match (interval.not_before, interval.not_after) {
            (Some(_), Some(_)) => &mut intervals.both,
            (None, Some(_)) => &mut intervals.not_after,
            (Some(_), None) => &mut intervals.not_before,
            (None, None) => &mut intervals.none,
        };
        *count += 1;
        if interval.not_after.is_some() {
            counts.witnessed.ok += 1;
        } else if asked > 0 {
            counts.witnessed.missing += 1;
            let text = format_args!("UNWITNESSED: no checkpoint that {asked} others cosigned covers it");
            notes.run("WIT-001", &light.place(), text);
        }
        if interval.excludes(light.claimed_time) {
            intervals.outside += 1;
            let text = format_args!("it claims the time {}, outside of its interval", light.claimed_time);
            notes.run("TIME-001", &light.place(), text);
        }
    }
    Ok((asked, intervals))
}
