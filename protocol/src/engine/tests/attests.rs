//! Which merges of others our updates say that we recomputed.

use super::*;
use crate::{
    base::{Incarnation, RecordId, limit},
    engine::Recheck,
    feed::{Skip, SkipReason, Update, check, sign},
};

/// The update among outputs.
fn update(outputs: &[Output], chain: &Chain) -> Update {
    let update = outputs.iter().find_map(|output| match output {
        Output::Persist { bytes, .. } => match &check(bytes.clone(), chain).unwrap().record().spec {
            Spec::Update(update) => Some(update.clone()),
            _ => None,
        },
        _ => None,
    });
    update.expect("an update")
}

fn arrive(desk: &mut Desk, record: &Checked) {
    desk.gossip(record, 1);
    desk.give(Input::PayloadArrived { hash: record.record().body.unwrap().hash });
}

/// Whose merges were to be recomputed.
fn ordered(outputs: &[Output]) -> Vec<RecordId> {
    let checks =
        outputs.iter().filter_map(|output| if let Output::Recheck(check) = output { Some(check) } else { None });
    checks.flat_map(|check| check.steps.iter().map(|step| step.record)).collect()
}

/// Publishes the plan, answers the check that follows, and gives the next plan.
fn publish(desk: &mut Desk, plan_: &RoundPlan, verdict: Recheck) -> (Update, RoundPlan) {
    let (before, mut outputs) = desk.finish(plan_);
    let said = update(&before, &desk.chain);
    outputs.extend(desk.give(Input::Rechecked(verdict)));
    outputs.extend(desk.wait(120_000));
    (said, plan(&outputs).expect("another round"))
}

#[test]
fn what_was_recomputed_and_is_right_the_next_update_says_once() {
    let mut desk = Desk::new(policy());
    let first = desk.start_together();
    let theirs = desk.update(1, &[]);
    arrive(&mut desk, &theirs);
    let (said, second) = publish(&mut desk, &first, Recheck::Sound);
    assert_eq!(said.checked, [], "nothing was recomputed before");
    let (said, third) = publish(&mut desk, &second, Recheck::Unable);
    assert_eq!(said.checked, [theirs.id()]);
    let (said, _) = publish(&mut desk, &third, Recheck::Unable);
    assert_eq!(said.checked, [], "it was said before");
}

#[test]
fn of_recomputed_merges_those_before_a_wrong_one_are_named_and_it_is_not() {
    let mut desk = Desk::new(fixture::policy());
    let first = desk.start_together();
    let sound = desk.update(1, &[]);
    let wrong = desk.update(1, &[&sound]);
    arrive(&mut desk, &sound);
    arrive(&mut desk, &wrong);
    let (before, mut outputs) = desk.finish(&first);
    assert_eq!(update(&before, &desk.chain).checked, []);
    assert_eq!(ordered(&outputs), [sound.id(), wrong.id()]);
    outputs.extend(desk.give(Input::Rechecked(Recheck::Wrong { record: wrong.id(), code: "MRG-001" })));
    outputs.extend(desk.wait(120_000));
    // The fault record comes first.
    let fault =
        outputs.iter().find_map(|output| if let Output::Persist { id, .. } = output { Some(*id) } else { None });
    outputs.extend(desk.give(Input::Persisted { id: fault.expect("an accusation") }));
    outputs.extend(desk.wait(120_000));
    let (said, _) = publish(&mut desk, &plan(&outputs).unwrap(), Recheck::Unable);
    assert_eq!(said.checked, [sound.id()]);
}

#[test]
fn as_many_as_fit_are_named_and_the_newest() {
    let mut desk = Desk::new(policy());
    let number = |n: u8| RecordId([n; 32]);
    desk.engine.checks.note_sound((0..100).map(number));
    let mut record = Author::new(0).draft(&desk.chain, &[], Spec::Update(fixture::update(&desk.chain, 1, 0)));
    record.body = Some(desk.body("first"));
    desk.engine.attest(&mut record);
    let Spec::Update(update) = &record.spec else { panic!("an update") };
    assert_eq!(update.checked, (36..100).map(number).collect::<Vec<_>>());
    assert_eq!(update.checked.len(), limit::CHECKED);
    // Of a record that is nearly full only some.
    desk.engine.checks.note_sound((100..200).map(number));
    let skip = |member| Skip { member, reason: SkipReason::Distance, record: Some(number(7)) };
    let skipped = (0..64).map(skip).collect();
    let full = Update { skipped, dataset: Some([7; 32]), ..fixture::update(&desk.chain, 1, 0) };
    let mut record = Author::new(0).draft(&desk.chain, &[], Spec::Update(full));
    (record.incarnation, record.body) = (Incarnation(0), Some(desk.body("first")));
    desk.engine.attest(&mut record);
    let signed = sign(record, &fixture::author(0)).expect("it fits");
    let Spec::Update(update) = &signed.record().spec else { panic!("an update") };
    assert!((1..limit::CHECKED).contains(&update.checked.len()), "{}", update.checked.len());
    assert_eq!(update.checked.last(), Some(&number(199)));
}

#[test]
fn what_a_record_says_of_merges_that_nobody_knows_does_not_hold_it_up() {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let theirs = {
        let spec = Update { checked: vec![RecordId([7; 32])], ..fixture::update(&desk.chain, 1, 0) };
        let mut draft = desk.authors[1].draft(&desk.chain, &[], Spec::Update(spec));
        draft.body = Some(desk.body("theirs"));
        desk.authors[1].write(draft)
    };
    let outputs = desk.gossip(&theirs, 1);
    assert_eq!(verdict(&outputs), Some(Verdict::Accept));
    assert!(asked(&outputs).is_empty(), "nobody is asked for it");
}
