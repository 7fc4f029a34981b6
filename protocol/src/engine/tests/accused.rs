//! What accusations, and what somebody says of a blob, can do to members that keep the rules.

use super::{
    faults::{accusation_by, barred, fault, published, written},
    *,
};
use crate::{
    base::{BlobHash, Incarnation},
    engine::Recheck,
    feed::{FaultSpec, Flaw},
};

fn hash(checked: &Checked) -> BlobHash {
    checked.record().body.unwrap().hash
}

fn said(outputs: &[Output], chain: &Chain) -> Vec<FaultSpec> {
    written(outputs, chain).iter().filter_map(fault).collect()
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
