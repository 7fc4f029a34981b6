//! A peer that keeps its connections and does nothing.

use chorale_tests::sim::{Setup, World, seed};

#[test]
fn a_frozen_peer_costs_at_most_one_adaptive_deadline() {
    let setup = Setup::new(4, seed(50));
    let mut world = World::running(&setup);
    assert!(world.run_until(20_000, |world| world.nodes().iter().all(|node| node.round().0 >= 8)), "{}", world.tag());
    let usual = world.nodes()[0].rounds().skip(2).map(|(_, report)| report.gather_ms).max().unwrap();
    let frozen = world.now();
    world.freeze(3);
    world.run_for(20_000);
    let gathers: Vec<u64> =
        world.nodes()[0].rounds().filter(|(at, _)| *at > frozen).map(|(_, report)| report.gather_ms).collect();
    let lost: u64 = gathers.iter().map(|ms| ms.saturating_sub(usual)).sum();
    println!("usual gather at most {usual} ms; lost to the frozen peer {lost} ms in {} rounds", gathers.len());
    // The deadline follows the lags that were observed; it is far below the fixed bound of 10 s.
    assert!(lost <= 500, "{lost} ms lost, usual {usual}: {gathers:?}, {}", world.tag());
    assert!(gathers.len() >= 70, "{} rounds in 20 s: {}", gathers.len(), world.tag());
}
