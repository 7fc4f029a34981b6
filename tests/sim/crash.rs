//! A crash at any step between two durable things.

use chorale_tests::sim::{Setup, World, seed};

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(4, seed);
    setup.policy.momentum = 32_768;
    setup
}

#[test]
fn a_crash_at_any_step_never_makes_an_honest_member_equivocate_and_it_goes_on() {
    let seed = seed(60);
    let steps = {
        let mut world = World::running(&setup(seed));
        world.run_until(20_000, |world| world.nodes()[0].round().0 >= 4);
        world.nodes()[0].steps()
    };
    println!("{steps} steps to crash at");
    assert!(steps > 40, "{steps} steps");
    for step in 1..=steps {
        let mut world = World::running(&setup(seed));
        world.crash_at(0, step);
        world.run_for(8_000);
        for node in world.nodes() {
            assert!(node.convicted().is_empty(), "crash at step {step}: equivocation: {}", world.tag());
        }
        let node = &world.nodes()[0];
        assert_eq!(node.incarnations(), 0, "crash at step {step}: its own feed was not on its disk: {}", world.tag());
        let newest = world.nodes().iter().map(|node| node.round().0).max().unwrap();
        assert!(node.round().0 + 3 >= newest, "crash at step {step}: left behind: {}", world.tag());
        let held = world.nodes()[1].admitted_of(&node.id());
        assert!(held >= node.round().0.saturating_sub(1), "crash at step {step}: not heard: {}", world.tag());
    }
}

#[test]
fn crashes_again_and_again_on_a_bad_network_convict_nobody() {
    let first = seed(61);
    for seed in first..first + 6 {
        let mut setup = setup(seed);
        setup.link = setup.link.losing(0.2);
        let mut world = World::running(&setup);
        for turn in 0..12_u64 {
            world.run_for(700 + 100 * (turn % 5));
            let node = usize::try_from(turn % 4).unwrap();
            if world.nodes()[node].is_running() {
                world.crash(node);
                world.start_after(node, 300 * (turn % 3));
            }
        }
        world.run_for(8_000);
        for node in world.nodes() {
            assert!(node.convicted().is_empty(), "equivocation: {}", world.tag());
        }
        let rounds: Vec<u64> = world.nodes().iter().map(|node| node.round().0).collect();
        let newest = rounds.iter().max().unwrap();
        assert!(rounds.iter().all(|round| round + 5 >= *newest), "left behind: {rounds:?}, {}", world.tag());
    }
}
