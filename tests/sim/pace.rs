//! Whom to wait for: members of like speed merge each other's work of the same round, and nobody is held up by others.

use chorale_tests::sim::{Node, Setup, World, seed};

/// Milliseconds of an equal member's round.
const WORK_MS: u64 = 1_000;
const STEPS: u64 = 4;
const RUN_MS: u64 = 90_000;

/// How a member of a mix works.
#[derive(Clone, Copy)]
struct Speed {
    /// Its round's work, in percent of an equal member's.
    percent: u64,
    jitter: f64,
}

const fn steady(percent: u64) -> Speed {
    Speed { percent, jitter: 0.0 }
}

/// What became of one member.
#[derive(Debug)]
struct Tale {
    rounds: usize,
    /// Of the contributions of others that it merged, those of its own last publication's round or a later one.
    fresh: f64,
    /// Waiting and fetching, as a share of its work.
    idle: f64,
}

fn tale(node: &Node, of: impl Fn(&chorale_protocol::base::MemberId) -> bool) -> Tale {
    // The first rounds are those in which nothing is known of anybody's pace.
    let rounds: Vec<_> = node.rounds().skip(3).map(|(_, report)| report).collect();
    let others = |report: &&chorale_protocol::engine::RoundReport| {
        let others = report.contributors.iter().filter(|(member, _)| *member != node.id() && of(member));
        others.map(|(_, weight)| *weight).collect::<Vec<u64>>()
    };
    let weights: Vec<u64> = rounds.iter().flat_map(others).collect();
    let fresh = weights.iter().filter(|weight| **weight == 1024).count();
    let waited: u64 = rounds.iter().map(|report| report.gather_ms).sum();
    let worked: u64 = rounds.iter().map(|report| report.work_ms).sum();
    Tale {
        rounds: node.rounds().count(),
        fresh: fresh as f64 / weights.len().max(1) as f64,
        idle: waited as f64 / worked.max(1) as f64,
    }
}

fn world(speeds: &[Speed], seed: u64) -> World {
    let mut setup = Setup::new(speeds.len(), seed);
    setup.policy.steps.max = STEPS;
    let mut world = World::running(&setup);
    for (node, speed) in speeds.iter().enumerate() {
        world.set_step_ms(node, WORK_MS / STEPS * speed.percent / 100);
        world.set_jitter(node, speed.jitter);
    }
    world.run_for(RUN_MS);
    world
}

/// Runs a mix with three seeds; of the members at these places, what each made of the others at these places.
fn run(name: &str, speeds: &[Speed], places: &[usize], check: impl Fn(&Tale, &str)) {
    for seed in (0..3).map(|n| seed(200) + n) {
        let world = world(speeds, seed);
        let ids: Vec<_> = places.iter().map(|place| world.nodes()[*place].id()).collect();
        for place in places {
            let tale = tale(&world.nodes()[*place], |member| ids.contains(member));
            println!("{name}, member {place}: {tale:?}");
            check(&tale, &format!("{name}, member {place}: {tale:?}, {}", world.tag()));
        }
    }
}

/// Nobody waits for longer than its own work takes, fetches included.
fn is_bounded(tale: &Tale, said: &str) {
    assert!(tale.idle <= 1.0, "{said}");
}

#[test]
fn equal_members_merge_each_others_work_of_the_same_round() {
    run("equal", &[steady(100); 4], &[0, 1, 2, 3], |tale, said| {
        assert!(tale.fresh >= 0.95 && tale.idle <= 0.1 && tale.rounds >= 75, "{said}");
    });
    run("sixteen", &[steady(100); 16], &[0, 1, 2, 3, 14, 15], |tale, said| {
        assert!(tale.fresh >= 0.95 && tale.idle <= 0.1, "{said}");
    });
}

#[test]
fn members_whose_speeds_differ_by_a_third_keep_step_with_the_slowest() {
    let speeds = [steady(70), steady(100), steady(100), steady(130)];
    run("± 30 %", &speeds, &[0, 1, 2, 3], |tale, said| {
        is_bounded(tale, said);
        assert!(tale.fresh >= 0.95 && tale.rounds >= 58, "{said}");
    });
}

#[test]
fn members_whose_rounds_vary_keep_step() {
    run("jitter", &[Speed { percent: 100, jitter: 0.3 }; 4], &[0, 1, 2, 3], |tale, said| {
        is_bounded(tale, said);
        assert!(tale.fresh >= 0.95 && tale.rounds >= 62, "{said}");
    });
}

#[test]
fn who_is_behind_by_less_than_a_round_publishes_every_round() {
    const ROUNDS: u64 = 20;
    for seed in (0..3).map(|n| seed(240) + n) {
        let mut setup = Setup::new(20, seed);
        (setup.policy.draw, setup.policy.rounds) = (4, ROUNDS);
        let mut world = World::running(&setup);
        // Of a draw of four some are always ahead.
        (0..20).for_each(|node| world.set_jitter(node, 0.8));
        let done = world.run_until(120_000, |world| world.nodes().iter().all(|node| node.is_finished()));
        let updates: Vec<usize> = world.nodes().iter().map(|node| node.rounds().count()).collect();
        let later = world.nodes().iter().flat_map(|node| node.rounds().filter(|(_, report)| report.round.0 > 1));
        let merged: Vec<usize> = later.map(|(_, report)| report.contributors.len() - 1).collect();
        let whole = merged.iter().filter(|others| **others == 4).count();
        println!("{updates:?}, {whole} of {} merged four others, {}", merged.len(), world.tag());
        assert!(done && updates == [ROUNDS as usize; 20], "{updates:?} {}", world.tag());
        assert_eq!(whole, merged.len(), "{}", world.tag());
    }
}

/// Three equals beside one whose rounds take `times` as long.
fn holds_nobody_up(name: &str, times: u64) {
    let speeds = [steady(100), steady(100), steady(100), steady(100 * times)];
    run(name, &speeds, &[0, 1, 2], |tale, said| {
        assert!(tale.fresh >= 0.95 && tale.idle <= 0.1 && tale.rounds >= 70, "{said}");
    });
    run(name, &speeds, &[3], is_bounded);
}

#[test]
fn a_member_three_times_slower_holds_nobody_up_and_equals_keep_step() {
    holds_nobody_up("3 ×", 3);
}

#[test]
fn a_member_ten_times_slower_holds_nobody_up_and_equals_keep_step() {
    holds_nobody_up("10 ×", 10);
}

#[test]
fn a_frozen_member_costs_one_budget_and_equals_keep_step() {
    for seed in (0..3).map(|n| seed(220) + n) {
        let mut setup = Setup::new(4, seed);
        setup.policy.steps.max = STEPS;
        setup.step_ms = WORK_MS / STEPS;
        let mut world = World::running(&setup);
        world.run_for(20_000);
        let frozen = world.now();
        world.freeze(3);
        world.run_for(60_000);
        let ids: Vec<_> = (0..3).map(|place| world.nodes()[place].id()).collect();
        for node in &world.nodes()[..3] {
            let after = node.rounds().filter(|(at, _)| *at > frozen).map(|(_, report)| report);
            let lost: u64 = after.map(|report| report.gather_ms.saturating_sub(100)).sum();
            let tale = tale(node, |member| ids.contains(member));
            assert!(lost <= WORK_MS + 200, "{lost} ms lost, {tale:?}, {}", world.tag());
            assert!(tale.fresh >= 0.95, "{tale:?}, {}", world.tag());
        }
    }
}

#[test]
fn who_misses_a_deadline_is_expected_again_with_its_next_publication() {
    let mut setup = Setup::new(4, seed(230));
    setup.policy.steps.max = STEPS;
    setup.step_ms = WORK_MS / STEPS;
    let mut world = World::running(&setup);
    world.run_for(20_000);
    // One round takes it four times as long.
    world.set_step_ms(3, WORK_MS);
    world.run_for(2_000);
    world.set_step_ms(3, WORK_MS / STEPS);
    world.run_for(5_000);
    let back = world.now();
    world.run_for(30_000);
    let late = world.nodes()[3].id();
    for node in &world.nodes()[..3] {
        let after: Vec<_> = node.rounds().filter(|(at, _)| *at > back + 2_000).map(|(_, report)| report).collect();
        let fresh = after.iter().filter(|report| report.contributors.contains(&(late, 1024))).count();
        assert!(fresh * 100 >= after.len() * 95, "{fresh} of {}, {}", after.len(), world.tag());
    }
}
