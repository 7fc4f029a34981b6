//! What insiders can do with bundles: name them for something else, or have many.

use super::{
    faults::{barred, bundle, unlawful, written},
    *,
};
use crate::{
    base::{BlobHash, Incarnation, RecordId, Seq},
    engine::trust::Shows,
    feed::{Accusation, Close, Evidence, EvidenceSpec, FaultSpec, Flaw},
};

/// A record of evidence of member 2 that names this bundle.
fn naming(desk: &mut Desk, spec: EvidenceSpec, bundle: &Bytes) -> Checked {
    let mut draft = desk.authors[2].draft(&desk.chain, &[], Spec::Evidence(spec));
    draft.body = Some(fixture::body(bundle));
    desk.authors[2].write(draft)
}

/// Member 1 breaks a rule, and the bundle is held.
fn broken(desk: &mut Desk) -> Bytes {
    let (first, second) = unlawful(desk);
    desk.gossip(&first, 1);
    let outputs = desk.gossip(&second, 1);
    assert_eq!(barred(&outputs).len(), 1);
    bundle(&outputs).expect("the proof is kept")
}

/// Two records of member 1 at one place.
fn fork(desk: &mut Desk) -> [Checked; 2] {
    let close = desk.authors[1].draft(&desk.chain, &[], Spec::Close(Close::Left));
    [desk.update(1, &[]), desk.authors[1].write(close)]
}

#[test]
fn a_fault_bundle_that_is_called_evidence_keeps_nobody_from_publishing_a_proof() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_together();
    let proof = broken(&mut desk);
    let spec = EvidenceSpec { accused: fixture::member(1).id, incarnation: Incarnation(1), seq: Seq(0) };
    let record = naming(&mut desk, spec, &proof);
    let outputs = desk.gossip(&record, 2);
    assert_eq!(fetched(&outputs), [(record.record().body.unwrap(), false)], "it is no evidence that is held");
    desk.authors[1].incarnation = Incarnation(1);
    for record in fork(&mut desk) {
        desk.gossip(&record, 1);
    }
    assert!(desk.engine.trust.is_convicted(&spec.accused));
    let (_, after) = desk.finish(&plan);
    let said = written(&after, &desk.chain);
    assert!(said.iter().any(|record| matches!(record.spec, Spec::Evidence(said) if said == spec)), "{said:?}");
}

#[test]
fn a_proof_is_taken_up_whatever_somebody_called_its_bundle_before() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let [first, second] = fork(&mut desk);
    let proof = Evidence::of(&first, &second).unwrap().to_bytes();
    let wrong = EvidenceSpec { accused: fixture::member(3).id, incarnation: Incarnation(0), seq: Seq(0) };
    let record = naming(&mut desk, wrong, &proof);
    desk.gossip(&record, 2);
    let outputs = desk.give(Input::Blob { hash: blob_hash(&proof), bytes: proof.clone() });
    assert_eq!(refusal(&outputs), Some("EVD-003"), "who named it wrongly is refused");
    assert!(desk.engine.trust.is_convicted(&fixture::member(1).id));
    assert!(outputs.contains(&Output::StoreEvidence { bytes: proof }));
}

#[test]
fn however_many_faults_of_a_member_are_known_a_proof_of_two_histories_is_kept() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    for incarnation in 0..63 {
        desk.authors[1].incarnation = Incarnation(incarnation);
        broken(&mut desk);
    }
    let accused = fixture::member(1).id;
    let somebody = Accusation::Fault(FaultSpec {
        accused,
        incarnation: Incarnation(0),
        seq: Seq(1),
        record: RecordId([1; 32]),
        flaw: Flaw::Rule,
    });
    desk.engine.keep_bundle(accused, Shows::Fault, Bytes::from_static(b"another"));
    assert!(desk.engine.trust.has_bundle(&somebody, &BlobHash([1; 32])), "there is no room for one more fault");
    desk.authors[1].incarnation = Incarnation(63);
    let [first, second] = fork(&mut desk);
    desk.gossip(&first, 1);
    let outputs = desk.gossip(&second, 1);
    assert!(desk.engine.trust.is_convicted(&accused), "{outputs:?}");
    assert!(bundle(&outputs).is_some_and(|bytes| Evidence::parse(&bytes, &desk.chain).is_ok()), "it is stored");
}
