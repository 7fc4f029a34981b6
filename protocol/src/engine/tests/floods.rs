//! Too much of everything.

use super::*;
use crate::{
    base::{Incarnation, Seq},
    engine::FetchError,
    feed::{Evidence, EvidenceSpec, Skip, SkipReason, sign},
};

fn running() -> Desk {
    let mut desk = Desk::new(policy());
    desk.start_together();
    desk
}

/// An evidence record of member 1 that names a bundle nobody has.
fn bogus(desk: &mut Desk, name: &str) -> Checked {
    let spec = EvidenceSpec { accused: fixture::member(3).id, incarnation: Incarnation(0), seq: Seq(0) };
    let mut draft = desk.authors[1].draft(&desk.chain, &[], Spec::Evidence(spec));
    draft.body = Some(Body { length: 700, ..desk.body(name) });
    desk.authors[1].write(draft)
}

#[test]
fn evidence_that_nobody_has_keeps_no_payload_waiting_and_is_given_up() {
    let mut desk = running();
    let mut under_way = Vec::new();
    for n in 0..8 {
        let record = bogus(&mut desk, &format!("no bundle {n}"));
        under_way.extend(fetched(&desk.gossip(&record, 1)));
    }
    assert_eq!(under_way.len(), 1, "one of each author");
    let update = desk.update(2, &[]);
    let body = update.record().body.unwrap();
    assert_eq!(fetched(&desk.gossip(&update, 2)), [(body, true)]);
    desk.give(Input::PayloadArrived { hash: body.hash });
    // The four that were kept are each looked for six times, then nothing more.
    let mut tries = 1;
    let mut next = vec![under_way[0].0.hash];
    while let Some(hash) = next.pop() {
        let mut outputs = desk.give(Input::FetchFailed { hash, why: FetchError::Unreachable });
        outputs.extend(desk.wait(900));
        for _ in 0..100 {
            if fetched(&outputs).is_empty() {
                outputs.extend(desk.wait(100));
            }
        }
        let again: Vec<_> = fetched(&outputs).into_iter().filter(|(_, payload)| !payload).collect();
        tries += again.len();
        next.extend(again.last().map(|(body, _)| body.hash));
        assert!(tries < 100, "for ever");
    }
    assert_eq!(tries, 24);
}

/// A part of an answer of peer 1.
fn answer(desk: &mut Desk, bytes: &Bytes) -> Vec<Output> {
    desk.give(Input::Record { bytes: bytes.clone(), from: fixture::transport(1), ticket: None })
}

fn end(desk: &mut Desk) -> Vec<Output> {
    desk.give(Input::Synced { peer: fixture::transport(1), complete: true })
}

#[test]
fn a_spoilt_answer_is_a_failed_one_and_connecting_again_does_not_mend_it() {
    let mut desk = Desk::new(policy());
    let peer = fixture::transport(1);
    let good = desk.update(2, &[]);
    let mut waited = Vec::new();
    let mut outputs = desk.give(Input::PeerUp { peer: peer.clone() });
    for _ in 0..4 {
        assert_eq!(asked(&outputs), std::slice::from_ref(&peer));
        let spoilt = answer(&mut desk, &Bytes::from_static(b"junk"));
        assert!(spoilt.iter().any(|output| matches!(output, Output::Penalise { .. })));
        assert_eq!(answer(&mut desk, good.bytes()), [], "the rest is not looked at");
        assert_eq!(asked(&end(&mut desk)), []);
        desk.give(Input::PeerDown { peer: peer.clone() });
        assert_eq!(asked(&desk.give(Input::PeerUp { peer: peer.clone() })), []);
        let from = desk.now;
        outputs = Vec::new();
        while asked(&outputs).is_empty() {
            outputs = desk.wait(100);
            assert!(desk.now - from < 600_000, "never asked again");
        }
        waited.push(desk.now - from);
    }
    assert!(waited[0] >= 1_000 && waited.is_sorted_by(|one, other| one < other), "{waited:?}");
}

#[test]
fn only_an_answer_with_something_new_in_it_is_followed_by_another_question() {
    for new in [false, true] {
        let mut desk = Desk::new(policy());
        desk.give(Input::PeerUp { peer: fixture::transport(1) });
        let known = desk.update(1, &[]);
        desk.gossip(&known, 1);
        let length = known.bytes().len();
        for _ in 0..(9 << 20) / length {
            answer(&mut desk, known.bytes());
        }
        if new {
            let other = desk.update(2, &[]);
            answer(&mut desk, other.bytes());
        }
        assert_eq!(!asked(&end(&mut desk)).is_empty(), new);
    }
}

#[test]
fn a_known_record_is_known_by_its_id_alone() {
    let mut desk = running();
    let update = desk.update(1, &[]);
    desk.gossip(&update, 1);
    let mut bytes = update.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let outputs = desk.give_bytes(bytes.into(), 3);
    assert_eq!((verdict(&outputs), outputs.len()), (Some(Verdict::Ignore), 1));
}

#[test]
fn one_authors_records_do_not_push_out_those_of_others() {
    let mut desk = running();
    let base = desk.update(3, &[]);
    let waits = desk.update(2, &[&base]);
    desk.gossip(&waits, 2);
    desk.update(1, &[]);
    for _ in 0..3_000 {
        let gap = desk.update(1, &[]);
        desk.gossip(&gap, 1);
    }
    let of_one = desk.engine.pending.take_member(&fixture::member(1).id).len();
    assert_eq!(of_one, 256);
    let admitted = desk.gossip(&base, 3).iter().filter(|output| matches!(output, Output::Store { .. })).count();
    assert_eq!(admitted, 2);
}

#[test]
fn who_equivocated_itself_waits_for_nothing_any_more() {
    let mut desk = Desk::new(policy());
    let first = desk.start_together();
    let (before, _) = desk.finish(&first);
    let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
    let own = crate::feed::check(bytes.clone(), &desk.chain).unwrap();
    let mut record = own.record().clone();
    record.claimed_time = UnixSeconds(60);
    let other = sign(record, &fixture::author(0)).unwrap();
    let outputs = desk.gossip(&other, 1);
    assert!(events(&outputs).iter().any(|event| matches!(event, Event::Convicted { .. })));
    let idle = |desk: &Desk| desk.engine.deadline().is_none_or(|due| due.0 > desk.now);
    for _ in 0..100 {
        desk.now += 1_000;
        desk.give(Input::Tick);
        assert!(idle(&desk), "a timer is always due");
    }
    let evidence = vec![Evidence::of(&own, &other).unwrap().to_bytes()];
    let mut desk = Desk::stored(policy(), Stored { records: vec![bytes.clone()], evidence, payloads: Vec::new() });
    desk.now += 600_000;
    let outputs = desk.give(Input::Tick);
    assert!(idle(&desk) && plan(&outputs).is_none(), "after a restart");
}

#[test]
fn whoever_was_not_looked_at_is_not_signed_as_absent() {
    let mut desk = Desk::new(Policy { draw: 2, ..policy() });
    let first = desk.start_together();
    for n in 1..4 {
        let update = desk.update(n, &[]);
        desk.gossip(&update, n as u64);
        desk.give(Input::PayloadArrived { hash: update.record().body.unwrap().hash });
    }
    let (_, after) = desk.finish(&first);
    let second = plan(&after).expect("everybody is there");
    assert_eq!(second.others.len(), 2);
    let far = second.others[0].member;
    let mut trained = desk.trained(&second);
    trained.used.retain(|(record, _)| *record != second.others[0].record);
    trained.out_of_reach = vec![far];
    let before = desk.give(Input::Trained(Box::new(trained)));
    let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
    let checked = crate::feed::check(bytes.clone(), &desk.chain).unwrap();
    let Spec::Update(update) = &checked.record().spec else { panic!("an update") };
    let members = &desk.chain.current().members;
    let place = members.iter().position(|member| member.id == far).unwrap() as u64;
    let named = second.others[0].record;
    assert_eq!(update.skipped, [Skip { member: place, reason: SkipReason::Distance, record: Some(named) }]);
}

fn presence(desk: &Desk, n: u64, version: u64, counter: u64) -> Bytes {
    let presence = crate::wire::Presence {
        network: desk.chain.network(),
        member: fixture::member(n).id,
        peer: fixture::transport(n),
        addresses: Vec::new(),
        head: None,
        manifest_version: version,
        counter,
    };
    presence.sign(&fixture::author(n))
}

fn say(desk: &mut Desk, n: u64, version: u64, counter: u64) -> Vec<Output> {
    let bytes = presence(desk, n, version, counter);
    desk.give(Input::Presence { bytes, from: fixture::transport(n), ticket: Some(Ticket(1)) })
}

#[test]
fn of_one_members_presence_messages_a_few_are_passed_on_and_the_rest_waits() {
    let mut desk = running();
    let accepted = |desk: &mut Desk, n: u64, from: u64| {
        let said = (from..from + 100).map(|counter| verdict(&say(desk, n, 0, counter)));
        said.filter(|verdict| *verdict == Some(Verdict::Accept)).count()
    };
    assert_eq!(accepted(&mut desk, 1, 1), 8);
    assert_eq!(accepted(&mut desk, 2, 1), 8, "others have their own");
    desk.wait(1_000);
    assert_eq!(accepted(&mut desk, 1, 101), 4, "one every quarter of a second");
    desk.wait(60_000);
    assert_eq!(accepted(&mut desk, 1, 201), 8, "never more than that at once");
}

#[test]
fn a_manifest_version_that_does_not_exist_is_given_up_and_hides_no_true_one() {
    let mut desk = running();
    for n in 1..4 {
        desk.give(Input::Synced { peer: fixture::transport(n), complete: true });
    }
    say(&mut desk, 1, (1 << 53) - 1, 1);
    let mut questions = 0;
    for _ in 0..600 {
        let outputs = desk.wait(1_000);
        for peer in asked(&outputs) {
            questions += 1;
            desk.give(Input::Synced { peer, complete: true });
        }
    }
    assert!((1..=7).contains(&questions), "{questions} questions for what nobody has");
    // It says so again and again; who speaks of the next version is asked at once.
    say(&mut desk, 1, (1 << 53) - 1, 2);
    assert_eq!(asked(&desk.wait(1_000)), []);
    assert_eq!(asked(&say(&mut desk, 2, 1, 1)), [fixture::transport(2)]);
}
