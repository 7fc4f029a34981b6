//! A network that nothing disturbs.

use std::collections::BTreeSet;

use chorale_protocol::{
    audit::{FeedSurvey, Survey, Verdict},
    feed::Spec,
};
use chorale_tests::sim::{Setup, World, seed};

#[test]
fn four_members_start_together_keep_in_step_and_finish_at_the_last_round() {
    let mut setup = Setup::new(4, seed(1));
    setup.policy.rounds = 6;
    setup.policy.momentum = 32_768;
    let mut world = World::running(&setup);
    let done = world.run_until(60_000, |world| world.nodes().iter().all(|node| node.is_finished()));
    assert!(done, "not everybody finished: {}", world.tag());
    for round in 0..6 {
        let merges: BTreeSet<_> = world.nodes().iter().map(|node| node.rounds().nth(round).unwrap().1.merge).collect();
        assert_eq!(merges.len(), 1, "round {}: different merges: {}", round + 1, world.tag());
    }
    for node in world.nodes() {
        assert_eq!(node.rounds().count(), 6, "{}", world.tag());
        assert!(node.rounds().skip(1).all(|(_, report)| report.contributors.len() == 4), "{}", world.tag());
    }
}

#[test]
fn what_members_recompute_of_each_other_they_say_and_an_audit_finds_it_true() {
    let mut setup = Setup::new(4, seed(4));
    setup.policy.rounds = 8;
    setup.policy.momentum = 32_768;
    setup.policy.checkpoint_every = 2;
    let mut world = World::running(&setup);
    let done = world.run_until(60_000, |world| world.nodes().iter().all(|node| node.is_finished()));
    assert!(done, "not everybody finished: {}", world.tag());
    let chain = world.chain();
    for node in world.nodes() {
        let archive = node.disk().archive(&chain).build();
        let survey = Survey::open(&archive, Some(chain.network())).unwrap();
        let said = |feed: FeedSurvey| {
            let checked = feed.records.iter().map(|(_, checked)| match &checked.record().spec {
                Spec::Update(update) => update.checked.len(),
                _ => 0,
            });
            checked.sum::<usize>()
        };
        let said = survey.each_feed(|_, feed| said(feed)).unwrap();
        assert!(said.len() == 4 && said.iter().all(|count| *count > 2), "{said:?}: {}", world.tag());
        let report = chorale_tests::audit(&archive, chain.network());
        assert_eq!(report.verdict(), Verdict::Passed, "{:?}: {}", report.findings, world.tag());
    }
}

#[test]
fn a_member_alone_trains_alone() {
    let setup = Setup::new(4, seed(2));
    let mut world = World::new(&setup);
    world.start_after(2, 0);
    world.run_for(20_000);
    assert!(world.nodes()[2].round().0 > 10, "{}", world.tag());
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut setup = Setup::new(5, seed(3));
        setup.link = setup.link.losing(0.1);
        let mut world = World::running(&setup);
        world.run_for(10_000);
        world.nodes().iter().map(|node| (node.record(), node.steps())).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
