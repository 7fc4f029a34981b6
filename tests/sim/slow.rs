//! Members of different speed.

use chorale_tests::sim::{Setup, World, seed};

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(4, seed);
    // A round should take half a second: a fast machine does 20 steps, one ten times slower 2.
    setup.policy.round_ms = 500;
    setup.policy.steps.max = 20;
    setup.step_ms = 25;
    setup
}

#[test]
fn a_member_ten_times_slower_contributes_to_every_round_and_holds_nobody_up() {
    let even = {
        let mut world = World::running(&setup(seed(40)));
        world.run_for(20_000);
        world.nodes()[0].round().0
    };
    let mut world = World::new(&setup(seed(40)));
    world.set_step_ms(3, 250);
    (0..4).for_each(|node| world.start_after(node, 0));
    world.run_for(20_000);
    let rounds = world.nodes()[0].round().0;
    println!("rounds in 20 s: {even} among equals, {rounds} with one ten times slower");
    assert!(rounds * 10 >= even * 9, "{rounds} rounds, {even} among equals: {}", world.tag());
    let slow = world.nodes()[3].id();
    let merged = world.nodes()[0]
        .rounds()
        .skip(1)
        .filter(|(_, report)| report.contributors.iter().any(|(member, _)| *member == slow));
    let (merged, all) = (merged.count(), world.nodes()[0].rounds().skip(1).count());
    assert!(merged * 10 >= all * 9, "merged in {merged} of {all} rounds: {}", world.tag());
}

#[test]
fn a_member_whose_rounds_take_ten_times_as_long_holds_nobody_up() {
    let mut setup = Setup::new(4, seed(41));
    setup.step_ms = 50;
    let mut world = World::new(&setup);
    world.set_step_ms(3, 500);
    (0..4).for_each(|node| world.start_after(node, 0));
    world.run_for(30_000);
    let fast = world.nodes()[0].round().0;
    let slow = world.nodes()[3].rounds().count();
    println!("30 s: {fast} rounds of 200 ms, {slow} of 2000 ms");
    // Alone they would do 150 and 15; one adaptive deadline may be lost.
    assert!(fast >= 110, "{fast} rounds: {}", world.tag());
    assert!(slow >= 12, "{slow} rounds: {}", world.tag());
    let last = world.nodes()[3].rounds().last().unwrap().1;
    // Its publication is as old as its training, and the next is under way: two of its rounds at most.
    assert!(last.round.0 + 24 >= fast, "it does not land at the frontier: {last:?}, {}", world.tag());
}
