//! The evidence bundles of an archive.

use std::{collections::BTreeMap, io};

use super::{
    contradictions::Contradictions,
    finding::{Notes, Place},
    layout::Name,
    report::Tally,
    rules::Rules,
    source::Source,
};
use crate::{
    base::{BlobHash, Incarnation, MemberId, Seq, limit},
    code::blob_hash,
    feed::Evidence,
};

/// Checks every bundle and adds whom it convicts to `forks`; gives those that verify, by hash.
pub(super) fn check(
    source: &Source<'_>,
    rules: &Rules,
    forks: &mut Contradictions,
    tally: &mut Tally,
    notes: &mut Notes,
) -> io::Result<BTreeMap<BlobHash, (MemberId, Incarnation, Seq)>> {
    let mut convicted = BTreeMap::new();
    for hash in source.evidence() {
        let Some(evidence) = read(source, rules, hash, notes)? else {
            tally.failed += 1;
            continue;
        };
        tally.ok += 1;
        let accused = evidence.accused();
        forks.note(&evidence, &Place::file(Name::Evidence(hash)), rules.chain());
        convicted.insert(hash, accused);
    }
    Ok(convicted)
}

/// The bundle of this name; `None` if it is not what its name says, or proves nothing, which becomes a finding.
pub(super) fn read(
    source: &Source<'_>,
    rules: &Rules,
    hash: BlobHash,
    notes: &mut Notes,
) -> io::Result<Option<Evidence>> {
    let name = Name::Evidence(hash);
    let place = Place::file(name);
    let Some(bytes) = source.read(name, limit::EVIDENCE_BYTES as u64, notes)? else { return Ok(None) };
    let got = blob_hash(&bytes);
    if got != hash {
        notes.add("EVD-002", &place, format!("its bytes have the hash {got}"));
        return Ok(None);
    }
    match Evidence::parse(&bytes, rules.chain()) {
        Ok(evidence) => Ok(Some(evidence)),
        Err(refusal) => {
            notes.add("EVD-001", &place, format!("{}: {refusal}", refusal.code()));
            Ok(None)
        }
    }
}
