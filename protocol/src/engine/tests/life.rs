//! Starting, restarting, leaving.

use super::*;
use crate::{
    base::{Incarnation, Seq},
    manifest::Cut,
};

#[test]
fn a_member_asks_its_peers_before_it_acts() {
    let mut desk = Desk::new(policy());
    let outputs = desk.give(Input::PeerUp { peer: fixture::transport(1) });
    assert_eq!(asked(&outputs), [fixture::transport(1)]);
    assert!(outputs.iter().any(|output| matches!(output, Output::Presence { head: None, .. })));
    assert_eq!(plan(&outputs), None);
    // The network runs already: the answer shows it, so nobody else is waited for.
    let update = desk.update(1, &[]);
    let from = fixture::transport(1);
    desk.give(Input::Record { bytes: update.bytes().clone(), from: from.clone(), ticket: None });
    let outputs = desk.give(Input::Synced { peer: from, complete: true });
    assert_eq!(plan(&outputs), None, "its payload is on the way");
    let outputs = desk.give(Input::PayloadArrived { hash: update.record().body.unwrap().hash });
    assert_eq!(plan(&outputs).map(|plan| plan.others.len()), Some(1));
}

#[test]
fn in_a_new_network_the_members_wait_for_one_another() {
    let mut desk = Desk::new(policy());
    assert_eq!(plan(&desk.meet(1)), None);
    assert_eq!(plan(&desk.meet(2)), None);
    assert!(plan(&desk.meet(3)).is_some());
}

#[test]
fn as_long_as_others_come_up_a_start_waits_for_more_of_them_but_not_for_ever() {
    let mut desk = Desk::new(policy());
    desk.meet(1);
    assert_eq!(plan(&desk.wait(4_900)), None);
    assert_eq!(plan(&desk.meet(2)), None);
    assert_eq!(plan(&desk.wait(4_999)), None, "one came up 4,999 ms ago");
    assert!(plan(&desk.wait(1)).is_some(), "nobody came up for 5,000 ms");

    // One comes up every 4,000 ms, and after 60,000 ms not all are there.
    let mut desk = Desk::new(policy());
    desk.chain = fixture::chain(20, policy());
    desk.engine = Engine::new(config(), desk.chain.clone(), Stored::default(), Millis(desk.now)).unwrap();
    for n in 1..=15 {
        assert_eq!(plan(&desk.meet(n)), None, "{n} of 19");
        assert_eq!(plan(&desk.wait(if n < 15 { 4_000 } else { 3_999 })), None, "{n} of 19");
    }
    assert!(plan(&desk.wait(1)).is_some(), "after twelve times the usual wait");
}

/// What a member that published one round has on disk.
fn one_round() -> (Stored, Checked) {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let payload = desk.trained(&first).payload.hash;
    let (before, _) = desk.finish(&first);
    let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
    let record = crate::feed::check(bytes.clone(), &desk.chain).unwrap();
    let stored = Stored { records: vec![bytes.clone()], payloads: vec![payload], evidence: Vec::new() };
    (stored, record)
}

#[test]
fn a_restarted_member_announces_its_head_again_and_goes_on_from_its_publication() {
    let (stored, record) = one_round();
    let mut desk = Desk::stored(policy(), stored);
    let outputs = desk.give(Input::PeerUp { peer: fixture::transport(1) });
    assert!(outputs.contains(&Output::Announce { bytes: record.bytes().clone() }));
    let outputs = desk.give(Input::Synced { peer: fixture::transport(1), complete: true });
    let next = plan(&outputs).or_else(|| plan(&desk.wait(10_000))).expect("a plan");
    assert_eq!((next.incarnation, next.seq), (Incarnation(0), Seq(1)));
    assert_eq!(next.own.map(|own| own.record), Some(record.id()));
}

#[test]
fn a_record_of_our_own_that_the_disk_lacks_opens_a_new_incarnation() {
    let (_, record) = one_round();
    let mut desk = Desk::new(policy());
    let from = fixture::transport(1);
    desk.give(Input::PeerUp { peer: from.clone() });
    let outputs = desk.give(Input::Record { bytes: record.bytes().clone(), from: from.clone(), ticket: None });
    assert!(outputs.contains(&Output::Store { id: record.id(), bytes: record.bytes().clone() }));
    assert!(events(&outputs).contains(&&Event::NewIncarnation { incarnation: Incarnation(1) }));
    let outputs = desk.give(Input::Synced { peer: from, complete: true });
    let next = plan(&outputs).expect("a plan");
    assert_eq!((next.incarnation, next.seq, next.own.clone()), (Incarnation(1), Seq(0), None));
    let (before, _) = desk.finish(&next);
    let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
    let new = crate::feed::check(bytes.clone(), &desk.chain).unwrap();
    assert_eq!(new.record().prev, Some(record.id()));
}

#[test]
fn a_disk_that_lacks_the_training_state_of_its_own_head_was_restored() {
    let (stored, _) = one_round();
    let stored = Stored { payloads: Vec::new(), ..stored };
    let mut desk = Desk::stored(policy(), stored);
    // Who has published waits longer for a peer that may know more.
    assert_eq!(plan(&desk.wait(5_000)), None);
    let next = plan(&desk.wait(60_000)).expect("a plan after the wait");
    assert_eq!((next.incarnation, next.seq), (Incarnation(1), Seq(0)));
}

#[test]
fn a_release_pins_the_last_publication_in_a_record() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let (_, after) = desk.finish(&first);
    let second = plan(&after).expect("alone");
    desk.give(Input::Release { label: "v1".into(), wall: WALL });
    let (_, after) = desk.finish(&second);
    let record = after.iter().find_map(|output| match output {
        Output::Persist { bytes, .. } => crate::feed::check(bytes.clone(), &desk.chain).ok(),
        _ => None,
    });
    let Spec::Release(release) = record.unwrap().record().spec.clone() else { panic!("a release: {after:?}") };
    assert_eq!((release.round, release.label.as_str()), (Round(1), "v1"));
}

#[test]
fn one_publication_is_released_once() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    desk.finish(&first);
    assert_eq!(refusal(&desk.give(Input::Release { label: "v1".into(), wall: WALL })), None);
    assert_eq!(refusal(&desk.give(Input::Release { label: "v2".into(), wall: WALL })), Some("OWN-002"));
}

#[test]
fn closing_drops_the_round_under_way_and_ends_the_feed() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let outputs = desk.give(Input::Close { wall: WALL });
    let Some(Output::Persist { id, .. }) = outputs.iter().find(|output| matches!(output, Output::Persist { .. }))
    else {
        panic!("no close record: {outputs:?}");
    };
    let end = desk.give(Input::Persisted { id: *id });
    assert!(end.contains(&Output::Finished));
    let late = desk.trained(&first);
    assert_eq!(desk.give(Input::Trained(Box::new(late))), []);
}

#[test]
fn whom_the_manifest_no_longer_names_stops_publishing() {
    let mut desk = Desk::new(policy());
    desk.start_alone();
    let mut next = fixture::next(&desk.chain);
    let member = fixture::member(0).id;
    next.members.retain(|entry| entry.id != member);
    next.cuts = vec![Cut { member, incarnation: Incarnation(0), last: None }];
    let outputs = desk.give(Input::Manifest { bytes: fixture::signed(next, &[0]), from: None });
    assert!(events(&outputs).contains(&&Event::Expelled));
    assert_eq!(plan(&desk.wait(60_000)), None);
}
