//! Members that were shut out, and what others had built on their records before.

use chorale_protocol::{
    base::{Incarnation, MemberId, Round},
    engine::Input,
    feed::{Checked, Spec},
    fixture::{self, Author},
    manifest::{Chain, Cut, Handover},
    merge::{common_round, round_published},
};
use chorale_tests::sim::{Setup, World, seed};

/// Members 0 and 1 see one history of member 4, which does not run, member 2 another. Member 3 comes only later, member 5 is away
/// in between.
const OTHER: usize = 2;
const NEWCOMER: usize = 3;
const LIAR: u64 = 4;
const RETURNING: usize = 5;
/// Records of the liar's longer history.
const RECORDS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bar {
    Conviction,
    Cut,
    Handover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Holder,
    RestartedHolder,
    HolderOfTheOtherHistory,
}

/// The next update of the liar, on its last one and on what `node` published last.
fn update(world: &World, liar: &mut Author, chain: &Chain, last: Option<&Checked>, node: usize) -> Checked {
    let newest = world.nodes()[node].record().and_then(|id| world.record(node, &id)).expect("it published");
    let round = |record: &Checked| if let Spec::Update(update) = &record.record().spec { update.round.0 } else { 0 };
    // A parent of the base round or a later one has the full weight.
    let newer = last.is_none_or(|last| round(&newest) >= round(last));
    let parents: Vec<&Checked> = last.into_iter().chain(newer.then_some(&newest)).collect();
    let rounds = parents.iter().map(|parent| Round(round(parent)));
    let policy = &chain.current().policy;
    let next = round_published(policy, last.map(|last| Round(round(last))), common_round(policy, rounds));
    let mut spec = fixture::update(chain, next.0, parents.len());
    spec.steps = 1;
    let mut draft = liar.draft(chain, &parents, Spec::Update(spec));
    // Any payload of this layout will do; everybody has this one.
    draft.body = newest.record().body;
    liar.write(draft)
}

/// The world after the liar's two histories met; and the one that the manifest will name, up to there and beyond.
fn two_histories(seed: u64) -> (World, Vec<Checked>) {
    let mut setup = Setup::new(6, seed);
    // The liar's merges are none: only its two histories are to be found.
    setup.policy.checks = Some(0);
    let mut world = World::new(&setup);
    for node in [0, 1, OTHER, RETURNING] {
        world.start_after(node, 0);
    }
    world.run_for(8_000);
    world.crash(RETURNING);
    let chain = world.chain();
    let mut liar = Author::new(LIAR);
    let first = update(&world, &mut liar, &chain, None, 0);
    for node in [0, OTHER] {
        world.hand(node, &first);
    }
    world.run_for(300);
    world.partition(&[0, 0, 1, 0, 0, 0]);
    world.run_for(300);
    let (mut other, mut history) = (liar.clone(), vec![first.clone()]);
    let mut branch = vec![first];
    while history.len() < RECORDS {
        let next = update(&world, &mut liar, &chain, history.last(), 0);
        world.hand(0, &next);
        history.push(next);
        if branch.len() < 4 {
            let next = update(&world, &mut other, &chain, branch.last(), OTHER);
            world.hand(OTHER, &next);
            branch.push(next);
        }
        world.run_for(250);
    }
    world.heal();
    world.run_for(4_000);
    for node in [0, 1, OTHER] {
        assert!(world.nodes()[node].convicted().contains(&fixture::member(LIAR).id), "{}", world.tag());
    }
    (world, history)
}

/// The next manifest version ends the liar's feed at `last`.
fn manifest(world: &World, bar: Bar, last: &Checked) -> bytes::Bytes {
    let mut next = fixture::next(&world.chain());
    let (member, place) = (fixture::member(LIAR).id, Some((last.record().seq, last.id())));
    if bar == Bar::Cut {
        next.cuts = vec![Cut { member, incarnation: Incarnation(0), last: place }];
    } else {
        let entry = next.members.iter_mut().find(|entry| entry.id == member).expect("it is a member");
        entry.author_key = fixture::author(70).public();
        next.handovers = vec![Handover { member, incarnation: Incarnation(0), last: place, log: None }];
    }
    fixture::signed(next, &[0])
}

fn catch_up(bar: Bar, first: First, seed: u64) {
    let (mut world, history) = two_histories(seed);
    let mut wanted: Vec<MemberId> = [0, 1, 2, 5].map(|n| fixture::member(n).id).to_vec();
    if bar != Bar::Conviction {
        let bytes = manifest(&world, bar, &history[12]);
        world.inject(0, Input::Manifest { bytes: bytes.clone(), from: None });
        world.run_for(3_000);
        if bar == Bar::Handover {
            // The member itself goes on under its new key.
            let mut chain = world.chain();
            chain.extend(bytes).expect("it was accepted");
            let mut member = Author::new(LIAR);
            history[..=12].iter().for_each(|record| drop(member.write(record.record().clone())));
            member.hand_over(70);
            let next = update(&world, &mut member, &chain, None, 0);
            world.hand(0, &next);
            world.run_for(2_000);
            wanted.push(member.id);
        }
    }
    let holder = if first == First::HolderOfTheOtherHistory { OTHER } else { 0 };
    if first == First::RestartedHolder {
        world.crash(0);
        world.start_after(0, 100);
        world.run_for(2_000);
    }
    let held = |world: &World, member: &MemberId| [0, 1, OTHER].map(|node| world.held(node, member)).into_iter().max();
    let least: Vec<u64> = wanted.iter().filter_map(|member| held(&world, member)).collect();
    let mut groups = vec![1; 6];
    for node in [holder, NEWCOMER, RETURNING] {
        groups[node] = 0;
    }
    world.partition(&groups);
    world.run_for(2_500);
    world.start_after(NEWCOMER, 0);
    world.start_after(RETURNING, 0);
    world.run_for(5_000);
    world.heal();
    let caught_up = |world: &World| {
        let has_all = |node| wanted.iter().zip(&least).all(|(member, least)| world.held(node, member) >= *least);
        has_all(NEWCOMER) && has_all(RETURNING)
    };
    let done = world.run_until(20_000, caught_up);
    let shown = |node| wanted.iter().map(|member| world.held(node, member)).collect::<Vec<u64>>();
    let (newcomer, returning) = (shown(NEWCOMER), shown(RETURNING));
    assert!(done, "{bar:?}, {first:?}: {newcomer:?} and {returning:?} of {least:?}: {}", world.tag());
    let frontier = world.nodes()[1].round().0;
    world.run_for(6_000);
    for node in [NEWCOMER, RETURNING] {
        let round = world.nodes()[node].round().0;
        assert!(round >= frontier, "{bar:?}, {first:?}: round {round} of {frontier}: {}", world.tag());
        for honest in &wanted {
            assert!(!world.nodes()[node].convicted().contains(honest) || bar == Bar::Handover, "{}", world.tag());
        }
    }
}

#[test]
fn who_comes_after_a_conviction_admits_all_records_of_the_honest() {
    for (turn, first) in [First::Holder, First::RestartedHolder, First::HolderOfTheOtherHistory].into_iter().enumerate()
    {
        catch_up(Bar::Conviction, first, seed(200) + turn as u64);
    }
}

#[test]
fn who_comes_after_a_cut_admits_all_records_of_the_honest() {
    for (turn, first) in [First::Holder, First::RestartedHolder, First::HolderOfTheOtherHistory].into_iter().enumerate()
    {
        catch_up(Bar::Cut, first, seed(210) + turn as u64);
    }
}

#[test]
fn who_comes_after_a_handover_admits_all_records_of_the_honest_and_of_the_member_under_its_new_key() {
    for (turn, first) in [First::Holder, First::RestartedHolder, First::HolderOfTheOtherHistory].into_iter().enumerate()
    {
        catch_up(Bar::Handover, first, seed(220) + turn as u64);
    }
}
