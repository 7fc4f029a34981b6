//! Waiting, merging, publishing.

use std::collections::BTreeSet;

use super::*;
use crate::{
    admit::drawable,
    base::{Incarnation, Seq},
    draw::{self, Account, Seed},
    engine::FetchError,
    feed::SkipReason,
};

#[test]
fn nothing_is_announced_before_it_is_durable() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_alone();
    assert_eq!((plan.seq, plan.own.as_ref(), plan.others.len()), (Seq(0), None, 0));
    let (before, after) = desk.finish(&plan);
    assert!(!before.iter().any(|output| matches!(output, Output::Announce { .. } | Output::Presence { .. })));
    assert!(matches!(after[0], Output::Announce { .. }), "{after:?}");
    assert!(matches!(after[1], Output::Presence { head: Some(_), .. }), "{after:?}");
    assert!(matches!(after[2], Output::Event(Event::RoundDone(_))), "{after:?}");
}

#[test]
fn examples_are_rounded_up_to_a_power_of_two_and_time_down_to_a_minute() {
    let mut desk = Desk::new(policy());
    let plan = desk.start_alone();
    let (before, _) = desk.finish(&plan);
    let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
    let checked = crate::feed::check(bytes.clone(), &desk.chain).unwrap();
    let Spec::Update(update) = &checked.record().spec else { panic!("an update") };
    assert_eq!(update.examples, 128);
    assert_eq!(checked.record().claimed_time, UnixSeconds(1_700_000_040));
    let named: Vec<_> = update.skipped.iter().map(|skip| skip.reason).collect();
    assert_eq!(named, [SkipReason::Absent; 3]);
}

/// Everybody's first round is in, payloads included; the outputs after our own.
fn all_in_step(desk: &mut Desk) -> (Vec<Checked>, RoundPlan) {
    let plan = desk.start_together();
    let mut updates = Vec::new();
    for n in 1..4 {
        let update = desk.update(n, &[]);
        desk.gossip(&update, n as u64);
        desk.give(Input::PayloadArrived { hash: update.record().body.unwrap().hash });
        updates.push(update);
    }
    (updates, plan)
}

#[test]
fn members_in_step_are_waited_for_and_all_are_merged() {
    let mut desk = Desk::new(policy());
    let first = desk.start_together();
    let (_, after) = desk.finish(&first);
    assert_eq!(plan(&after), None, "nobody else has published");
    let mut last = Vec::new();
    for n in 1..4 {
        let update = desk.update(n, &[]);
        let outputs = desk.gossip(&update, n as u64);
        assert_eq!(verdict(&outputs), Some(Verdict::Accept));
        let body = update.record().body.unwrap();
        assert_eq!(fetched(&outputs), [(body, true)]);
        last = desk.give(Input::PayloadArrived { hash: body.hash });
    }
    let second = plan(&last).expect("everybody is there");
    assert_eq!(second.others.len(), 3);
    assert_eq!(second.own.map(|own| own.round), Some(Round(1)));
}

#[test]
fn who_falls_silent_costs_one_deadline() {
    let mut desk = Desk::new(policy());
    let (_, first) = all_in_step(&mut desk);
    let (_, after) = desk.finish(&first);
    // All were ready when we published: round 2 starts at once.
    let second = plan(&after).expect("nobody is missing");
    assert_eq!(second.others.len(), 3);
    let (_, after) = desk.finish(&second);
    assert_eq!(plan(&after), None);
    // Nobody publishes round 2: one deadline, then never again.
    let third = plan(&desk.wait(10_000)).expect("the deadline passed");
    assert_eq!(third.others.len(), 3, "late members' older publications count");
    let (_, after) = desk.finish(&third);
    assert!(plan(&after).is_some(), "nobody is waited for twice");
}

#[test]
fn a_member_whose_connection_ends_is_not_waited_for() {
    let mut desk = Desk::new(policy());
    let (_, first) = all_in_step(&mut desk);
    let (_, after) = desk.finish(&first);
    let second = plan(&after).expect("nobody is missing");
    desk.finish(&second);
    for n in 1..3 {
        assert_eq!(plan(&desk.give(Input::PeerDown { peer: fixture::transport(n) })), None);
    }
    assert!(plan(&desk.give(Input::PeerDown { peer: fixture::transport(3) })).is_some());
}

#[test]
fn a_malformed_payload_bars_its_author_and_is_said() {
    let mut desk = Desk::new(policy());
    desk.meet(1);
    let plan_of_first = desk.start_alone();
    let update = desk.update(1, &[]);
    desk.gossip(&update, 1);
    let hash = update.record().body.unwrap().hash;
    let outputs = desk.give(Input::FetchFailed { hash, why: FetchError::Malformed { code: "PAY-001" } });
    assert!(events(&outputs).iter().any(|event| matches!(event, Event::PayloadRefused { .. })), "{outputs:?}");
    assert!(outputs.contains(&Output::Penalise { peer: fixture::transport(1), code: "PAY-001" }));
    let (_, after) = desk.finish(&plan_of_first);
    // First our record that accuses it.
    let said = after.iter().find_map(|output| if let Output::Persist { id, .. } = output { Some(*id) } else { None });
    let after = desk.give(Input::Persisted { id: said.expect("a record of the fault") });
    let second = plan(&after).expect("nobody is waited for");
    assert_eq!(second.others, []);
    let (_, after) = desk.finish(&second);
    let done = events(&after).into_iter().find_map(|event| match event {
        Event::RoundDone(report) => Some(report.skipped.clone()),
        _ => None,
    });
    assert!(done.unwrap().contains(&(fixture::member(1).id, SkipReason::Banned)));
}

#[test]
fn a_fetch_that_fails_is_tried_again_and_a_liar_is_not_asked_again() {
    let mut desk = Desk::new(policy());
    desk.meet(1);
    desk.meet(2);
    desk.start_alone();
    let update = desk.update(1, &[]);
    desk.gossip(&update, 1);
    let hash = update.record().body.unwrap().hash;
    let peer = fixture::transport(1);
    let outputs = desk.give(Input::FetchFailed { hash, why: FetchError::WrongBytes { peer: peer.clone() } });
    assert!(outputs.contains(&Output::Penalise { peer, code: "BLOB-001" }));
    let from = outputs.iter().find_map(|output| match output {
        Output::Fetch { from, .. } => Some(from.clone()),
        _ => None,
    });
    assert_eq!(from, Some(vec![fixture::transport(2)]));
    let outputs = desk.give(Input::FetchFailed { hash, why: FetchError::Unreachable });
    assert_eq!(fetched(&outputs), []);
    assert_eq!(fetched(&desk.wait(2_000)).len(), 2, "once after the failure, once after the patience");
}

#[test]
fn a_blob_is_asked_of_its_author_first_and_then_of_others_in_an_order_of_its_own() {
    let mut seconds = BTreeSet::new();
    for blob in 0..8 {
        let mut desk = Desk::new(policy());
        desk.start_together();
        let spec = Spec::Update(fixture::update(&desk.chain, 1, 0));
        let mut draft = desk.authors[1].draft(&desk.chain, &[], spec);
        draft.body = Some(desk.body(&format!("blob {blob}")));
        let update = desk.authors[1].write(draft);
        let outputs = desk.gossip(&update, 1);
        let from = outputs.iter().find_map(|output| match output {
            Output::Fetch { from, .. } => Some(from.clone()),
            _ => None,
        });
        let from = from.expect("a fetch");
        assert_eq!((from.len(), &from[0]), (3, &fixture::transport(1)));
        seconds.insert(from[1].clone());
    }
    assert_eq!(seconds, [2, 3].map(fixture::transport).into(), "nobody serves all that an author does not");
}

#[test]
fn a_failed_round_is_ordered_again_after_ever_longer_waits() {
    let mut desk = Desk::new(policy());
    desk.start_alone();
    for retry in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        let outputs = desk.give(Input::TrainFailed { why: "no data".into() });
        let failed = Event::RoundFailed { why: "no data".into(), retry_ms: retry };
        assert!(events(&outputs).contains(&&failed), "{outputs:?}");
        assert_eq!(plan(&desk.wait(retry - 1)), None);
        assert!(plan(&desk.wait(1)).is_some());
    }
}

#[test]
fn after_the_last_round_comes_a_close_record_and_the_end() {
    let mut desk = Desk::new(Policy { rounds: 1, ..policy() });
    let plan_of_first = desk.start_alone();
    let (_, after) = desk.finish(&plan_of_first);
    let Some(Output::Persist { id, .. }) = after.iter().find(|output| matches!(output, Output::Persist { .. })) else {
        panic!("no close record: {after:?}");
    };
    assert!(!after.contains(&Output::Finished));
    let end = desk.give(Input::Persisted { id: *id });
    assert!(matches!(end[0], Output::Announce { .. }));
    assert_eq!(end.last(), Some(&Output::Finished));
    assert_eq!(plan(&desk.wait(60_000)), None);
}

#[test]
fn who_returns_late_and_can_fetch_nothing_goes_on_from_its_own_publication() {
    let mut desk = Desk::new(policy());
    let mut next = desk.start_alone();
    let (mut records, mut own) = (Vec::new(), None);
    for _ in 0..3 {
        own = Some(desk.trained(&next).payload.hash);
        let (before, after) = desk.finish(&next);
        let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
        records.push(bytes.clone());
        next = plan(&after).expect("alone, nobody is waited for");
    }
    for n in 1..4 {
        let mut last = desk.update(n, &[]);
        records.push(last.bytes().clone());
        for _ in 1..9 {
            last = desk.update(n, &[&last.clone()]);
            records.push(last.bytes().clone());
        }
    }
    let payloads = own.into_iter().collect();
    let mut desk = Desk::stored(policy(), Stored { records, payloads, evidence: Vec::new() });
    let mut outputs: Vec<Output> = (1..4).flat_map(|n| desk.meet(n)).collect();
    outputs.extend(desk.wait(60_000));
    let next = plan(&outputs).expect("nobody is waited for longer");
    assert_eq!(next.own.as_ref().map(|own| own.round), Some(Round(3)), "{next:?}");
    assert_eq!((next.incarnation, next.others.len()), (Incarnation(0), 0));
    desk.finish(&next);
    assert_eq!(desk.engine.own.last().map(|own| own.round), Some(Round(4)));
}

#[test]
fn blobs_older_than_the_policy_keeps_are_pruned_but_not_our_last_two() {
    let mut desk = Desk::new(Policy { keep_rounds: 3, ..policy() });
    let mut next = desk.start_alone();
    let mut payloads = Vec::new();
    let mut pruned = Vec::new();
    for _ in 0..8 {
        payloads.push(desk.trained(&next).payload.hash);
        let (_, after) = desk.finish(&next);
        for output in &after {
            if let Output::Prune { blobs } = output {
                pruned.extend(blobs.clone());
            }
        }
        next = plan(&after).expect("alone, nobody is waited for");
    }
    assert_eq!(pruned, payloads[..4], "rounds 5 to 8 stay");
}

#[test]
fn every_own_update_accounts_for_the_draw_that_follows_from_the_one_before() {
    let mut desk = Desk::new(Policy { draw: 2, ..policy() });
    let mut next = desk.start_together();
    let (mut seed, mut orders) = (Seed::default(), BTreeSet::new());
    let mut last: Vec<Option<Checked>> = vec![None; 4];
    for _ in 0..6 {
        for (n, last) in last.iter_mut().enumerate().skip(1) {
            let update = desk.update(n, &last.iter().collect::<Vec<_>>());
            desk.gossip(&update, n as u64);
            desk.give(Input::PayloadArrived { hash: update.record().body.unwrap().hash });
            *last = Some(update);
        }
        let (before, after) = desk.finish(&next);
        let signed = before.iter().find_map(|output| match output {
            Output::Persist { bytes, .. } => Some(crate::feed::check(bytes.clone(), &desk.chain).unwrap()),
            _ => None,
        });
        let (signed, manifest) = (signed.unwrap(), desk.chain.current());
        let record = signed.record();
        let order = draw::order(&record.network, &record.member, record.incarnation, &seed, &drawable(manifest));
        Account::of(record, manifest).check(&order, 2).unwrap();
        orders.insert(order);
        seed = Seed::after(record, manifest).unwrap();
        next = plan(&after).expect("everybody is there");
    }
    assert!(orders.len() > 2, "{} draws", orders.len());
}
