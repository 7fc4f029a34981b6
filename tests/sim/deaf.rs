//! A peer whose gossip does not arrive, while its connections stand.

use chorale_tests::sim::{Setup, World, seed};

#[test]
fn a_member_that_hears_nobody_asks_and_goes_on_with_the_others() {
    let setup = Setup::new(4, seed(55));
    let mut world = World::running(&setup);
    assert!(world.run_until(20_000, |world| world.nodes().iter().all(|node| node.round().0 >= 8)), "{}", world.tag());
    world.deafen(3);
    let since = world.now();
    world.run_for(60_000);
    let deaf = &world.nodes()[3];
    let later: Vec<_> = deaf.rounds().filter(|(at, _)| *at > since).map(|(_, report)| report).collect();
    let alone = later.iter().filter(|report| report.contributors.len() == 1).count();
    println!("{} rounds without gossip, {alone} of them alone", later.len());
    assert!(alone * 2 < later.len(), "{alone} of {} rounds alone: {}", later.len(), world.tag());
    let (behind, ahead) = (deaf.round().0, world.nodes()[0].round().0);
    // It waits as long as 10 s before it gives up on hearing them; meanwhile they do some 40 rounds.
    assert!(behind + 64 >= ahead, "round {behind}, the others' {ahead}: {}", world.tag());
}
