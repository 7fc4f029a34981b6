use chorale_tests::fleet::{Options, Round, Shape};

use crate::common::Fleet;

#[test]
fn a_frozen_member_is_absent_and_nothing_more() {
    let shape = Shape { seed: 7, ..Shape::default() };
    let (fleet, mut members) = Fleet::start(shape, &Options { step_ms: 10, ..Options::default() });
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 4);
    }
    let frozen = members.remove(3);
    let name = fleet.network.name(3);
    frozen.signal("STOP");
    let without = |round: &Round| {
        round.contributors.len() == 3 && round.skipped.iter().any(|(member, why)| *member == name && why != "distance")
    };
    for member in &mut members {
        let from = member.rounds().last().unwrap().round;
        let round = member.round("rounds without the frozen", |round| round.round >= from + 8 && without(round));
        assert!(!round.contributors.iter().any(|(member, _)| *member == name));
    }
    frozen.signal("CONT");
    for member in &mut members {
        member.round("full round after the thaw", |round| round.contributors.len() == 4);
    }
}
