//! The bundles of an archive: of members that signed two histories, and of broken rules.

use std::{collections::BTreeMap, io};

use super::{
    contradictions::Contradictions,
    faults::{Faults, Proved},
    finding::{Notes, Place},
    layout::Name,
    report::Tally,
    rules::Rules,
    source::Source,
};
use crate::{
    admit::Bundle,
    base::{BlobHash, limit},
    code::blob_hash,
};

/// Checks every bundle and adds whom it convicts to `forks`, and what it proves broken to `faults`; gives those that verify, by
/// hash.
pub(super) fn check(
    source: &Source<'_>,
    rules: &Rules,
    (forks, faults): (&mut Contradictions, &mut Faults),
    tally: &mut Tally,
    notes: &mut Notes,
) -> io::Result<BTreeMap<BlobHash, Proved>> {
    let mut proved = BTreeMap::new();
    for hash in source.evidence() {
        let Some(bundle) = read(source, rules, hash, notes)? else {
            tally.failed += 1;
            continue;
        };
        tally.ok += 1;
        let file = Place::file(Name::Evidence(hash));
        let record = match &bundle {
            Bundle::Evidence(evidence) => {
                forks.note(evidence, &file, rules.chain());
                None
            }
            Bundle::Fault(proof) => {
                faults.note(proof, file, rules);
                Some(proof.record().id())
            }
        };
        proved.insert(hash, Proved { place: bundle.accused(), record });
    }
    Ok(proved)
}

/// The bundle of this name; `None` if it is not what its name says, or proves nothing, which becomes a finding.
pub(super) fn read(
    source: &Source<'_>,
    rules: &Rules,
    hash: BlobHash,
    notes: &mut Notes,
) -> io::Result<Option<Bundle>> {
    let name = Name::Evidence(hash);
    let place = Place::file(name);
    let Some(bytes) = source.read(name, limit::FAULT_BYTES as u64, notes)? else { return Ok(None) };
    let got = blob_hash(&bytes);
    if got != hash {
        notes.add("EVD-002", &place, format!("its bytes have the hash {got}"));
        return Ok(None);
    }
    match Bundle::parse(&bytes, rules.chain()) {
        Ok(bundle) => Ok(Some(bundle)),
        Err(refusal) => {
            notes.add("EVD-001", &place, format!("{}: {refusal}", refusal.code()));
            Ok(None)
        }
    }
}
