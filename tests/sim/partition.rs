//! A network that falls apart and comes together again.

use std::collections::BTreeSet;

use chorale_tests::sim::{Setup, World, seed};

#[test]
fn a_partition_heals_and_all_merge_the_same_again() {
    let setup = Setup::new(6, seed(30));
    let mut world = World::running(&setup);
    assert!(world.run_until(20_000, |world| world.nodes().iter().all(|node| node.round().0 >= 5)), "{}", world.tag());
    world.partition(&[0, 0, 0, 0, 1, 1]);
    world.run_for(15_000);
    let rounds: Vec<u64> = world.nodes().iter().map(|node| node.round().0).collect();
    assert!(rounds.iter().all(|round| *round > 20), "a half stood still: {rounds:?}, {}", world.tag());
    for node in 0..6 {
        let half: BTreeSet<_> =
            world.nodes()[node].rounds().last().unwrap().1.contributors.iter().map(|c| c.0).collect();
        let said = world.nodes()[node].rounds().last().unwrap().1;
        assert_eq!(half.len(), if node < 4 { 4 } else { 2 }, "node {node}, {rounds:?}: {said:?}, {}", world.tag());
    }
    world.heal();
    world.run_for(10_000);
    let last: Vec<_> = world.nodes().iter().map(|node| node.rounds().last().unwrap().1.clone()).collect();
    for report in &last {
        assert_eq!(report.contributors.len(), 6, "not whole again: {report:?}, {}", world.tag());
    }
    // Everybody's merge of the last round that all have done is the same.
    let round = last.iter().map(|report| report.round).min().unwrap();
    let merges: BTreeSet<_> = world
        .nodes()
        .iter()
        .map(|node| node.rounds().find(|(_, report)| report.round == round).map(|(_, report)| report.merge))
        .collect();
    assert_eq!(merges.len(), 1, "{}", world.tag());
    assert!(world.nodes().iter().all(|node| node.convicted().is_empty()), "{}", world.tag());
}

#[test]
fn a_member_cut_off_goes_on_from_its_own_publication_when_it_is_back() {
    let setup = Setup::new(4, seed(31));
    let mut world = World::running(&setup);
    world.run_for(3_000);
    world.partition(&[0, 0, 0, 1]);
    world.run_for(10_000);
    let last = |world: &World| world.nodes()[3].rounds().last().unwrap().1.clone();
    assert!(last(&world).is_alone() && (last(&world).others, last(&world).wanted) == (0, 3), "{}", world.tag());
    world.heal();
    let healed = world.now();
    world.run_for(5_000);
    assert!(!last(&world).is_alone() && (last(&world).others, last(&world).wanted) == (3, 3), "{}", world.tag());
    let me = world.nodes()[3].id();
    for (at, report) in world.nodes()[3].rounds().filter(|(at, _)| *at > healed) {
        let own = report.contributors.iter().any(|(member, _)| *member == me);
        assert!(own, "at {at} the own publication was dropped: {}", world.tag());
    }
    // Alone it ran ahead; the others caught up, and all mix again.
    for node in world.nodes() {
        let last = node.rounds().last().unwrap().1;
        assert_eq!(last.contributors.len(), 4, "{last:?} {}", world.tag());
    }
}
