//! What others send.

use super::*;
use crate::feed::{Close, Evidence, EvidenceSpec, Other};

/// A running engine that has met everybody.
fn running() -> Desk {
    let mut desk = Desk::new(policy());
    for n in 1..4 {
        desk.meet(n);
    }
    desk.wait(5_000);
    desk
}

#[test]
fn a_record_is_admitted_once() {
    let mut desk = running();
    let update = desk.update(1, &[]);
    let outputs = desk.gossip(&update, 2);
    assert_eq!(verdict(&outputs), Some(Verdict::Accept));
    assert!(outputs.contains(&Output::Store { id: update.id(), bytes: update.bytes().clone() }));
    let again = desk.gossip(&update, 3);
    assert_eq!(verdict(&again), Some(Verdict::Ignore));
    assert_eq!(again.len(), 1);
}

#[test]
fn a_record_of_an_unknown_kind_is_kept_and_passed_on_and_stops_no_feed() {
    let mut desk = running();
    let first = desk.update(1, &[]);
    desk.gossip(&first, 1);
    for count in 0..16 {
        let spec = Spec::Other(Other { kind: 9 + count, item: vec![0x81, 0x07] });
        let draft = desk.authors[1].draft(&desk.chain, &[&first], spec);
        let other = desk.authors[1].write(draft);
        let outputs = desk.gossip(&other, 2);
        assert_eq!(verdict(&outputs), Some(Verdict::Accept));
        assert!(outputs.contains(&Output::Store { id: other.id(), bytes: other.bytes().clone() }));
    }
    let second = desk.update(1, &[&first]);
    let outputs = desk.gossip(&second, 1);
    assert_eq!(verdict(&outputs), Some(Verdict::Accept));
    assert!(events(&outputs).iter().any(|event| matches!(event, Event::Admitted { .. })), "{outputs:?}");
    let mut last = Vec::new();
    for _ in 0..17 {
        let spec = Spec::Other(Other { kind: 5, item: vec![0x00] });
        let draft = desk.authors[1].draft(&desk.chain, &[], spec);
        let other = desk.authors[1].write(draft);
        last = desk.gossip(&other, 2);
    }
    assert_eq!(refusal(&last), Some("FEED-010"));
}

#[test]
fn bytes_that_are_no_record_cost_their_sender() {
    let mut desk = running();
    let update = desk.update(1, &[]);
    let mut bytes = update.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let outputs = desk.give_bytes(bytes.into(), 3);
    assert_eq!(verdict(&outputs), Some(Verdict::Reject));
    assert!(refusal(&outputs).is_some_and(|code| code.starts_with("SIG")), "{outputs:?}");
    assert!(
        outputs.iter().any(|output| matches!(output, Output::Penalise { peer, .. } if *peer == fixture::transport(3)))
    );
}

#[test]
fn a_gap_is_asked_for_and_then_closed() {
    let mut desk = running();
    let first = desk.update(1, &[]);
    let second = desk.update(1, &[&first]);
    let outputs = desk.gossip(&second, 2);
    assert_eq!(verdict(&outputs), Some(Verdict::Ignore));
    assert_eq!(asked(&desk.wait(1_000)).first(), Some(&fixture::transport(2)));
    let from = fixture::transport(2);
    let outputs = desk.give(Input::Record { bytes: first.bytes().clone(), from, ticket: None });
    let stored = outputs.iter().filter(|output| matches!(output, Output::Store { .. })).count();
    assert_eq!(stored, 2, "both count now: {outputs:?}");
}

#[test]
fn a_record_that_builds_on_an_unknown_one_waits_for_it() {
    let mut desk = running();
    let base = desk.update(2, &[]);
    let update = desk.update(1, &[&base]);
    assert_eq!(verdict(&desk.gossip(&update, 1)), Some(Verdict::Ignore));
    let outputs = desk.gossip(&base, 2);
    let admitted = events(&outputs).iter().filter(|event| matches!(event, Event::Admitted { .. })).count();
    assert_eq!(admitted, 2);
}

#[test]
fn a_record_under_a_newer_manifest_waits_for_the_manifest() {
    let mut desk = running();
    let next = fixture::signed(fixture::next(&desk.chain), &[0]);
    let mut newer = desk.chain.clone();
    newer.extend(next.clone()).unwrap();
    let old = std::mem::replace(&mut desk.chain, newer);
    let update = desk.update(1, &[]);
    desk.chain = old;
    let outputs = desk.gossip(&update, 1);
    assert_eq!(verdict(&outputs), Some(Verdict::Ignore));
    assert_eq!(asked(&outputs), [fixture::transport(1)]);
    let outputs = desk.give(Input::Manifest { bytes: next.clone(), from: Some(fixture::transport(1)) });
    assert!(outputs.contains(&Output::StoreManifest { bytes: next }));
    assert!(events(&outputs).iter().any(|event| matches!(event, Event::Admitted { .. })), "{outputs:?}");
}

#[test]
fn a_wrong_weight_is_refused_and_its_author_is_left_out() {
    let mut desk = running();
    let base = desk.update(2, &[]);
    desk.gossip(&base, 2);
    let mut spec = fixture::update(&desk.chain, 2, 1);
    spec.weights = vec![1023];
    let mut draft = desk.authors[1].draft(&desk.chain, &[&base], Spec::Update(spec));
    draft.body = Some(desk.body("heavy"));
    let heavy = desk.authors[1].write(draft);
    let outputs = desk.gossip(&heavy, 1);
    assert_eq!(verdict(&outputs), Some(Verdict::Reject));
    assert_eq!(refusal(&outputs), Some("RULE-008"));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Store { .. } | Output::Ban { .. })));
    let after = desk.update(1, &[&base]);
    assert_eq!(verdict(&desk.gossip(&after, 1)), Some(Verdict::Ignore));
}

#[test]
fn a_round_that_does_not_follow_from_the_parents_is_refused() {
    let mut desk = running();
    let base = desk.update(2, &[]);
    desk.gossip(&base, 2);
    let spec = Spec::Update(fixture::update(&desk.chain, 1_000, 1));
    let mut draft = desk.authors[1].draft(&desk.chain, &[&base], spec);
    draft.body = Some(desk.body("far"));
    let far = desk.authors[1].write(draft);
    assert_eq!(refusal(&desk.gossip(&far, 1)), Some("RULE-005"));
}

/// Two records of member 1 at one place.
fn fork(desk: &mut Desk) -> (Checked, Checked) {
    let first = desk.update(1, &[]);
    desk.authors[1] = Author::new(1);
    let close = desk.authors[1].draft(&desk.chain, &[], Spec::Close(Close::Left));
    (first, desk.authors[1].write(close))
}

#[test]
fn two_records_at_one_place_convict_their_author_and_the_proof_is_published() {
    let mut desk = running();
    let (first, second) = fork(&mut desk);
    desk.gossip(&first, 1);
    let outputs = desk.gossip(&second, 2);
    assert_eq!(verdict(&outputs), Some(Verdict::Ignore), "who forwards it is not at fault");
    assert!(events(&outputs).iter().any(|event| matches!(event, Event::Convicted { .. })));
    assert!(outputs.contains(&Output::Ban { peer: fixture::transport(1), code: "FORK-001" }));
    let bundle = outputs.iter().find_map(|output| match output {
        Output::StoreEvidence { bytes } => Some(bytes.clone()),
        _ => None,
    });
    assert!(Evidence::parse(&bundle.unwrap(), &desk.chain).is_ok());
    // The round under way ends first: its place was drawn for.
    let first_plan = RoundPlan { others: Vec::new(), own: None, ..current_plan() };
    let (_, after) = desk.finish(&first_plan);
    let record = after.iter().find_map(|output| match output {
        Output::Persist { bytes, .. } => crate::feed::check(bytes.clone(), &desk.chain).ok(),
        _ => None,
    });
    assert!(matches!(record.unwrap().record().spec, Spec::Evidence(_)));
    let later = desk.update(1, &[]);
    assert_eq!(verdict(&desk.gossip(&later, 1)), Some(Verdict::Ignore));
}

/// The plan of a first round at the first place.
fn current_plan() -> RoundPlan {
    let mut desk = Desk::new(policy());
    desk.start_alone()
}

#[test]
fn somebody_elses_evidence_is_fetched_and_judged() {
    let mut desk = running();
    let (first, second) = fork(&mut desk);
    let evidence = Evidence::of(&first, &second).unwrap();
    let (accused, incarnation, seq) = evidence.accused();
    let bundle = evidence.to_bytes();
    let hash = blob_hash(&bundle);
    let spec = Spec::Evidence(EvidenceSpec { accused, incarnation, seq });
    let mut draft = desk.authors[2].draft(&desk.chain, &[], spec);
    draft.body = Some(Body { hash, length: bundle.len() as u64 });
    let record = desk.authors[2].write(draft);
    let outputs = desk.gossip(&record, 2);
    assert_eq!(fetched(&outputs), [(record.record().body.unwrap(), false)]);
    let outputs = desk.give(Input::Blob { hash, bytes: bundle.clone() });
    assert!(outputs.contains(&Output::StoreEvidence { bytes: bundle }));
    assert!(events(&outputs).contains(&&Event::Convicted { member: accused, incarnation, seq }));
}

#[test]
fn evidence_that_proves_nothing_costs_its_author() {
    let mut desk = running();
    let accused = fixture::member(1).id;
    let spec = EvidenceSpec { accused, incarnation: Default::default(), seq: Default::default() };
    let mut draft = desk.authors[2].draft(&desk.chain, &[], Spec::Evidence(spec));
    let bundle = Bytes::from_static(b"no evidence");
    let hash = blob_hash(&bundle);
    draft.body = Some(Body { hash, length: bundle.len() as u64 });
    let record = desk.authors[2].write(draft);
    desk.gossip(&record, 2);
    let outputs = desk.give(Input::Blob { hash, bytes: bundle });
    assert!(
        outputs.iter().any(|output| matches!(output, Output::Penalise { peer, .. } if *peer == fixture::transport(2)))
    );
    assert!(!events(&outputs).iter().any(|event| matches!(event, Event::Convicted { .. })));
}

#[test]
fn an_evidence_record_whose_bundle_nobody_has_keeps_nobody_from_publishing_the_proof() {
    for holds in [false, true] {
        let mut desk = running();
        let (first, second) = fork(&mut desk);
        let evidence = Evidence::of(&first, &second).unwrap();
        let (accused, incarnation, seq) = evidence.accused();
        let bundle = evidence.to_bytes();
        let body = if holds { fixture::body(&bundle) } else { Body { hash: blob_hash(b"nobody has it"), length: 300 } };
        let spec = Spec::Evidence(EvidenceSpec { accused, incarnation, seq });
        let mut draft = desk.authors[2].draft(&desk.chain, &[], spec);
        draft.body = Some(body);
        let record = desk.authors[2].write(draft);
        desk.gossip(&record, 2);
        desk.gossip(&first, 3);
        desk.gossip(&second, 3);
        let first_plan = RoundPlan { others: Vec::new(), own: None, ..current_plan() };
        let (_, after) = desk.finish(&first_plan);
        let records = after.iter().filter_map(|output| match output {
            Output::Persist { bytes, .. } => crate::feed::check(bytes.clone(), &desk.chain).ok(),
            _ => None,
        });
        let said = records.filter(|checked| matches!(checked.record().spec, Spec::Evidence(_))).count();
        assert_eq!(said, usize::from(!holds), "the bundle named is held: {holds}");
    }
}

/// The next version, which changes nothing that a merge depends on.
fn changed(desk: &mut Desk) {
    let mut next = fixture::next(&desk.chain);
    next.policy.round_ms += 1;
    let bytes = fixture::signed(next, &[0]);
    desk.chain.extend(bytes.clone()).unwrap();
    desk.give(Input::Manifest { bytes, from: None });
}

#[test]
fn who_builds_on_a_newer_manifest_version_than_it_names_is_refused_and_barred() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let genesis = desk.chain.clone();
    changed(&mut desk);
    let base = desk.update(2, &[]);
    assert_eq!(verdict(&desk.gossip(&base, 2)), Some(Verdict::Accept));
    let newer = std::mem::replace(&mut desk.chain, genesis);
    let old = desk.update(1, &[&base]);
    desk.chain = newer;
    let outputs = desk.gossip(&old, 1);
    assert_eq!((verdict(&outputs), refusal(&outputs)), (Some(Verdict::Reject), Some("RULE-017")));
    assert!(desk.engine.trust.is_barred(&fixture::member(1).id));
    assert!(!desk.engine.trust.is_barred(&fixture::member(2).id));
}

#[test]
fn who_merges_an_older_manifest_version_than_its_own_after_the_window_is_refused_and_barred() {
    for (round, code) in [(5, None), (6, Some("RULE-018"))] {
        let mut desk = Desk::new(policy());
        desk.start_together();
        let genesis = desk.chain.clone();
        let mut last = [1, 3].map(|n| desk.update(n, &[]));
        changed(&mut desk);
        let newer = desk.chain.clone();
        // Member 3 stays under the genesis; member 1 has the newer version from round 2 on.
        let mut records = last.to_vec();
        while round_of(&last[1]) < Some(round) {
            for (at, chain) in [(0, &newer), (1, &genesis)] {
                desk.chain = chain.clone();
                last[at] = desk.update([1, 3][at], &[&last[at].clone()]);
                records.push(last[at].clone());
            }
        }
        desk.chain = newer;
        for record in &records {
            assert_eq!(refusal(&desk.gossip(record, 2)), None);
        }
        let merged = desk.update(1, &[&last[0], &last[1]]);
        let outputs = desk.gossip(&merged, 1);
        assert_eq!(refusal(&outputs), code, "round {round}: {outputs:?}");
        assert_eq!(verdict(&outputs) == Some(Verdict::Accept), code.is_none(), "round {round}");
        assert_eq!(desk.engine.trust.is_barred(&fixture::member(1).id), code.is_some(), "round {round}");
        assert!(!desk.engine.trust.is_barred(&fixture::member(3).id), "what it published breaks no rule");
    }
}
