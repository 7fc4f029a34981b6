use chorale_tests::fleet::{Line, Options, Shape};

use crate::common::Fleet;

#[test]
fn a_member_whose_training_gives_no_numbers_publishes_nothing_and_harms_nobody() {
    let shape = Shape { seed: 8, members: 3, ..Shape::default() };
    let options = Options { step_ms: 10, ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 3);
    }
    members.remove(2).kill();
    let bad = Options { bootstrap: vec![fleet.address.clone()], mischief: Some(("not-finite", 0)), ..options };
    let mut third = fleet.member(2, &bad);
    let why = third.until("failure", |line| if let Line::Failed(why) = line { Some(why.clone()) } else { None });
    assert!(why.contains("finite"), "{why}");
    for member in &mut members {
        let from = member.rounds().last().unwrap().round;
        let round = member.round("rounds of the others", |round| round.round >= from + 8);
        assert_eq!(round.contributors.len(), 2, "{round:?}");
    }
    assert_eq!(third.rounds(), []);
}
