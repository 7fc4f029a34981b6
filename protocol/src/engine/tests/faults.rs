//! Broken rules: proved to others, looked into on others' word, and found in merges that are recomputed.

use super::*;
use crate::{
    admit::FaultProof,
    base::{Incarnation, MemberId},
    engine::{FetchError, Recheck},
    feed::{FaultSpec, Flaw, Record, check},
};

/// Our own records among outputs.
pub(super) fn written(outputs: &[Output], chain: &Chain) -> Vec<Record> {
    let bytes = outputs.iter().filter_map(|output| match output {
        Output::Persist { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    bytes.map(|bytes| check(bytes, chain).unwrap().record().clone()).collect()
}

pub(super) fn fault(record: &Record) -> Option<FaultSpec> {
    if let Spec::Fault(spec) = &record.spec { Some(*spec) } else { None }
}

pub(super) fn barred(outputs: &[Output]) -> Vec<(MemberId, &'static str)> {
    let event = |event: &&Event| match event {
        Event::Barred { member, code, .. } => Some((*member, *code)),
        _ => None,
    };
    events(outputs).iter().filter_map(event).collect()
}

pub(super) fn bundle(outputs: &[Output]) -> Option<Bytes> {
    outputs.iter().find_map(|output| match output {
        Output::StoreEvidence { bytes } => Some(bytes.clone()),
        _ => None,
    })
}

/// A second update of member 1 with a wrong weight, and its first one.
pub(super) fn unlawful(desk: &mut Desk) -> (Checked, Checked) {
    let first = desk.update(1, &[]);
    let mut update = fixture::update(&desk.chain, 2, 1);
    update.weights = vec![7];
    let mut draft = desk.authors[1].draft(&desk.chain, &[&first], Spec::Update(update));
    draft.body = Some(desk.body("second"));
    (first, desk.authors[1].write(draft))
}

/// A fault record of member 2 about `record`, with this bundle.
fn accusation(desk: &mut Desk, record: &Checked, flaw: Flaw, bundle: Option<&Bytes>) -> Checked {
    accusation_by(desk, 2, record, flaw, bundle)
}

/// The same of member `n`.
pub(super) fn accusation_by(
    desk: &mut Desk,
    n: usize,
    record: &Checked,
    flaw: Flaw,
    bundle: Option<&Bytes>,
) -> Checked {
    let Record { member, incarnation, seq, .. } = *record.record();
    let spec = FaultSpec { accused: member, incarnation, seq, record: record.id(), flaw };
    let mut draft = desk.authors[n].draft(&desk.chain, &[], Spec::Fault(spec));
    draft.body = bundle.map(|bundle| fixture::body(bundle));
    desk.authors[n].write(draft)
}

/// A running engine whose own first publication is out, and the update of member 1 that it merges next.
pub(super) fn published() -> (Desk, Checked) {
    let mut desk = Desk::new(policy());
    let plan = desk.start_together();
    let theirs = desk.update(1, &[]);
    desk.gossip(&theirs, 1);
    desk.give(Input::PayloadArrived { hash: theirs.record().body.unwrap().hash });
    desk.finish(&plan);
    (desk, theirs)
}

#[test]
fn who_breaks_a_rule_is_barred_and_the_proof_is_published() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_together();
    let (first, second) = unlawful(&mut desk);
    desk.gossip(&first, 1);
    let outputs = desk.gossip(&second, 1);
    let liar = fixture::member(1).id;
    assert_eq!(barred(&outputs), [(liar, "RULE-008")]);
    let bytes = bundle(&outputs).expect("the proof is kept");
    let proof = FaultProof::parse(&bytes, &desk.chain).unwrap();
    assert_eq!((proof.code(), proof.record().id()), ("RULE-008", second.id()));
    // The round under way ends first: its place was drawn for.
    let (_, after) = desk.finish(&plan);
    let records = written(&after, &desk.chain);
    let said = records.iter().find_map(fault).expect("a fault record");
    assert_eq!((said.record, said.flaw), (second.id(), Flaw::Rule));
    assert_eq!(records[0].body, Some(fixture::body(&bytes)));
    let third = desk.update(1, &[&second]);
    assert_eq!(verdict(&desk.gossip(&third, 1)), Some(Verdict::Ignore), "nothing counts that follows");
}

#[test]
fn somebody_elses_proof_is_fetched_and_judged() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let (first, second) = unlawful(&mut desk);
    let proof = FaultProof::of(second.clone(), vec![first], &desk.chain).unwrap().to_bytes();
    let record = accusation(&mut desk, &second, Flaw::Rule, Some(&proof));
    let outputs = desk.gossip(&record, 2);
    let body = record.record().body.unwrap();
    assert_eq!(fetched(&outputs), [(body, false)]);
    let outputs = desk.give(Input::Blob { hash: body.hash, bytes: proof.clone() });
    assert_eq!(barred(&outputs), [(fixture::member(1).id, "RULE-008")]);
    assert_eq!(bundle(&outputs), Some(proof));
}

#[test]
fn a_proof_of_nothing_costs_its_author() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let honest = desk.update(1, &[]);
    // A bundle by the letter, of a record that breaks no rule.
    let empty: Bytes = {
        let envelope = honest.bytes();
        let length = u16::try_from(envelope.len()).unwrap().to_be_bytes();
        [&[0x83, 0x02, 0x59][..], &length, envelope, &[0x80]].concat().into()
    };
    let record = accusation(&mut desk, &honest, Flaw::Rule, Some(&empty));
    desk.gossip(&record, 2);
    let outputs = desk.give(Input::Blob { hash: blob_hash(&empty), bytes: empty });
    assert_eq!(refusal(&outputs), Some("FEED-011"));
    assert!(outputs.contains(&Output::Penalise { peer: fixture::transport(2), code: "FEED-011" }));
    assert!(barred(&outputs).is_empty());
}

#[test]
fn whose_payload_is_not_canonical_is_barred_and_accused() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_together();
    desk.finish(&plan);
    let bad = desk.update(1, &[]);
    desk.gossip(&bad, 1);
    let hash = bad.record().body.unwrap().hash;
    let mut outputs = desk.give(Input::FetchFailed { hash, why: FetchError::Malformed { code: "PAY-003" } });
    assert_eq!(barred(&outputs), [(fixture::member(1).id, "PAY-003")]);
    outputs.extend(desk.wait(60_000));
    let said: Vec<FaultSpec> = written(&outputs, &desk.chain).iter().filter_map(fault).collect();
    assert_eq!(said.iter().map(|said| (said.record, said.flaw)).collect::<Vec<_>>(), [(bad.id(), Flaw::Payload)]);
}

#[test]
fn after_a_publication_a_merge_of_another_is_recomputed_and_a_wrong_one_bars_its_author() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_together();
    let theirs = desk.update(1, &[]);
    desk.gossip(&theirs, 1);
    desk.give(Input::PayloadArrived { hash: theirs.record().body.unwrap().hash });
    let (_, after) = desk.finish(&plan);
    let checks: Vec<_> = after
        .iter()
        .filter_map(|output| if let Output::Recheck(check) = output { Some((**check).clone()) } else { None })
        .collect();
    assert_eq!(checks.len(), 1, "one a round, and only one has published");
    assert_eq!(checks[0].steps.iter().map(|step| step.record).collect::<Vec<_>>(), [theirs.id()]);
    let wrong = Recheck::Wrong { record: theirs.id(), code: "MRG-001" };
    let mut outputs = desk.give(Input::Rechecked(wrong));
    assert_eq!(barred(&outputs), [(fixture::member(1).id, "MRG-001")]);
    outputs.extend(desk.wait(60_000));
    let said: Vec<FaultSpec> = written(&outputs, &desk.chain).iter().filter_map(fault).collect();
    assert_eq!(said.iter().map(|said| (said.record, said.flaw)).collect::<Vec<_>>(), [(theirs.id(), Flaw::Merge)]);
}

#[test]
fn who_accuses_what_is_in_order_is_called_a_liar_and_nobody_is_barred() {
    let (mut desk, theirs) = published();
    desk.give(Input::Rechecked(Recheck::Sound));
    for flaw in [Flaw::Payload, Flaw::Merge] {
        let record = accusation(&mut desk, &theirs, flaw, None);
        let outputs = desk.gossip(&record, 2);
        assert_eq!(refusal(&outputs), Some("FLT-003"), "{flaw:?}");
        assert!(barred(&outputs).is_empty());
    }
}

#[test]
fn who_was_barred_stays_so_after_a_restart_until_its_next_incarnation() {
    let mut desk = Desk::new(policy());
    let (first, second) = unlawful(&mut desk);
    let proof = FaultProof::of(second, vec![first.clone()], &desk.chain).unwrap().to_bytes();
    let mut own = Author::new(0);
    let spec = FaultSpec {
        accused: fixture::member(3).id,
        incarnation: Incarnation(0),
        seq: Default::default(),
        record: first.id(),
        flaw: Flaw::Merge,
    };
    let said = own.write(own.draft(&desk.chain, &[], Spec::Fault(spec)));
    let records = vec![said.bytes().clone(), first.bytes().clone()];
    let stored = Stored { records, evidence: vec![proof], payloads: Vec::new() };
    let desk = Desk::stored(policy(), stored);
    for (n, expected) in [(1, true), (2, false), (3, true)] {
        assert_eq!(desk.engine.trust.is_barred(&fixture::member(n).id), expected, "member {n}");
    }
}

fn payload(checked: &Checked) -> crate::base::BlobHash {
    checked.record().body.unwrap().hash
}

/// Member 1's second update, which merged everybody's first; all have published again since, and only that is here.
pub(super) fn old_merge(desk: &mut Desk) -> (Checked, Vec<Checked>) {
    let firsts: Vec<Checked> = [1, 2, 3].map(|n| desk.update(n, &[])).into();
    let merged = desk.update(1, &[&firsts[0], &firsts[1], &firsts[2]]);
    let newest = [desk.update(1, &[&merged]), desk.update(2, &[&firsts[1]]), desk.update(3, &[&firsts[2]])];
    for record in firsts.iter().chain([&merged]).chain(&newest) {
        desk.gossip(record, 3);
    }
    for record in &newest {
        desk.give(Input::PayloadArrived { hash: payload(record) });
    }
    let mut wanted = firsts;
    wanted.push(merged.clone());
    (merged, wanted)
}

#[test]
fn what_is_fetched_for_an_accusation_leaves_three_quarters_of_all_fetches_to_the_own_merge_and_own_checks() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let (merged, wanted) = old_merge(&mut desk);
    let record = accusation(&mut desk, &merged, Flaw::Merge, None);
    let mut outputs = desk.gossip(&record, 2);
    let mut seen = fetched(&outputs).len();
    assert_eq!(seen, config().fetches / 4, "{outputs:?}");
    for one in &wanted {
        outputs = desk.give(Input::PayloadArrived { hash: payload(one) });
        seen += fetched(&outputs).len();
    }
    assert!(seen <= wanted.len(), "each once");
    assert!(outputs.iter().any(|output| matches!(output, Output::Recheck(_))), "all of it is there: {outputs:?}");
}

#[test]
fn an_accusation_that_nobody_can_check_is_given_up() {
    let mut desk = Desk::new(policy());
    let mut now = desk.start_together();
    let (merged, wanted) = old_merge(&mut desk);
    let record = accusation(&mut desk, &merged, Flaw::Merge, None);
    assert!(!fetched(&desk.gossip(&record, 2)).is_empty());
    let again = |desk: &mut Desk| {
        let record = accusation(desk, &wanted[2], Flaw::Payload, None);
        let outputs = desk.gossip(&record, 2);
        fetched(&outputs).iter().any(|(body, _)| body.hash == payload(&wanted[2]))
    };
    // One of a member at a time.
    desk.give(Input::FetchFailed { hash: payload(&wanted[2]), why: FetchError::Unreachable });
    assert!(!again(&mut desk));
    for _ in 0..=16 {
        let (_, mut outputs) = desk.finish(&now);
        outputs.extend(desk.wait(120_000));
        now = plan(&outputs).expect("another round");
    }
    assert!(again(&mut desk), "there is room for another");
}
