//! One member of the manifest signs whatever it likes.

use super::*;
use crate::{
    base::{Incarnation, Lamport, RecordId, Seq},
    engine::index::Index,
    feed::{Close, Reference, Release, SkipReason},
    merge::merge_hash,
    wire::{Have, SyncRequest},
};

/// A running engine that has met everybody; its round is under way.
fn running() -> Desk {
    let mut desk = Desk::new(policy());
    desk.start_together();
    desk
}

/// An update of member `n` with this clock.
fn with_clock(desk: &mut Desk, n: usize, parents: &[&Checked], clock: u64) -> Checked {
    let round = parents.iter().filter_map(|parent| round_of(parent)).max().unwrap_or(0) + 1;
    let spec = Spec::Update(fixture::update(&desk.chain, round, parents.len()));
    let mut draft = desk.authors[n].draft(&desk.chain, parents, spec);
    draft.body = Some(desk.body(&format!("payload of {n} at clock {clock}")));
    draft.clock = Lamport(clock);
    desk.authors[n].write(draft)
}

fn stored(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::Store { .. })).count()
}

fn evidence_of(desk: &mut Desk, n: usize) {
    let first = desk.update(n, &[]);
    desk.authors[n] = Author::new(n as u64);
    let close = desk.authors[n].draft(&desk.chain, &[], Spec::Close(Close::Left));
    let second = desk.authors[n].write(close);
    desk.gossip(&first, 3);
    desk.gossip(&second, 3);
    assert!(desk.engine.trust.is_convicted(&fixture::member(n as u64).id));
}

#[test]
fn a_clock_is_one_more_than_the_largest_that_it_builds_on() {
    for (clock, code) in [(1, None), (2, Some("RULE-004")), ((1 << 53) - 2, Some("RULE-004"))] {
        let mut desk = running();
        let update = with_clock(&mut desk, 1, &[], clock);
        assert_eq!(refusal(&desk.gossip(&update, 1)), code, "clock {clock} at the first place");

        let mut desk = running();
        let base = desk.update(2, &[]);
        let own = desk.update(1, &[]);
        desk.gossip(&base, 2);
        desk.gossip(&own, 1);
        let leap = with_clock(&mut desk, 1, &[&base], clock + 1);
        assert_eq!(refusal(&desk.gossip(&leap, 1)), code, "clock {clock} after others");
    }
}

#[test]
fn what_does_not_count_lends_nobody_its_clock() {
    let mut desk = running();
    evidence_of(&mut desk, 1);
    let far = with_clock(&mut desk, 1, &[], 1 << 50);
    desk.gossip(&far, 1);
    let accomplice = with_clock(&mut desk, 2, &[&far], (1 << 50) + 1);
    assert_eq!(stored(&desk.gossip(&accomplice, 2)), 0);
    assert_eq!(stored(&desk.wait(60_000)), 0);
    assert!(desk.engine.index.clock() < Lamport(100));
}

#[test]
fn an_incarnation_begins_behind_a_known_record_of_its_author() {
    let mut desk = running();
    let first = desk.update(1, &[]);
    let other = desk.update(2, &[]);
    desk.gossip(&other, 2);
    let open = |desk: &mut Desk, incarnation: u64, prev: RecordId| {
        desk.authors[1] = Author::new(1);
        desk.authors[1].incarnation = Incarnation(incarnation);
        let mut draft = desk.authors[1].draft(&desk.chain, &[], Spec::Close(Close::Left));
        draft.prev = Some(prev);
        draft.clock = Lamport(2);
        desk.authors[1].write(draft)
    };
    let held = desk.engine.have();
    for incarnation in 1..60 {
        let invented = open(&mut desk, incarnation, RecordId([7; 32]));
        let outputs = desk.gossip(&invented, 1);
        assert_eq!((verdict(&outputs), stored(&outputs)), (Some(Verdict::Ignore), 0));
    }
    assert_eq!(desk.engine.have(), held);
    let early = open(&mut desk, 61, first.id());
    assert_eq!(verdict(&desk.gossip(&early, 1)), Some(Verdict::Ignore));
    assert_eq!(stored(&desk.gossip(&first, 1)), 2, "the record it begins behind is known now");
    let foreign = open(&mut desk, 62, other.id());
    assert_eq!(refusal(&desk.gossip(&foreign, 1)), Some("INC-002"));
}

#[test]
fn a_question_holds_each_members_newest_feed_however_many_there_are() {
    let chain = fixture::chain(150, policy());
    let mut index = Index::default();
    for n in 0..150 {
        for incarnation in 0..64 {
            let mut author = Author::new(n);
            author.incarnation = Incarnation(incarnation);
            let mut draft = author.draft(&chain, &[], Spec::Close(Close::Left));
            draft.prev = (incarnation > 0).then_some(RecordId([1; 32]));
            let checked = author.write(draft);
            index.offer(&checked, &chain).unwrap();
            index.insert(&checked);
        }
    }
    let have = index.have();
    assert_eq!(have.len(), SyncRequest::HAVES);
    let newest = (0..150).map(|n| Have { member: fixture::member(n).id, incarnation: Incarnation(63), next: Seq(1) });
    assert!(newest.into_iter().all(|one| have.contains(&one)));
    let question = SyncRequest { network: chain.network(), manifest_version: 0, have, wants: vec![RecordId([7; 32])] };
    assert_eq!(SyncRequest::parse(&question.to_bytes()), Ok(question));
}

/// Rounds that member `n` signs alone, each on its last, payloads included.
fn race(desk: &mut Desk, n: usize, last: &Checked, rounds: usize) -> Vec<Checked> {
    let mut records = vec![last.clone()];
    for _ in 0..rounds {
        let next = desk.update(n, &[&records[records.len() - 1].clone()]);
        records.push(next);
    }
    records.split_off(1)
}

fn deliver(desk: &mut Desk, record: &Checked, from: u64) -> Vec<Output> {
    let mut outputs = desk.gossip(record, from);
    outputs.extend(desk.give(Input::PayloadArrived { hash: record.record().body.unwrap().hash }));
    outputs
}

#[test]
fn who_runs_ahead_alone_pulls_nobody_along_and_is_not_waited_for() {
    let mut desk = Desk::new(policy());
    let first = desk.start_together();
    let firsts: Vec<Checked> = (1..4).map(|n| desk.update(n, &[])).collect();
    for (n, record) in (1..).zip(&firsts) {
        deliver(&mut desk, record, n);
    }
    for record in race(&mut desk, 1, &firsts[0].clone(), 20) {
        deliver(&mut desk, &record, 1);
    }
    let (_, after) = desk.finish(&first);
    let second = plan(&after).expect("nobody is waited for");
    assert!(second.others.iter().all(|voice| voice.round <= Round(4)), "{second:?}");
    assert!(second.others.iter().any(|voice| voice.member == fixture::member(2).id));
    let (_, after) = desk.finish(&second);
    let done = events(&after).into_iter().find_map(|event| match event {
        Event::RoundDone(report) => Some((**report).clone()),
        _ => None,
    });
    let report = done.expect("a round");
    assert!(report.round <= Round(5), "{report:?}");
    let newest = fixture::member(1).id;
    assert!(report.skipped.iter().all(|skip| *skip == (newest, SkipReason::Stale)), "{report:?}");
}

#[test]
fn a_restarted_member_goes_on_with_the_many_not_with_the_one_far_ahead() {
    let mut desk = Desk::new(policy());
    let first = desk.start_alone();
    let own = desk.trained(&first).payload.hash;
    let (before, _) = desk.finish(&first);
    let Some(Output::Persist { bytes, .. }) = before.first() else { panic!("{before:?}") };
    let firsts: Vec<Checked> = (1..4).map(|n| desk.update(n, &[])).collect();
    let mut records = firsts.clone();
    records.extend(race(&mut desk, 1, &firsts[0], 500));
    let mut payloads: Vec<_> = records.iter().map(|record| record.record().body.unwrap().hash).collect();
    payloads.push(own);
    let records = records.iter().map(|record| record.bytes().clone()).chain([bytes.clone()]).collect();
    let mut desk = Desk::stored(policy(), Stored { records, payloads, evidence: Vec::new() });
    assert_eq!(desk.engine.round(), Round(1), "its own newest, known from the start");
    let next = desk.start_together();
    assert!(next.own.is_some(), "its own publication is as new as the others'");
    let mut merged: Vec<_> = next.others.iter().map(|voice| (voice.member, voice.round)).collect();
    merged.sort_unstable();
    let mut honest = [2, 3].map(|n| (fixture::member(n).id, Round(1)));
    honest.sort_unstable();
    assert_eq!(merged, honest);
}

#[test]
fn who_is_far_ahead_lets_the_others_catch_up_but_not_for_ever() {
    let mut desk = Desk::new(policy());
    let mut next = desk.start_together();
    let mut last: Vec<Checked> = (1..4).map(|n| desk.update(n, &[])).collect();
    for (n, record) in (1..).zip(&last) {
        deliver(&mut desk, record, n);
    }
    // Everybody else is at round 1; the window is 3.
    for _ in 0..4 {
        let (_, after) = desk.finish(&next);
        next = plan(&after).or_else(|| plan(&desk.wait(9_000))).expect("not far ahead yet");
    }
    let (_, after) = desk.finish(&next);
    assert_eq!(plan(&after), None, "round 5, the others are at 1");
    assert_eq!(plan(&desk.wait(9_900)), None);
    let sixth = plan(&desk.wait(200)).expect("the longest wait passed");
    let (_, after) = desk.finish(&sixth);
    assert_eq!(plan(&after), None);
    // Two of the others reach round 3, and then it is no longer far ahead.
    let mut plans = Vec::new();
    for _ in 0..2 {
        for n in [2, 3] {
            let record = desk.update(n, &[&last[n - 1].clone()]);
            plans.extend(plan(&deliver(&mut desk, &record, n as u64)));
            last[n - 1] = record;
        }
    }
    // They come fast now, so it may wait for what they publish next, but not as long as before.
    plans.extend(plan(&desk.wait(2_000)));
    assert_eq!(plans.len(), 1);
}

#[test]
fn releases_are_of_own_updates_each_once_and_sixteen_between_two_updates() {
    let release = |desk: &mut Desk, update: &Checked| {
        let spec = Release { round: Round(round_of(update).unwrap()), label: "v1".into() };
        let draft = desk.authors[1].draft(&desk.chain, &[update], Spec::Release(spec));
        desk.authors[1].write(draft)
    };
    let mut desk = running();
    let base = desk.update(2, &[]);
    desk.gossip(&base, 2);
    let foreign = release(&mut desk, &base);
    assert_eq!(refusal(&desk.gossip(&foreign, 1)), Some("RULE-016"));

    for (again, code) in [(true, "FEED-009"), (false, "FEED-010")] {
        let mut desk = running();
        let first = desk.update(1, &[]);
        let mut updates = vec![first.clone()];
        updates.extend(race(&mut desk, 1, &first, 17));
        for update in &updates {
            assert_eq!(refusal(&desk.gossip(update, 1)), None);
        }
        for update in &updates[..16] {
            let record = release(&mut desk, update);
            assert_eq!(refusal(&desk.gossip(&record, 1)), None);
        }
        let last = release(&mut desk, &updates[if again { 3 } else { 16 }]);
        assert_eq!(refusal(&desk.gossip(&last, 1)), Some(code));
    }
}

#[test]
fn a_round_that_does_not_rise_convicts_nobody_else_and_is_refused() {
    for (round, code) in [(2, "FEED-008"), (1, "FEED-008")] {
        let mut desk = running();
        let first = desk.update(1, &[]);
        let second = desk.update(1, &[&first]);
        let parents = if round == 1 { vec![] } else { vec![&first] };
        let spec = Spec::Update(fixture::update(&desk.chain, round, parents.len()));
        let mut draft = desk.authors[1].draft(&desk.chain, &parents, spec);
        draft.body = Some(desk.body("again"));
        let again = desk.authors[1].write(draft);
        assert_eq!(refusal(&desk.gossip(&first, 1)), None);
        assert_eq!(refusal(&desk.gossip(&second, 1)), None);
        assert_eq!(refusal(&desk.gossip(&again, 1)), Some(code));
    }
}

/// Member 1 is convicted; member 2 builds on a record of its that nobody has.
fn orphan(desk: &mut Desk, length: Option<u64>) -> Checked {
    evidence_of(desk, 1);
    let mut hidden = Author::new(1);
    let mut last = hidden.update(&desk.chain, 1, &[]);
    for round in 2..6 {
        last = hidden.update(&desk.chain, round, &[&last.clone()]);
    }
    let spec = Spec::Update(fixture::update(&desk.chain, 6, 1));
    let mut draft = desk.authors[2].draft(&desk.chain, &[&last], spec);
    draft.body = Some(desk.body("an orphan"));
    if let (Some(length), Some(body)) = (length, &mut draft.body) {
        body.length = length;
    }
    desk.authors[2].write(draft)
}

#[test]
fn who_may_be_right_is_not_blamed_and_is_judged_again_later() {
    let mut desk = running();
    let orphan = orphan(&mut desk, None);
    desk.gossip(&orphan, 2);
    let outputs = desk.wait(60_000);
    assert_eq!((refusal(&outputs), stored(&outputs)), (None, 0), "round 6 is far ahead of what is known");
    let mut last = desk.update(3, &[]);
    let mut admitted = stored(&desk.gossip(&last, 3));
    assert_eq!(admitted, 1);
    last = desk.update(3, &[&last.clone()]);
    admitted = stored(&desk.gossip(&last, 3));
    assert_eq!(admitted, 2, "who is at round 2 may merge what is at round 5, and publish the sixth");
    assert!(!desk.engine.trust.is_barred(&fixture::member(2).id));
}

#[test]
fn made_up_parents_are_admitted_of_nobody_who_is_not_barred_and_lift_no_frontier() {
    let mut desk = running();
    evidence_of(&mut desk, 1);
    for n in [2, 3] {
        let first = desk.update(n, &[]);
        assert_eq!(stored(&desk.gossip(&first, n as u64)), 1);
    }
    assert_eq!(desk.engine.frontier(), Some(Round(1)));
    let place = |desk: &Desk, n: u64| desk.chain.current().place_of(&fixture::member(n).id).unwrap();
    let build = |desk: &mut Desk, n: usize, named: u64| {
        let spec = Spec::Update(fixture::update(&desk.chain, 2, 1));
        let mut draft = desk.authors[n].draft(&desk.chain, &[], spec);
        draft.body = Some(desk.body(&format!("{n} names {named}")));
        let named_place = place(desk, named);
        draft.parents = vec![Reference { member: named_place, record: RecordId([named as u8; 32]) }];
        if let Spec::Update(update) = &mut draft.spec {
            update.skipped.retain(|skip| skip.member != named_place);
        }
        let record = desk.authors[n].clone().write(draft);
        desk.gossip(&record, n as u64);
        stored(&desk.wait(120_000))
    };
    for (n, named) in [(2, 0), (2, 3), (3, 0), (3, 2)] {
        assert_eq!(build(&mut desk, n, named), 0, "{n} names a record of {named}");
        assert_eq!(desk.engine.index.newest(&fixture::member(n as u64).id).map(|known| known.round), Some(Round(1)));
    }
    assert_eq!(build(&mut desk, 2, 1), 1, "of the convicted member nobody may have it");
    assert!(
        !desk.engine.trust.is_barred(&fixture::member(2).id) && !desk.engine.trust.is_barred(&fixture::member(3).id)
    );
}

#[test]
fn a_record_without_its_parents_keeps_all_other_rules() {
    let mut desk = running();
    let orphan = orphan(&mut desk, Some(7));
    desk.gossip(&orphan, 2);
    assert_eq!(refusal(&desk.wait(60_000)), Some("RULE-010"));
}

#[test]
fn a_checkpoint_stands_only_where_the_policy_wants_one_and_is_what_the_merge_hash_covers() {
    let momentum = Policy { momentum: 32_768, checkpoint_every: 2, ..policy() };
    let cases = [
        (policy(), 2, 224, true, Some("RULE-014")),
        (momentum.clone(), 1, 224, true, Some("RULE-014")),
        (momentum.clone(), 2, 223, true, Some("RULE-014")),
        (momentum.clone(), 2, 225, true, Some("RULE-014")),
        (momentum.clone(), 2, 224, false, Some("RULE-019")),
        (momentum.clone(), 2, 224, true, None),
        (momentum, 2, 230, true, None),
    ];
    for (policy, round, length, covered, code) in cases {
        let mut desk = Desk::new(policy.clone());
        desk.start_together();
        let base = desk.update(2, &[]);
        desk.gossip(&base, 2);
        let parents = if round == 2 { vec![&base] } else { Vec::new() };
        let mut spec = fixture::update(&desk.chain, round, parents.len());
        let state = Body { length, ..desk.body("a state") };
        let used = parents.iter().map(|parent| (parent.record().member, parent.id(), 1024));
        let merge = merge_hash(desk.chain.network(), spec.round, policy.merge, used, &state.hash);
        spec.state = Some(state);
        spec.merge = if covered { merge } else { spec.merge };
        let mut draft = desk.authors[1].draft(&desk.chain, &parents, Spec::Update(spec));
        draft.body = Some(desk.body("with a state"));
        let record = desk.authors[1].write(draft);
        assert_eq!(refusal(&desk.gossip(&record, 1)), code, "round {round}, {length} bytes");
    }
}
