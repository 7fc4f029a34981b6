//! The evidence bundles of an archive.

use std::{collections::BTreeMap, io};

use super::{
    finding::{Notes, Place},
    layout::Name,
    replay::Forks,
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
    forks: &mut Forks,
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
        forks.entry(accused).or_insert_with(|| Place::file(Name::Evidence(hash).to_string()));
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
    let place = Place::file(name.to_string());
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
