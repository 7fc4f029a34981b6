//! What accusations, and what somebody says of a blob, can do to members that keep the rules.

use super::{
    faults::{accusation_by, barred, fault, published, written},
    *,
};
use crate::{
    admit::covering,
    base::{BlobHash, Incarnation, RecordId, Seq},
    engine::Recheck,
    feed::{EvidenceSpec, FaultSpec, Flaw},
};

fn hash(checked: &Checked) -> BlobHash {
    checked.record().body.unwrap().hash
}

fn said(outputs: &[Output], chain: &Chain) -> Vec<FaultSpec> {
    written(outputs, chain).iter().filter_map(fault).collect()
}

#[test]
fn a_payload_is_fetched_as_one_whatever_somebody_calls_the_blob_before() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let theirs = desk.update(1, &[]);
    let spec = FaultSpec {
        accused: fixture::member(3).id,
        incarnation: Incarnation(0),
        seq: Default::default(),
        record: theirs.id(),
        flaw: Flaw::Rule,
    };
    let mut draft = desk.authors[2].draft(&desk.chain, &[], Spec::Fault(spec));
    let named = Body { hash: hash(&theirs), length: 700 };
    draft.body = Some(named);
    let accusation = desk.authors[2].write(draft);
    assert_eq!(fetched(&desk.gossip(&accusation, 2)), [(named, false)]);
    let outputs = desk.gossip(&theirs, 1);
    assert_eq!(fetched(&outputs), [(theirs.record().body.unwrap(), true)], "{outputs:?}");
    // The bundle has its turn afterwards, and what was named as one is none.
    let outputs = desk.give(Input::PayloadArrived { hash: hash(&theirs) });
    assert_eq!(fetched(&outputs), [(named, false)]);
}

/// Member 1 goes on in a new incarnation behind its head.
fn begun_again(desk: &mut Desk, parents: &[&Checked]) -> Checked {
    desk.authors[1].incarnation = Incarnation(1);
    desk.update(1, parents)
}

#[test]
fn who_made_a_fault_good_is_named_for_it_and_not_barred() {
    let (mut desk, theirs) = published();
    let again = begun_again(&mut desk, &[&theirs]);
    assert_eq!(verdict(&desk.gossip(&again, 1)), Some(Verdict::Accept));
    let mut outputs = desk.give(Input::Rechecked(Recheck::Wrong { record: theirs.id(), code: "MRG-001" }));
    assert!(barred(&outputs).is_empty());
    assert!(!desk.engine.trust.is_barred(&fixture::member(1).id));
    outputs.extend(desk.wait(60_000));
    let said: Vec<_> = said(&outputs, &desk.chain).iter().map(|said| (said.record, said.flaw)).collect();
    assert_eq!(said, [(theirs.id(), Flaw::Merge)]);
}

#[test]
fn records_of_an_older_feed_that_come_late_bar_nobody() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let first = desk.update(1, &[]);
    // Its disk was restored from before its second update, which only some have.
    let restored = desk.authors[1].clone();
    let mut late = Vec::new();
    for _ in 0..4 {
        let next = desk.update(1, &[late.last().unwrap_or(&first)]);
        late.push(next);
    }
    desk.authors[1] = restored;
    let again = begun_again(&mut desk, &[&first]);
    for record in [&first, &again].into_iter().chain(&late) {
        let outputs = desk.gossip(record, 1);
        assert_eq!((verdict(&outputs), barred(&outputs)), (Some(Verdict::Accept), Vec::new()));
    }
}

#[test]
fn nobody_is_kept_from_naming_a_fault_by_accusations_of_something_else() {
    let (mut desk, theirs) = published();
    for n in 1..4 {
        let record = accusation_by(&mut desk, n, &theirs, Flaw::Payload, None);
        desk.gossip(&record, 3);
    }
    let mut outputs = desk.give(Input::Rechecked(Recheck::Wrong { record: theirs.id(), code: "MRG-001" }));
    outputs.extend(desk.wait(60_000));
    let said: Vec<_> = said(&outputs, &desk.chain).iter().map(|said| (said.record, said.flaw)).collect();
    assert_eq!(said, [(theirs.id(), Flaw::Merge)]);
}

#[test]
fn a_slow_answer_to_an_accusation_makes_no_wait_longer() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let (merged, wanted) = faults::old_merge(&mut desk);
    let before = desk.engine.patience().fetch_ms;
    let record = accusation_by(&mut desk, 2, &merged, Flaw::Merge, None);
    desk.gossip(&record, 2);
    for one in &wanted {
        desk.wait(900);
        desk.give(Input::PayloadArrived { hash: hash(one) });
    }
    assert_eq!(desk.engine.patience().fetch_ms, before);
}

/// An update of member `n` with a checkpoint, behind its own.
fn with_checkpoint(desk: &mut Desk, n: usize, own: Option<&Checked>) -> (Checked, Bytes) {
    let parents: Vec<&Checked> = own.into_iter().collect();
    let round = parents.iter().filter_map(|parent| round_of(parent)).max().unwrap_or(0) + 1;
    let policy = desk.chain.current().policy.clone();
    let length = usize::try_from(8 * policy.adapter.values()).unwrap();
    let bytes: Bytes = vec![u8::try_from(n).unwrap(); length].into();
    let state = fixture::body(&[&bytes[..], &[u8::try_from(round).unwrap()]].concat());
    let state = Body { length: bytes.len() as u64, ..state };
    let mut update = fixture::update(&desk.chain, round, parents.len());
    update.state = Some(state);
    let body = desk.body(&format!("payload of {n} in round {round}"));
    let mut draft = desk.authors[n].draft(&desk.chain, &parents, Spec::Update(update.clone()));
    draft.body = Some(body);
    let facts: Vec<_> = parents.iter().map(|parent| Some(crate::admit::Parent::of(parent.record()))).collect();
    let merge = covering(&draft, &update, &facts, &policy, &state.hash).unwrap();
    let Spec::Update(drafted) = &mut draft.spec else { panic!("an update") };
    drafted.merge = merge;
    (desk.authors[n].write(draft), bytes)
}

#[test]
fn one_checkpoint_is_held_at_a_time_however_many_merges_are_accused() {
    let mut desk = Desk::new(Policy { checkpoint_every: 1, ..fixture::policy() });
    desk.start_together();
    let mut seconds = Vec::new();
    for n in 1..4 {
        let (first, state) = with_checkpoint(&mut desk, n, None);
        let (second, _) = with_checkpoint(&mut desk, n, Some(&first));
        for record in [&first, &second] {
            assert_eq!(verdict(&desk.gossip(record, 3)), Some(Verdict::Accept));
        }
        seconds.push((first, second, state));
    }
    let checkpoints = |outputs: &[Output]| fetched(outputs).iter().filter(|(_, payload)| !payload).count();
    let mut asked = 0;
    for (n, (_, second, _)) in (1..4).zip(&seconds) {
        let accuser = if n == 3 { 1 } else { n + 1 };
        let record = accusation_by(&mut desk, accuser, second, Flaw::Merge, None);
        asked += checkpoints(&desk.gossip(&record, 3));
    }
    assert_eq!(asked, 0, "its payloads first");
    let mut outputs = Vec::new();
    for (first, second, _) in &seconds {
        outputs.extend(desk.give(Input::PayloadArrived { hash: hash(first) }));
        outputs.extend(desk.give(Input::PayloadArrived { hash: hash(second) }));
    }
    let first = fetched(&outputs).into_iter().find(|(_, payload)| !payload).expect("a checkpoint").0;
    assert_eq!(checkpoints(&outputs), 1);
    let (_, _, state) = seconds.iter().find(|(one, ..)| state_of(one) == Some(first)).expect("one of them");
    let outputs = desk.give(Input::Blob { hash: first.hash, bytes: state.clone() });
    assert!(outputs.iter().any(|output| matches!(output, Output::Recheck(_))));
    assert_eq!(checkpoints(&outputs), 0, "one is held");
    assert_eq!(checkpoints(&desk.give(Input::Rechecked(Recheck::Sound))), 1, "the next one");
}

fn state_of(checked: &Checked) -> Option<Body> {
    if let Spec::Update(update) = &checked.record().spec { update.state } else { None }
}

#[test]
fn of_records_of_evidence_and_of_faults_sixteen_stand_between_two_updates() {
    for (evidence, with_update) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut desk = Desk::new(policy());
        desk.start_together();
        let accuse = |desk: &mut Desk, n: u64| {
            let (accused, incarnation, seq) = (fixture::member(3).id, Incarnation(0), Seq(n));
            let fault = FaultSpec { accused, incarnation, seq, record: RecordId([n as u8; 32]), flaw: Flaw::Merge };
            let proof = EvidenceSpec { accused, incarnation, seq };
            let spec = if evidence { Spec::Evidence(proof) } else { Spec::Fault(fault) };
            let mut draft = desk.authors[1].draft(&desk.chain, &[], spec);
            draft.body = evidence.then(|| Body { length: 500, ..desk.body(&format!("bundle {n}")) });
            let record = desk.authors[1].write(draft);
            let outputs = desk.gossip(&record, 1);
            (verdict(&outputs), refusal(&outputs))
        };
        let case = format!("evidence {evidence}, an update {with_update}");
        for n in 0..16 {
            assert_eq!(accuse(&mut desk, n), (Some(Verdict::Accept), None), "{case}, {n}");
        }
        if with_update {
            let update = desk.update(1, &[]);
            assert_eq!(verdict(&desk.gossip(&update, 1)), Some(Verdict::Accept), "{case}");
        }
        let refused = (!with_update).then_some("FEED-010");
        let judged = if with_update { Verdict::Accept } else { Verdict::Reject };
        assert_eq!(accuse(&mut desk, 16), (Some(judged), refused), "{case}");
        assert_eq!(desk.engine.trust.is_barred(&fixture::member(1).id), !with_update, "{case}");
    }
}

#[test]
fn whose_unlawful_update_others_built_on_is_not_called_absent() {
    let mut desk = Desk::new(policy());
    let first = desk.start_together();
    let wrong = Spec::Update(fixture::update(&desk.chain, 1, 0));
    let mut draft = desk.authors[3].draft(&desk.chain, &[], wrong);
    draft.body = Some(Body { length: 1, ..desk.body("unlawful") });
    let unlawful = desk.authors[3].write(draft);
    let liar = fixture::member(3).id;
    assert_eq!(barred(&desk.gossip(&unlawful, 3)), [(liar, "RULE-010")]);
    // It makes that good and publishes nothing; its accomplice built on what it had.
    desk.authors[3].incarnation = Incarnation(1);
    let other = desk.update(2, &[]);
    let again = accusation_by(&mut desk, 3, &other, Flaw::Payload, None);
    assert_eq!(verdict(&desk.gossip(&again, 3)), Some(Verdict::Accept));
    let built = desk.update(1, &[&unlawful]);
    assert_eq!(verdict(&desk.gossip(&built, 1)), Some(Verdict::Accept));
    desk.give(Input::PayloadArrived { hash: hash(&built) });
    let (_, mut outputs) = desk.finish(&first);
    // First our record that accuses it.
    while let Some(Output::Persist { id, .. }) = outputs.iter().find(|output| matches!(output, Output::Persist { .. }))
    {
        let id = *id;
        outputs = desk.give(Input::Persisted { id });
    }
    outputs.extend(desk.wait(60_000));
    let second = plan(&outputs).expect("a second round");
    assert_eq!(second.others.iter().map(|voice| voice.record).collect::<Vec<_>>(), [built.id()]);
    let (outputs, _) = desk.finish(&second);
    let records = written(&outputs, &desk.chain);
    let Some(Spec::Update(update)) = records.last().map(|record| &record.spec) else { panic!("an update") };
    let place = desk.chain.current().place_of(&liar).unwrap();
    let reason = update.skipped.iter().find(|skip| skip.member == place).map(|skip| skip.reason);
    assert_eq!(reason, Some(crate::feed::SkipReason::Banned));
}

#[test]
fn an_accusation_of_an_update_that_has_not_come_is_not_forgotten_for_anothers_of_it() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_together();
    desk.finish(&plan);
    let theirs = desk.update(1, &[]);
    for (n, flaw) in [(2, Flaw::Merge), (3, Flaw::Payload)] {
        let record = accusation_by(&mut desk, n, &theirs, flaw, None);
        desk.gossip(&record, n as u64);
    }
    let mut outputs = desk.gossip(&theirs, 1);
    outputs.extend(desk.give(Input::PayloadArrived { hash: hash(&theirs) }));
    let wrong = Input::Rechecked(Recheck::Wrong { record: theirs.id(), code: "MRG-001" });
    assert!(outputs.iter().any(|output| matches!(output, Output::Recheck(_))), "{outputs:?}");
    assert_eq!(barred(&desk.give(wrong)), [(fixture::member(1).id, "MRG-001")]);
}
