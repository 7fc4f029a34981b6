//! The manifests of an archive that contradict its chain, and the governors that voted for both.

use std::io;

use super::{
    finding::{Notes, Place},
    layout::Name,
    report::Tally,
    rules::Rules,
    source::Source,
};
use crate::{
    base::{BlobHash, limit},
    code::blob_hash,
    manifest::DoubleVote,
};

/// Checks every one, and says who voted twice: a failure, until the newest version no longer lets that key govern.
pub(super) fn check(source: &Source<'_>, rules: &Rules, tally: &mut Tally, notes: &mut Notes) -> io::Result<()> {
    for hash in source.conflicts() {
        let Some(double) = read(source, rules, hash, notes)? else {
            tally.failed += 1;
            continue;
        };
        tally.ok += 1;
        let place = Place::file(Name::Conflict(hash));
        for key in &double.governors {
            let code = if rules.chain().current().governors.contains(key) { "GOV-001" } else { "GOV-003" };
            let (version, held, other) = (double.version, double.held, double.other);
            notes.add(code, &place, format!("governor {key} voted for two versions {version}: {held} and {other}"));
        }
    }
    Ok(())
}

/// The double vote of this name; `None` if it is not what its name says, or proves nothing, which becomes a finding.
pub(super) fn read(
    source: &Source<'_>,
    rules: &Rules,
    hash: BlobHash,
    notes: &mut Notes,
) -> io::Result<Option<DoubleVote>> {
    let name = Name::Conflict(hash);
    let place = Place::file(name);
    let Some(bytes) = source.read(name, limit::MANIFEST_BYTES as u64, notes)? else { return Ok(None) };
    let got = blob_hash(&bytes);
    if got != hash {
        notes.add("EVD-002", &place, format!("its bytes have the hash {got}"));
        return Ok(None);
    }
    match DoubleVote::check(&bytes, rules.chain()) {
        Ok(double) => Ok(Some(double)),
        Err(error) => {
            notes.add(error.code(), &place, error.to_string());
            Ok(None)
        }
    }
}
