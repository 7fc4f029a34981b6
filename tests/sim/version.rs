//! A new manifest version, and a member that does not take it up.

use chorale_protocol::{base::Round, engine::Input, fixture};
use chorale_tests::sim::{Insider, Setup, World, seed};

/// Rounds that what was published under the old version still counts for.
const LEAD: u64 = 3;

#[test]
fn who_stays_on_an_old_manifest_version_is_merged_for_a_window_and_then_no_more() {
    let mut world = World::new(&Setup::new(4, seed(320)));
    (0..3).for_each(|node| world.start_after(node, 0));
    let mut insider = Insider::new(&world, 3);
    let newest = |world: &World| world.nodes()[..3].iter().map(|node| node.round().0).max().unwrap_or(0);
    let play = |world: &mut World, insider: &mut Insider, ms: u64| {
        for _ in 0..ms / 20 {
            world.run_for(20);
            let round = newest(world);
            insider.publish_up_to(world, Round(round));
        }
    };
    play(&mut world, &mut insider, 12_000);
    let mut next = fixture::next(&world.chain());
    next.policy.round_ms = 200;
    let next = fixture::signed(next, &[0]);
    let changed = newest(&world);
    for node in 0..3 {
        world.inject(node, Input::Manifest { bytes: next.clone(), from: None });
    }
    play(&mut world, &mut insider, 6_000);
    assert!(newest(&world) > changed + 3 * LEAD, "{} {}", newest(&world), world.tag());
    let merged = |node: usize| {
        let theirs = world.nodes()[node]
            .rounds()
            .filter(|(_, report)| report.contributors.iter().any(|(member, _)| *member == world.nodes()[3].id()));
        theirs.map(|(_, report)| report.round.0).collect::<Vec<u64>>()
    };
    for node in 0..3 {
        let merged = merged(node);
        assert!(merged.iter().any(|round| *round <= changed), "{merged:?} {}", world.tag());
        let last = merged.iter().max().copied().unwrap_or(0);
        assert!(
            (changed..=changed + 2 * LEAD + 3).contains(&last),
            "{last}, version 1 from {changed} on: {}",
            world.tag()
        );
        assert!(world.nodes()[node].convicted().is_empty(), "{}", world.tag());
    }
}
