//! Records that do not count, and what others built on them.

use super::*;
use crate::{
    base::{Incarnation, MemberId, Seq},
    feed::{Close, Evidence, EvidenceSpec, SkipReason},
    manifest::Cut,
};

/// A running engine that has met everybody; its round is under way.
fn running() -> Desk {
    let mut desk = Desk::new(policy());
    desk.start_together();
    desk
}

/// The next version, which cuts member `n` off after `last`.
fn cut(desk: &Desk, n: u64, last: &Checked) -> Bytes {
    let mut next = fixture::next(&desk.chain);
    let at = (last.record().seq, last.id());
    next.cuts = vec![Cut { member: fixture::member(n).id, incarnation: last.record().incarnation, last: Some(at) }];
    fixture::signed(next, &[0])
}

impl Desk {
    fn follow(&mut self, manifest: Bytes) -> Vec<Output> {
        self.chain.extend(manifest.clone()).unwrap();
        self.give(Input::Manifest { bytes: manifest, from: None })
    }

    fn head_of(&self, n: u64) -> Option<crate::base::RecordId> {
        self.engine.index.head(&fixture::member(n).id, Incarnation(0)).map(|head| head.id)
    }
}

fn stored(outputs: &[Output]) -> Vec<crate::base::RecordId> {
    outputs.iter().filter_map(|output| if let Output::Store { id, .. } = output { Some(*id) } else { None }).collect()
}

fn twin(record: &Checked, n: u64) -> Checked {
    let mut record = record.record().clone();
    record.claimed_time.0 += 60;
    crate::feed::sign(record, &fixture::author(n)).unwrap()
}

#[test]
fn what_was_built_on_a_record_behind_a_cut_is_admitted_as_soon_as_that_record_comes_and_both_are_kept() {
    for first in ["void", "honest"] {
        let mut desk = running();
        let one = desk.update(1, &[]);
        let two = desk.update(1, &[&one]);
        let three = desk.update(1, &[&two]);
        let honest = desk.update(2, &[&three]);
        let next = desk.update(3, &[&two]);
        desk.follow(cut(&desk, 1, &one));
        desk.gossip(&one, 3);
        let order = if first == "void" { [&two, &three, &honest] } else { [&honest, &three, &two] };
        let outputs: Vec<Output> = order.iter().flat_map(|record| desk.gossip(record, 3)).collect();
        assert_eq!(desk.head_of(2), Some(honest.id()), "the {first} record first: {outputs:?}");
        assert_eq!(desk.head_of(1), Some(one.id()), "what is cut does not count");
        let kept = stored(&outputs);
        for record in [&two, &three, &honest] {
            assert!(kept.contains(&record.id()), "the {first} record first: {kept:?}");
        }
        // Whoever starts again knows them still.
        let records = [&one, &two, &three, &honest].map(|record| record.bytes().clone()).to_vec();
        let stored = Stored { records, ..Stored::default() };
        desk.engine = Engine::new(config(), desk.chain.clone(), stored, Millis(desk.now)).unwrap();
        assert_eq!(verdict(&desk.gossip(&next, 3)), Some(Verdict::Accept), "after a restart");
    }
}

#[test]
fn a_void_record_that_nobody_builds_on_is_not_stored_and_a_missing_one_is_asked_for_by_its_id() {
    let mut desk = running();
    let one = desk.update(1, &[]);
    let two = desk.update(1, &[&one]);
    let honest = desk.update(2, &[&two]);
    desk.follow(cut(&desk, 1, &one));
    desk.gossip(&one, 3);
    desk.gossip(&honest, 2);
    let asked = desk.wait(1_000).into_iter().find_map(|output| match output {
        Output::Sync { wants, .. } => Some(wants),
        _ => None,
    });
    assert_eq!(asked, Some(vec![two.id()]));
    let mut idle = running();
    idle.follow(cut(&idle, 1, &one));
    idle.gossip(&one, 3);
    assert_eq!(stored(&idle.gossip(&two, 3)), []);
}

#[test]
fn a_convicted_members_record_is_held_to_the_rules_and_lends_nobody_a_round_that_it_broke_them_for() {
    let mut desk = running();
    let one = desk.update(1, &[]);
    let other = twin(&one, 1);
    desk.gossip(&one, 3);
    desk.gossip(&other, 3);
    assert!(desk.engine.trust.is_convicted(&fixture::member(1).id));
    let spec = Spec::Update(fixture::update(&desk.chain, 100_000, 1));
    let mut draft = desk.authors[1].draft(&desk.chain, &[&one], spec);
    draft.body = Some(desk.body("far"));
    let far = desk.authors[1].write(draft);
    let colluder = desk.update(2, &[&far]);
    assert_eq!(round_of(&colluder), Some(100_001));
    for record in [&far, &colluder, &far] {
        desk.gossip(record, 2);
    }
    desk.wait(120_000);
    assert_eq!(desk.head_of(2), None, "it counts for nobody");
    assert!(!desk.engine.trust.is_barred(&fixture::member(2).id), "nor is it blamed: it may not have known better");
}

#[test]
fn both_branches_of_a_convicted_member_may_have_been_built_on_however_many_records_there_are() {
    let mut desk = running();
    let mut branches = [vec![desk.update(1, &[])], Vec::new()];
    let second = twin(&branches[0][0], 1);
    branches[1].push(second);
    let mut honest: Vec<Checked> = Vec::new();
    for branch in &mut branches {
        desk.authors[1] = Author::new(1);
        desk.authors[1].write(branch[0].record().clone());
        for _ in 0..300 {
            let next = desk.update(1, &[&branch[branch.len() - 1].clone()]);
            branch.push(next);
        }
        honest.push(desk.update(honest.len() + 2, &[&branch[branch.len() - 1].clone()]));
    }
    // Both beginnings convict; all that follows comes after that.
    for record in [0, 1].map(|at| branches[at][0].clone()) {
        desk.gossip(&record, 3);
    }
    for record in &honest {
        desk.gossip(record, 3);
    }
    for record in branches.concat() {
        desk.give(Input::Record { bytes: record.bytes().clone(), from: fixture::transport(2), ticket: None });
    }
    assert_eq!([desk.head_of(2), desk.head_of(3)], [0, 1].map(|at| Some(honest[at].id())));
}

#[test]
fn the_branch_that_a_cut_or_a_handover_names_stands_whichever_came_first() {
    for handover in [false, true] {
        let mut desk = running();
        let start = desk.update(1, &[]);
        let mut thief = desk.authors[1].clone();
        let two = desk.update(1, &[&start]);
        let three = desk.update(1, &[&two]);
        let honest = desk.update(2, &[&three]);
        let draft = thief.draft(&desk.chain, &[], Spec::Close(Close::Left));
        let stolen = thief.write(draft);
        let manifest = if handover {
            let mut next = fixture::next(&desk.chain);
            let member = fixture::member(1).id;
            let entry = next.members.iter_mut().find(|entry| entry.id == member).unwrap();
            entry.author_key = fixture::author(71).public();
            let last = Some((three.record().seq, three.id()));
            next.handovers = vec![crate::manifest::Handover { member, incarnation: Incarnation(0), last, log: None }];
            fixture::signed(next, &[0])
        } else {
            cut(&desk, 1, &three)
        };
        desk.follow(manifest);
        for record in [&start, &stolen] {
            desk.gossip(record, 3);
        }
        assert_eq!(desk.head_of(1), Some(stolen.id()));
        for record in [&two, &three, &honest] {
            desk.gossip(record, 3);
        }
        assert_eq!(desk.head_of(1), Some(three.id()), "handover {handover}");
        assert_eq!(desk.head_of(2), Some(honest.id()), "handover {handover}");
        assert_eq!(desk.engine.trust.is_convicted(&fixture::member(1).id), !handover);
        // And after a restart, in whatever order the store has them.
        let records = [&stolen, &three, &two, &start, &honest].map(|record| record.bytes().clone()).to_vec();
        let stored = Stored { records, ..Stored::default() };
        desk.engine = Engine::new(config(), desk.chain.clone(), stored, Millis(desk.now)).unwrap();
        assert_eq!(desk.head_of(1), Some(three.id()), "handover {handover}, after a restart");
    }
}

#[test]
fn a_conviction_that_the_store_knows_shuts_its_member_out_after_a_restart_and_is_published() {
    let mut desk = running();
    let one = desk.update(1, &[]);
    let other = twin(&one, 1);
    let proof = Evidence::of(&one, &other).unwrap();
    let accused: MemberId = fixture::member(1).id;
    for bundle in [true, false] {
        // Without the bundle the two records themselves prove it.
        let evidence = if bundle { vec![proof.to_bytes()] } else { Vec::new() };
        let records = [&one, &other].map(|record| record.bytes().clone()).to_vec();
        let stored = Stored { records, evidence, ..Stored::default() };
        let mut desk = Desk::stored(policy(), stored);
        let outputs = desk.give(Input::Tick);
        assert!(outputs.contains(&Output::Ban { peer: fixture::transport(1), code: "FORK-001" }), "{outputs:?}");
        let written = [outputs, desk.wait(10_000)].concat().into_iter().find_map(|output| match output {
            Output::Persist { bytes, .. } => crate::feed::check(bytes, &desk.chain).ok(),
            _ => None,
        });
        let spec = EvidenceSpec { accused, incarnation: Incarnation(0), seq: Seq(0) };
        assert_eq!(written.expect("a record").record().spec, Spec::Evidence(spec), "bundle {bundle}");
    }
}

#[test]
fn a_stolen_keys_record_stays_known_beside_the_new_keys_one_that_takes_its_place() {
    let mut desk = running();
    let first = desk.update(1, &[]);
    let mut thief = desk.authors[1].clone();
    thief.incarnation = Incarnation(1);
    let pen = std::mem::replace(&mut desk.authors[1], thief);
    let stolen = desk.update(1, &[&first]);
    desk.authors[1] = pen;
    let built = desk.update(2, &[&stolen]);
    for record in [&first, &stolen, &built] {
        assert_eq!(verdict(&desk.gossip(record, 3)), Some(Verdict::Accept));
    }
    let mut next = fixture::next(&desk.chain);
    let member = fixture::member(1).id;
    next.members.iter_mut().find(|entry| entry.id == member).unwrap().author_key = fixture::author(71).public();
    let last = Some((first.record().seq, first.id()));
    next.handovers = vec![crate::manifest::Handover { member, incarnation: Incarnation(0), last, log: None }];
    desk.follow(fixture::signed(next, &[0]));
    desk.authors[1].hand_over(71);
    let own = desk.update(1, &[&first]);
    assert_eq!(verdict(&desk.gossip(&own, 1)), Some(Verdict::Accept));
    let place = |desk: &Desk| desk.engine.index.head(&member, Incarnation(1)).map(|head| head.id);
    assert_eq!((place(&desk), desk.head_of(2)), (Some(own.id()), Some(built.id())));
    // Whoever starts from the store, and whoever comes new.
    let all = [&own, &built, &stolen, &first];
    let records = all.map(|record| record.bytes().clone()).to_vec();
    for (restart, records) in [(true, records), (false, Vec::new())] {
        let stored = Stored { records, ..Stored::default() };
        desk.engine = Engine::new(config(), desk.chain.clone(), stored, Millis(desk.now)).unwrap();
        for record in all.iter().filter(|_| !restart) {
            desk.gossip(record, 3);
        }
        assert_eq!((place(&desk), desk.head_of(2)), (Some(own.id()), Some(built.id())), "restart {restart}");
    }
}

#[test]
fn whose_only_update_counts_for_nothing_is_called_banned_and_not_absent() {
    for is_built_on in [true, false] {
        let mut desk = Desk::new(policy());
        let first = desk.start_together();
        let stolen = desk.update(1, &[]);
        let other = if is_built_on { desk.update(2, &[&stolen]) } else { desk.update(2, &[]) };
        for record in [&stolen, &other] {
            assert_eq!(verdict(&desk.gossip(record, 2)), Some(Verdict::Accept));
        }
        desk.give(Input::PayloadArrived { hash: other.record().body.unwrap().hash });
        // Nothing stands of what was signed with its first key, and it is drawn as before.
        let mut next = fixture::next(&desk.chain);
        let member = fixture::member(1).id;
        next.members.iter_mut().find(|entry| entry.id == member).unwrap().author_key = fixture::author(71).public();
        next.handovers = vec![crate::manifest::Handover { member, incarnation: Incarnation(0), last: None, log: None }];
        desk.follow(fixture::signed(next, &[0]));
        assert!(!desk.engine.trust.is_barred(&member));
        let (_, mut outputs) = desk.finish(&first);
        outputs.extend(desk.wait(60_000));
        let second = plan(&outputs).expect("a second round");
        assert_eq!(second.others.iter().map(|voice| voice.record).collect::<Vec<_>>(), [other.id()]);
        let (_, after) = desk.finish(&second);
        let done = events(&after).into_iter().find_map(|event| match event {
            Event::RoundDone(report) => Some(report.skipped.clone()),
            _ => None,
        });
        let skipped = done.expect("a round");
        let reason = |n: u64| skipped.iter().find(|(one, _)| *one == fixture::member(n).id).map(|(_, reason)| *reason);
        let reasons = [reason(1), reason(3)];
        assert_eq!(reasons, [Some(SkipReason::Banned), Some(SkipReason::Absent)], "is built on: {is_built_on}");
    }
}

#[test]
fn what_is_named_as_left_out_for_its_distance_is_kept_and_handed_out_though_its_author_is_convicted() {
    let mut desk = running();
    let far = desk.update(1, &[]);
    let own = desk.update(2, &[]);
    // Member 1 signs another history, which we hear of first.
    let twin = twin(&far, 1);
    desk.gossip(&own, 2);
    desk.gossip(&twin, 3);
    let mut update = fixture::update(&desk.chain, 2, 1);
    let order = crate::draw::order(
        &desk.chain.network(),
        &fixture::member(2).id,
        Default::default(),
        &crate::draw::Seed { round: Round(1), merged: Vec::new() },
        &crate::admit::drawable(desk.chain.current()),
    );
    let skip = |member: &MemberId| {
        let is_far = *member == fixture::member(1).id;
        let reason = if is_far { SkipReason::Distance } else { SkipReason::Banned };
        let member = desk.chain.current().place_of(member).unwrap();
        crate::feed::Skip { member, reason, record: is_far.then_some(far.id()) }
    };
    update.skipped = order.iter().map(skip).collect();
    let mut draft = desk.authors[2].draft(&desk.chain, &[&own], Spec::Update(update));
    draft.body = Some(desk.body("next"));
    let next = desk.authors[2].write(draft);
    let mut outputs = desk.gossip(&far, 3);
    outputs.extend(desk.gossip(&next, 2));
    assert!(desk.engine.trust.is_convicted(&fixture::member(1).id));
    assert_eq!(desk.head_of(2), Some(next.id()), "{outputs:?}");
    assert!(stored(&outputs).contains(&far.id()), "who names it keeps it for others: {outputs:?}");
}
