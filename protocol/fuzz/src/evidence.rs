//! A bundle convicts whom it says, or shows the broken rule that it says, or is refused.

use bytes::Bytes;
use chorale_protocol::{
    admit::Bundle,
    code::Domain,
    feed::{Evidence, EvidenceSpec, FaultSpec, Flaw, check_despite_cut},
};

use super::{
    choices::Choices,
    network::{self, AUTHORS, chain, head, seal},
    refused,
};

/// One choice: a bundle follows, or two payloads that one author signed, the first with its length before it.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let bytes = match AUTHORS.get(usize::from(choices.byte()).wrapping_sub(1)) {
        Some(author) => {
            let (form, key) = (choices.byte() % 24, network::key(author));
            let length = usize::from(choices.short());
            let (first, second) = (choices.take(length), choices.0);
            bundle(form, &seal(Domain::Record, first, &key), &seal(Domain::Record, second, &key))
        }
        None => Bytes::copy_from_slice(choices.0),
    };
    match Bundle::parse(&bytes, chain()) {
        Ok(Bundle::Fault(proof)) => {
            assert_eq!(proof.to_bytes(), bytes);
            let record = proof.record();
            check_despite_cut(record.bytes().clone(), chain()).unwrap();
            let (accused, incarnation, seq) = proof.accused();
            let spec = FaultSpec { accused, incarnation, seq, record: record.id(), flaw: Flaw::Rule };
            proof.supports(&spec).unwrap();
            true
        }
        Ok(Bundle::Evidence(evidence)) => {
            assert_eq!(evidence.to_bytes(), bytes);
            let (accused, incarnation, seq) = evidence.accused();
            evidence.supports(&EvidenceSpec { accused, incarnation, seq }).unwrap();
            for record in [&evidence.first, &evidence.second] {
                assert_eq!(record.record().member, accused);
                check_despite_cut(record.bytes().clone(), chain()).unwrap();
            }
            let turned = Evidence::of(&evidence.second, &evidence.first).expect("in either order");
            assert_eq!(turned.to_bytes(), bytes);
            assert_ne!(evidence.first.id(), evidence.second.id());
            true
        }
        Err(refusal) => refused(refusal.code(), &refusal.to_string()),
    }
}

/// The bytes of a bundle, whatever is in it.
#[must_use]
pub fn bundle(form: u8, first: &[u8], second: &[u8]) -> Bytes {
    [&[0x83, form][..], &head(2, first.len()), first, &head(2, second.len()), second].concat().into()
}
