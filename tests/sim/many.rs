//! Sixty-four members.

use std::collections::{BTreeMap, BTreeSet};

use chorale_tests::sim::{Setup, World, seed};

#[test]
fn sixty_four_members_that_merged_the_same_inputs_have_the_same_merge() {
    let mut setup = Setup::new(64, seed(100));
    setup.policy.rounds = 4;
    setup.step_ms = 500;
    setup.link = setup.link.losing(0.02);
    let mut world = World::running(&setup);
    let done = world.run_until(120_000, |world| world.nodes().iter().all(|node| node.is_finished()));
    let rounds: Vec<u64> = world.nodes().iter().map(|node| node.round().0).collect();
    assert!(done, "{rounds:?} {}", world.tag());
    let mut merges: BTreeMap<Vec<_>, BTreeSet<_>> = BTreeMap::new();
    let mut whole = 0;
    for node in world.nodes() {
        for (_, report) in node.rounds() {
            let inputs = world.parents_of(&report.record).expect("every node's record is on its disk");
            whole += usize::from(inputs.len() == 64);
            merges.entry(inputs).or_default().insert(report.merge);
        }
        assert!(node.convicted().is_empty(), "{}", world.tag());
    }
    println!("{whole} merges of all 64; finished at {} ms", world.now());
    assert!(merges.values().all(|hashes| hashes.len() == 1), "{}", world.tag());
    assert!(whole >= 64, "{whole} merges of all 64: {}", world.tag());
}
