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
        let name = Name::Evidence(hash);
        let place = Place::file(name.to_string());
        let Some(bytes) = source.read(name, limit::EVIDENCE_BYTES as u64, notes)? else {
            tally.failed += 1;
            continue;
        };
        let got = blob_hash(&bytes);
        if got != hash {
            notes.add("EVD-002", &place, format!("its bytes have the hash {got}"));
            tally.failed += 1;
            continue;
        }
        match Evidence::parse(&bytes, rules.chain()) {
            Ok(evidence) => {
                tally.ok += 1;
                let accused = evidence.accused();
                forks.entry(accused).or_insert(place);
                convicted.insert(hash, accused);
            }
            Err(refusal) => {
                notes.add("EVD-001", &place, format!("{}: {refusal}", refusal.code()));
                tally.failed += 1;
            }
        }
    }
    Ok(convicted)
}
