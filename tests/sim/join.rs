//! A member that comes while the network runs.

use chorale_protocol::{engine::Input, fixture};
use chorale_tests::sim::{Setup, World, seed};

#[test]
fn a_fifth_member_admitted_by_a_manifest_change_catches_up_and_contributes() {
    let mut setup = Setup::new(5, seed(90));
    setup.members = 4;
    setup.policy.momentum = 32_768;
    let mut world = World::running(&setup);
    world.run_for(5_000);
    let mut next = fixture::next(&world.chain());
    next.members.push(fixture::member(4));
    next.members.sort_by_key(|member| member.id);
    let bytes = fixture::signed(next, &[0]);
    // The operator of one member has it; the others hear of it.
    world.inject(2, Input::Manifest { bytes: bytes.clone(), from: None });
    world.give_manifest(4, bytes);
    world.start_after(4, 1_000);
    world.run_for(15_000);
    let (newcomer, frontier) = (&world.nodes()[4], world.nodes()[0].round().0);
    assert!(newcomer.round().0 + 2 >= frontier, "{} of {frontier}: {}", newcomer.round(), world.tag());
    let first = newcomer.rounds().next().unwrap().1;
    assert!(first.round.0 > 10, "its first round is not at the frontier: {first:?} {}", world.tag());
    for node in world.nodes() {
        let last = node.rounds().last().unwrap().1;
        assert_eq!(last.contributors.len(), 5, "{last:?} {}", world.tag());
    }
}
