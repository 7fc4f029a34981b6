use chorale_tests::fleet::{Line, Options, PEER_TIMEOUT_MS, Shape};

use crate::common::{Fleet, one_feed_each};

#[test]
fn a_killed_member_stops_nobody_and_goes_on_in_its_feed() {
    let shape = Shape { seed: 3, ..Shape::default() };
    let options = Options { step_ms: 10, ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 4);
    }
    // The first-started one is the only address that the others were told.
    let first = members.remove(0).kill();
    let rounds = first.iter().filter(|line| matches!(line, Line::Round(_))).count();
    for member in &mut members {
        let from = member.rounds().last().unwrap().round;
        member.round("ten rounds without the first", |round| round.round >= from + 10 && round.contributors.len() == 3);
        // Nobody is waited for longer than the peer timeout, the one that is gone included.
        let waits = member.rounds().into_iter().filter(|round| round.round > from).map(|round| round.gather_ms);
        let longest = waits.max().unwrap();
        assert!(longest <= PEER_TIMEOUT_MS, "waited {longest} ms of at most {PEER_TIMEOUT_MS}");
    }
    let mut first = fleet.member(0, &Options { bootstrap: vec![members[1].listening()], ..options });
    first.round("full round after its restart", |round| round.contributors.len() == 4);
    for member in &mut members {
        member.round("full round after the restart", |round| round.contributors.len() == 4);
    }
    members.push(first);
    for member in members {
        let lines = member.kill();
        let bad = |line: &&Line| {
            matches!(line, Line::Convicted(_) | Line::Barred(..) | Line::Incarnation(_) | Line::Failed(_))
        };
        assert_eq!(lines.iter().find(bad), None);
    }
    let heads = one_feed_each(&fleet.records(1));
    assert!(heads[&fleet.network.id(0)] > rounds as u64, "{heads:?}: the first went on beyond its {rounds} rounds");
    assert!(fleet.store(1).evidence().unwrap().is_empty());
}

#[test]
fn kills_in_quick_succession_lose_at_most_the_round_in_progress() {
    let shape = Shape { seed: 4, members: 2, ..Shape::default() };
    let options = Options { step_ms: 5, ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    let mut other = members.remove(0);
    other.round("full round", |round| round.contributors.len() == 2);
    let options = Options { bootstrap: vec![fleet.address.clone()], ..options };
    let mut victim = members.remove(0);
    for kill in 0..5_u64 {
        // Each time at another moment: after so many lines of any kind.
        let mut left = 2 + kill * 3 % 7;
        victim.round("round of the victim", |round| round.contributors.len() == 2);
        victim.until("moment", |_| {
            left -= 1;
            (left == 0).then_some(())
        });
        let done = victim.kill().iter().filter(|line| matches!(line, Line::Round(_))).count() as u64;
        let records = fleet.records(1).len();
        assert!(done > 0 && records > 0);
        victim = fleet.member(1, &options);
    }
    victim.round("round after five kills", |round| round.contributors.len() == 2);
    let id = fleet.network.name(1);
    other.until("the victim's update", |line| matches!(line, Line::Admitted(member, _) if *member == id).then_some(()));
    let lines = [victim.kill(), other.kill()].concat();
    let bad =
        |line: &&Line| matches!(line, Line::Convicted(_) | Line::Barred(..) | Line::Incarnation(_) | Line::Failed(_));
    assert_eq!(lines.iter().find(bad), None);
    one_feed_each(&fleet.records(0));
    one_feed_each(&fleet.records(1));
}

#[test]
fn a_member_without_its_training_state_says_so_and_goes_on() {
    let shape = Shape { seed: 5, members: 2, ..Shape::default() };
    let options = Options { step_ms: 10, ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    let mut other = members.remove(0);
    let mut victim = members.remove(0);
    victim.round("full round", |round| round.contributors.len() == 2);
    victim.kill();
    std::fs::remove_dir_all(fleet.home(1).join("store/state")).unwrap();
    let mut victim = fleet.member(1, &Options { bootstrap: vec![fleet.address.clone()], ..options });
    let me = fleet.network.name(1);
    let first = victim.round("round after the loss", |_| true);
    assert!(!first.contributors.iter().any(|(member, _)| *member == me), "{first:?} went on from a lost state");
    victim.round("full round", |round| round.contributors.len() == 2);
    other.round("full round", |round| round.contributors.iter().any(|(member, _)| *member == me));
    let log = std::fs::read_to_string(fleet.home(1).join("stderr.log")).unwrap();
    assert!(log.contains("training state"), "{log}");
}
