//! A disk that is older than the member's own feed.

use chorale_tests::sim::{Disk, Setup, World, seed};

#[test]
fn a_restored_backup_opens_a_new_incarnation_and_never_signs_a_place_twice() {
    for (turn, backup_at) in [1_000, 1_700, 2_500].into_iter().enumerate() {
        let setup = Setup::new(4, seed(70) + turn as u64);
        let mut world = World::running(&setup);
        world.run_for(backup_at);
        let backup = world.nodes()[1].disk().clone();
        world.run_for(3_000);
        world.crash(1);
        world.set_disk(1, backup);
        world.start_after(1, 200);
        world.run_for(10_000);
        assert_eq!(world.nodes()[1].incarnations(), 1, "{}", world.tag());
        for node in world.nodes() {
            assert!(node.convicted().is_empty(), "equivocation: {}", world.tag());
        }
        let newest = world.nodes()[0].round().0;
        assert!(world.nodes()[1].round().0 + 3 >= newest, "left behind: {}", world.tag());
        assert!(world.nodes()[0].admitted_of(&world.nodes()[1].id()) + 3 >= newest, "not heard: {}", world.tag());
    }
}

#[test]
fn a_restored_member_that_crashes_before_its_first_new_record_still_does_not_equivocate() {
    let seed = seed(75);
    for crash_after in (0..1_000).step_by(40) {
        let mut world = World::running(&Setup::new(4, seed));
        world.run_for(1_500);
        let backup = world.nodes()[1].disk().clone();
        world.run_for(2_000);
        world.crash(1);
        world.set_disk(1, backup);
        world.start_after(1, 0);
        world.run_for(crash_after);
        if world.nodes()[1].is_running() {
            world.crash(1);
        }
        world.start_after(1, 100);
        world.run_for(6_000);
        for node in world.nodes() {
            assert!(node.convicted().is_empty(), "crash after {crash_after} ms: equivocation: {}", world.tag());
        }
        let newest = world.nodes()[0].round().0;
        assert!(world.nodes()[1].round().0 + 4 >= newest, "crash after {crash_after} ms: {}", world.tag());
    }
}

#[test]
fn a_member_that_lost_its_whole_disk_goes_on_in_a_new_incarnation() {
    let mut world = World::running(&Setup::new(4, seed(77)));
    world.run_for(3_000);
    world.crash(2);
    world.set_disk(2, Disk::default());
    world.start_after(2, 200);
    world.run_for(8_000);
    assert_eq!(world.nodes()[2].incarnations(), 1, "{}", world.tag());
    assert!(world.nodes().iter().all(|node| node.convicted().is_empty()), "{}", world.tag());
    assert!(world.nodes()[2].round().0 + 3 >= world.nodes()[0].round().0, "{}", world.tag());
}
