//! A network that nothing disturbs.

use chorale_tests::sim::{Setup, World, seed};

#[test]
fn four_members_run_in_step_and_agree_on_every_merge() {
    let mut setup = Setup::new(4, seed(1));
    setup.policy.rounds = 6;
    let mut world = World::running(&setup);
    let done = world.run_until(60_000, |world| world.nodes().iter().all(|node| node.is_finished()));
    for node in world.nodes() {
        println!("{:?}", node.seen().iter().map(|s| format!("{} {:?}", s.at, s.event)).collect::<Vec<_>>());
    }
    assert!(done, "not everybody finished: {}", world.tag());
}
