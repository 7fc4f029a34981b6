use chorale_tests::fleet::{Line, Options, Shape};

use crate::common::Fleet;

#[test]
fn a_fifth_member_admitted_while_the_network_runs_catches_up_and_contributes() {
    let shape = Shape { seed: 6, ..Shape::default() };
    let options = Options { step_ms: 10, ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    // It comes before anyone has heard of it, and is not let in.
    let mut fifth = fleet.member(4, &Options { bootstrap: vec![fleet.address.clone()], ..options });
    fifth.address();
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 4);
    }
    assert_eq!(fifth.rounds(), []);
    // Any one operator hands the version in that enough governors signed.
    fleet.hand_in(2, &fleet.network.admit_one_more());
    for member in &mut members {
        member.until("version 1", |line| matches!(line, Line::Manifest(1)).then_some(()));
    }
    let name = fleet.network.name(4);
    let first = fifth.round("round", |_| true);
    assert!(first.round > 1, "{first:?}: a newcomer lands at the frontier");
    for member in &mut members {
        member.round("round with the fifth", |round| round.contributors.iter().any(|(member, _)| *member == name));
    }
    fifth.round("full round", |round| round.contributors.len() == 5);
}
