//! Members that sign updates of their own alone, ahead of the others or behind them, set nobody's pace.

use chorale_protocol::{base::Round, feed::SkipReason};
use chorale_tests::sim::{Insider, Setup, World, seed};

const ROUNDS: u64 = 20;
/// As many rounds as the policy's ages let a publication lie ahead or behind.
const LEAD: u64 = 3;

/// When a dishonest member signs.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Always as far ahead of the others as they still use.
    Ahead,
    /// As far behind.
    Behind,
    /// Not for some rounds, then many at once.
    Bursts,
}

impl Way {
    /// The round that a dishonest member at `own` goes to when the honest ones have reached `round`.
    fn target(self, own: u64, round: u64) -> u64 {
        match self {
            Self::Ahead => round + LEAD,
            Self::Behind => round.saturating_sub(LEAD),
            Self::Bursts if round > own + LEAD => round + LEAD,
            Self::Bursts => own,
        }
    }
}

fn setup(nodes: usize, draw: u64, seed: u64) -> Setup {
    let mut setup = Setup::new(nodes, seed);
    setup.policy.draw = draw;
    setup.policy.rounds = ROUNDS;
    setup
}

/// Runs the honest members, the first ones, to their end beside dishonest ones; how long they took.
fn play(world: &mut World, honest: usize, way: Option<Way>) -> u64 {
    let mut insiders: Vec<Insider> =
        way.map_or_else(Vec::new, |_| (honest..world.nodes().len()).map(|node| Insider::new(world, node)).collect());
    let newest = |world: &World| world.nodes()[..honest].iter().map(|node| node.round().0).max().unwrap_or(0);
    let begun = |world: &World| world.nodes()[..honest].iter().all(|node| node.round().0 > 0);
    let done = |world: &World| world.nodes()[..honest].iter().all(|node| node.is_finished());
    while !done(world) {
        assert!(world.now() < 120_000, "no end: {:?}, {}", published(world, honest), world.tag());
        world.run_for(20);
        if !begun(world) {
            continue;
        }
        for insider in &mut insiders {
            let target = way.map_or(0, |way| way.target(insider.round().0, newest(world)));
            insider.publish_up_to(world, Round(target.min(ROUNDS)));
        }
    }
    world.now()
}

fn published(world: &World, honest: usize) -> Vec<usize> {
    world.nodes()[..honest].iter().map(|node| node.rounds().count()).collect()
}

/// Honest members skip each other as out of date, so many times.
fn skipped(world: &World, honest: usize) -> usize {
    let members: Vec<_> = world.nodes()[..honest].iter().map(|node| node.id()).collect();
    let skips = world.nodes()[..honest].iter().flat_map(|node| node.rounds().flat_map(|(_, report)| &report.skipped));
    skips.filter(|(member, reason)| *reason == SkipReason::Stale && members.contains(member)).count()
}

/// Every honest member publishes every round, and passes over no honest one as out of date.
fn keeps_its_pace(nodes: usize, dishonest: usize, draws: &[u64]) {
    let honest = nodes - dishonest;
    for draw in draws {
        for seed in seed(300)..seed(300) + 3 {
            let alone = |way| {
                let mut world = World::new(&setup(nodes, *draw, seed));
                (0..honest).for_each(|node| world.start_after(node, 0));
                let took = play(&mut world, honest, way);
                (world, took)
            };
            let (_, usual) = alone(None);
            for way in [Way::Ahead, Way::Behind, Way::Bursts] {
                let (world, took) = alone(Some(way));
                let case = format!("{dishonest} of {nodes}, draw {draw}, {way:?}, {}", world.tag());
                println!("{case}: {took} ms, {usual} ms without; {:?}", published(&world, honest));
                assert_eq!(published(&world, honest), vec![ROUNDS as usize; honest], "{case}");
                assert_eq!(skipped(&world, honest), 0, "{case}");
                assert!(took * 10 <= usual * 13, "{took} ms, {usual} ms without: {case}");
            }
        }
    }
}

#[test]
fn one_of_four_sets_nobodys_pace() {
    keeps_its_pace(4, 1, &[1, 2, 3]);
}

#[test]
fn one_of_seven_sets_nobodys_pace() {
    keeps_its_pace(7, 1, &[1, 2, 3, 6]);
}

#[test]
fn two_of_seven_set_nobodys_pace() {
    keeps_its_pace(7, 2, &[1, 2, 3, 6]);
}

#[test]
fn a_member_three_times_as_fast_takes_no_rounds_from_the_others() {
    for seed in seed(310)..seed(310) + 3 {
        let mut setup = setup(4, 3, seed);
        setup.step_ms = 60;
        let mut world = World::new(&setup);
        world.set_step_ms(0, 20);
        (0..4).for_each(|node| world.start_after(node, 0));
        play(&mut world, 4, None);
        println!("{:?} {}", published(&world, 4), world.tag());
        assert_eq!(published(&world, 4), [ROUNDS as usize; 4], "{}", world.tag());
    }
}
