//! Keys that change while the network runs, and keys that were stolen.

use super::*;
use crate::{
    base::{Incarnation, MemberId, Seq},
    feed::Close,
    manifest::{Cut, Handover},
};

/// The next version, in which member `n` signs with key `key`, and `last` is the last record of the old one.
fn rotation(desk: &Desk, n: u64, key: u64, last: &Checked) -> Bytes {
    let mut next = fixture::next(&desk.chain);
    let member = fixture::member(n).id;
    let entry = next.members.iter_mut().find(|entry| entry.id == member).unwrap();
    entry.author_key = fixture::author(key).public();
    let (incarnation, seq) = (last.record().incarnation, last.record().seq);
    next.handovers = vec![Handover { member, incarnation, last: Some((seq, last.id())), log: None }];
    fixture::signed(next, &[0])
}

impl Desk {
    fn manifest(&mut self, bytes: Bytes) -> Vec<Output> {
        self.chain.extend(bytes.clone()).unwrap();
        self.give(Input::Manifest { bytes, from: None })
    }
}

/// The record that an output list makes durable.
fn persisted(outputs: &[Output]) -> Checked {
    let bytes = outputs.iter().find_map(|output| match output {
        Output::Persist { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    let bytes = bytes.unwrap_or_else(|| panic!("no record: {outputs:?}"));
    let chain = fixture::chain(4, policy());
    crate::feed::check_stored(bytes, &chain).unwrap()
}

#[test]
fn a_member_takes_its_next_key_up_while_it_runs_and_goes_on_in_a_feed_of_its_own() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let (before, after) = desk.finish(&first);
    let old = persisted(&before);
    let under_way = plan(&after).unwrap();
    let outputs = desk.manifest(rotation(&desk, 0, 70, &old));
    assert!(events(&outputs).contains(&&Event::NewKey { version: 1 }));
    assert!(events(&outputs).contains(&&Event::NewIncarnation { incarnation: Incarnation(1) }));
    assert_eq!(desk.engine.signer().public(), fixture::author(70).public());
    // What was worked on under the old key comes to nothing.
    let dropped = desk.trained(&under_way);
    let mut outputs = desk.give(Input::Trained(Box::new(dropped)));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Persist { .. })), "{outputs:?}");
    outputs.extend(desk.wait(60_000));
    let plan = plan(&outputs).unwrap();
    assert_eq!((plan.incarnation, plan.seq, plan.manifest_version), (Incarnation(1), Seq(0), 1));
    let (before, after) = desk.finish(&plan);
    let Some(Output::Persist { bytes, .. }) = before.iter().find(|output| matches!(output, Output::Persist { .. }))
    else {
        panic!("{before:?}");
    };
    let new = crate::feed::check(bytes.clone(), &desk.chain).unwrap();
    assert_eq!((new.record().prev, new.record().key), (Some(old.id()), fixture::author(70).public()));
    assert!(after.iter().any(|output| matches!(output, Output::Announce { .. })));
}

#[test]
fn a_record_that_the_handover_overtakes_is_not_announced_and_nothing_goes_on_from_it() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let (before, after) = desk.finish(&first);
    let old = persisted(&before);
    let second = plan(&after).unwrap();
    let overtaken = desk.give(Input::Trained(Box::new(desk.trained(&second))));
    let late = persisted(&overtaken);
    desk.manifest(rotation(&desk, 0, 70, &old));
    let outputs = desk.give(Input::Persisted { id: late.id() });
    assert!(!outputs.iter().any(|output| matches!(output, Output::Announce { .. })), "{outputs:?}");
    let third = plan(&[outputs, desk.wait(60_000)].concat()).unwrap();
    assert_eq!((third.incarnation, third.seq), (Incarnation(1), Seq(0)));
    assert_eq!(third.own.map(|own| own.record), Some(old.id()));
}

#[test]
fn who_has_not_the_key_that_the_manifest_gives_it_signs_nothing_until_it_gets_it_back() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let (before, _) = desk.finish(&first);
    let old = persisted(&before);
    let outputs = desk.manifest(rotation(&desk, 0, 99, &old));
    assert!(events(&outputs).contains(&&Event::KeyGone { version: 1 }));
    let later = desk.wait(120_000);
    let signed =
        |output: &Output| matches!(output, Output::Presence { .. } | Output::Persist { .. } | Output::Round(_));
    assert!(!later.iter().any(signed), "{later:?}");
    let error = Engine::new(config(), desk.chain.clone(), Stored::default(), Millis(1)).unwrap_err();
    assert!(error.contains("a key that this home does not have"), "{error}");
    // The second handover of the same member, to the key that it has.
    let mut next = fixture::next(&desk.chain);
    let member = fixture::member(0).id;
    next.members.iter_mut().find(|entry| entry.id == member).unwrap().author_key = fixture::author(70).public();
    next.handovers = vec![Handover { member, incarnation: Incarnation(0), last: Some((Seq(0), old.id())), log: None }];
    let outputs = desk.manifest(fixture::signed(next, &[0]));
    assert!(events(&outputs).contains(&&Event::NewKey { version: 2 }));
    assert!(plan(&[outputs, desk.wait(120_000)].concat()).is_some());
}

#[test]
fn a_restart_after_a_handover_goes_on_right_above_what_stands_of_the_old_key() {
    let mut desk = Desk::new(policy());
    let chain = desk.chain.clone();
    let old = desk.update(0, &[]);
    let late = desk.update(0, &[&old]);
    desk.authors[0].incarnation = Incarnation(3);
    let stray = desk.authors[0].draft(&chain, &[], Spec::Close(Close::Left));
    let stray = desk.authors[0].write(stray);
    let bytes = rotation(&desk, 0, 70, &old);
    desk.chain.extend(bytes).unwrap();
    let records = [&old, &late, &stray].map(|record| record.bytes().clone()).to_vec();
    let stored = Stored { records, ..Stored::default() };
    let mut engine = Engine::new(config(), desk.chain.clone(), stored, Millis(1_000_000)).unwrap();
    assert_eq!(engine.head().map(|head| head.id), Some(old.id()));
    assert_eq!(engine.signer().public(), fixture::author(70).public());
    let outputs: Vec<Output> = std::iter::from_fn(|| engine.poll()).collect();
    let opened = events(&outputs).into_iter().filter_map(|event| match event {
        Event::NewIncarnation { incarnation } => Some(*incarnation),
        _ => None,
    });
    assert_eq!(opened.max(), Some(Incarnation(1)), "{outputs:?}");
}

/// A desk that runs, and member 1's first record, which it has admitted.
fn met() -> (Desk, Checked) {
    let mut desk = Desk::new(policy());
    desk.start_together();
    let first = desk.update(1, &[]);
    assert_eq!(verdict(&desk.gossip(&first, 1)), Some(Verdict::Accept));
    (desk, first)
}

#[test]
fn a_thief_s_records_are_refused_after_the_handover_and_those_from_before_make_room() {
    let (mut desk, first) = met();
    let mut thief = desk.authors[1].clone();
    let old = desk.chain.clone();
    // Before anybody knew: in a feed that the member itself will open.
    thief.incarnation = Incarnation(1);
    let early = thief.draft(&old, &[], Spec::Close(Close::Left));
    let early = thief.write(early);
    assert_eq!(verdict(&desk.gossip(&early, 2)), Some(Verdict::Accept));
    desk.manifest(rotation(&desk, 1, 71, &first));
    desk.authors[1].hand_over(71);
    let honest = desk.update(1, &[&first]);
    let outputs = desk.gossip(&honest, 1);
    assert_eq!(verdict(&outputs), Some(Verdict::Accept), "{outputs:?}");
    assert!(!events(&outputs).iter().any(|event| matches!(event, Event::Convicted { .. })));
    let more = thief.draft(&old, &[], Spec::Close(Close::Left));
    let more = thief.write(more);
    for (stolen, code) in [(&early, None), (&more, Some("REC-008"))] {
        let outputs = desk.gossip(stolen, 2);
        assert_eq!((verdict(&outputs), refusal(&outputs)), (Some(Verdict::Ignore), code), "the first is known");
        assert!(!outputs.iter().any(|output| matches!(output, Output::Store { .. } | Output::Penalise { .. })));
    }
    assert_eq!(desk.engine.have().iter().filter(|have| have.member == honest.record().member).count(), 2);
}

#[test]
fn a_handover_clears_whom_a_stolen_key_convicted_and_a_cut_does_not() {
    for cut in [false, true] {
        let (mut desk, first) = met();
        let twin = {
            let mut record = first.record().clone();
            record.claimed_time.0 += 60;
            crate::feed::sign(record, &fixture::author(1)).unwrap()
        };
        let outputs = desk.gossip(&twin, 2);
        assert!(events(&outputs).iter().any(|event| matches!(event, Event::Convicted { .. })));
        let member: MemberId = fixture::member(1).id;
        let manifest = if cut {
            let mut next = fixture::next(&desk.chain);
            next.cuts = vec![Cut { member, incarnation: Incarnation(0), last: Some((Seq(0), first.id())) }];
            fixture::signed(next, &[0])
        } else {
            rotation(&desk, 1, 71, &first)
        };
        let pardon = Output::Pardon { peer: fixture::transport(1) };
        assert_eq!(desk.manifest(manifest).contains(&pardon), !cut);
        assert_eq!(desk.engine.trust.is_convicted(&member), cut);
        if !cut {
            desk.authors[1].hand_over(71);
            let honest = desk.update(1, &[&first]);
            assert_eq!(verdict(&desk.gossip(&honest, 1)), Some(Verdict::Accept));
        }
    }
}

#[test]
fn a_manifest_against_ours_is_kept_if_it_convicts_a_governor() {
    let mut desk = Desk::new(policy());
    desk.start_alone();
    let mut other = fixture::next(&desk.chain);
    other.policy.draw = 1;
    let next = fixture::signed(fixture::next(&desk.chain), &[0]);
    desk.manifest(next);
    let proof = fixture::signed(other.clone(), &[0]);
    let from = Some(fixture::transport(1));
    let outputs = desk.give(Input::Manifest { bytes: proof.clone(), from: from.clone() });
    assert!(outputs.contains(&Output::StoreConflict { bytes: proof.clone() }));
    let governors = vec![fixture::governor(0).public()];
    assert!(events(&outputs).contains(&&Event::DoubleVote { version: 1, governors }));
    let again = desk.give(Input::Manifest { bytes: proof, from: from.clone() });
    assert!(events(&again).is_empty(), "{again:?}");
    let stranger = desk.give(Input::Manifest { bytes: fixture::signed(other, &[1]), from });
    assert_eq!(refusal(&stranger), Some("MAN-018"));
    assert!(stranger.iter().any(|output| matches!(output, Output::Penalise { .. })));
}

/// Member 0's desk after its first record, a record that a thief of its key signs in another incarnation, and the round under way.
fn robbed(incarnation: u64) -> (Desk, Checked, Checked, RoundPlan) {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let (before, after) = desk.finish(&first);
    let (old, under_way) = (persisted(&before), plan(&after).unwrap());
    let mut thief = Author::new(0);
    thief.write(old.record().clone());
    thief.incarnation = Incarnation(incarnation);
    let draft = thief.draft(&desk.chain, &[], Spec::Close(Close::Left));
    let stolen = thief.write(draft);
    (desk, old, stolen, under_way)
}

fn opened(outputs: &[Output]) -> Option<Incarnation> {
    let mut opened = events(outputs).into_iter().filter_map(|event| match event {
        Event::NewIncarnation { incarnation } => Some(*incarnation),
        _ => None,
    });
    opened.next_back()
}

#[test]
fn the_first_record_under_a_new_key_names_none_of_the_thief_and_a_newcomer_accepts_it() {
    let (mut desk, old, stolen, under_way) = robbed(1);
    let outputs = desk.gossip(&stolen, 2);
    assert_eq!(opened(&outputs), Some(Incarnation(2)), "somebody else writes our feed: {outputs:?}");
    let outputs = desk.manifest(rotation(&desk, 0, 70, &old));
    assert_eq!(opened(&outputs), Some(Incarnation(1)), "what the thief opened is void: {outputs:?}");
    let dropped = desk.trained(&under_way);
    let more = desk.give(Input::Trained(Box::new(dropped)));
    let plan = plan(&[outputs, more, desk.wait(60_000)].concat()).unwrap();
    let (before, _) = desk.finish(&plan);
    let bytes = before.iter().find_map(|output| match output {
        Output::Persist { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    let new = crate::feed::check(bytes.unwrap(), &desk.chain).unwrap();
    assert_eq!((new.record().incarnation, new.record().prev), (Incarnation(1), Some(old.id())));
    assert_eq!(new.record().clock, old.record().clock.next(), "the thief's clock is no part of it");
    let mut newcomer = Desk::new(policy());
    newcomer.engine = Engine::new(
        Config { me: fixture::member(3).id, key: fixture::author(3), ..config() },
        desk.chain.clone(),
        Stored::default(),
        Millis(1_000_000),
    )
    .unwrap();
    for record in [&stolen, &old, &new] {
        newcomer.gossip(record, 0);
    }
    assert_eq!(newcomer.engine.index.head(&old.record().member, Incarnation(1)).map(|head| head.id), Some(new.id()));
}

#[test]
fn a_thief_that_opens_the_last_incarnation_stops_the_member_until_it_has_a_new_key() {
    for restart in [false, true] {
        let (mut desk, old, stolen, _) = robbed(63);
        let outputs = desk.gossip(&stolen, 2);
        assert_eq!(refusal(&outputs), Some("OWN-003"), "{outputs:?}");
        let other = fixture::signed(fixture::next(&desk.chain), &[0]);
        let outputs = [desk.manifest(other), desk.wait(120_000)].concat();
        assert!(plan(&outputs).is_none(), "it goes on halted: {outputs:?}");
        let handover = rotation(&desk, 0, 70, &old);
        let outputs = if restart {
            desk.chain.extend(handover).unwrap();
            let records = vec![old.bytes().clone(), stolen.bytes().clone()];
            let stored = Stored { records, ..Stored::default() };
            desk.engine = Engine::new(config(), desk.chain.clone(), stored, Millis(desk.now)).unwrap();
            std::iter::from_fn(|| desk.engine.poll()).collect()
        } else {
            desk.manifest(handover)
        };
        assert_eq!(opened(&outputs), Some(Incarnation(1)), "restart {restart}: {outputs:?}");
        let plan = plan(&[outputs, desk.wait(120_000)].concat()).expect("it publishes again");
        assert_eq!((plan.incarnation, plan.seq), (Incarnation(1), Seq(0)));
    }
}
