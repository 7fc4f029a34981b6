use chorale_protocol::audit::Verdict;
use chorale_tests::fleet::{Line, Options, Shape};

use crate::common::{Fleet, one_feed_each, same_inputs_same_merge};

/// Without an outer momentum a merge depends on what was merged alone.
#[test]
fn four_members_find_each_other_by_one_address_and_the_same_inputs_give_the_same_merge() {
    let shape = Shape { rounds: 20, momentum: false, ..Shape::default() };
    let (fleet, members) = Fleet::start(shape, &Options { step_ms: 10, ..Options::default() });
    let said: Vec<Vec<Line>> = members.into_iter().map(|member| member.finish()).collect();
    for (index, lines) in said.iter().enumerate() {
        let rounds: Vec<_> =
            lines.iter().filter_map(|line| if let Line::Round(round) = line { Some(round) } else { None }).collect();
        assert!(
            rounds.iter().any(|round| round.contributors.len() == 4),
            "m{index} never merged all four: {rounds:#?}"
        );
        assert!(rounds.last().unwrap().round >= 20);
        let (first, last) = (rounds[0].loss_before.unwrap(), rounds.last().unwrap().loss_before.unwrap());
        assert!(last < first, "m{index} learned nothing: {first} to {last}");
        assert!(
            !lines
                .iter()
                .any(|line| matches!(line, Line::Refused(_) | Line::Convicted(_) | Line::Barred(..) | Line::Failed(_))),
            "{lines:#?}"
        );
    }
    let records = fleet.records(0);
    assert_eq!(one_feed_each(&records).len(), 4);
    assert!(same_inputs_same_merge(&records) >= 4, "hardly any two members merged the same");
}

#[test]
fn an_auditor_recomputes_every_merge_from_one_members_archive() {
    let shape = Shape { seed: 2, rounds: 10, ..Shape::default() };
    let (fleet, members) = Fleet::start(shape, &Options { step_ms: 10, ..Options::default() });
    members.into_iter().for_each(|member| drop(member.finish()));
    let (_, report) = fleet.audit(1);
    assert_eq!(report.verdict(), Verdict::Passed, "{report:#?}");
    assert!(report.counts.merges.ok >= 4 * 8, "{:?}", report.counts);
}

#[test]
fn equal_members_merge_each_others_work_of_the_same_round() {
    let shape = Shape { seed: 3, rounds: 20, ..Shape::default() };
    let (fleet, members) = Fleet::start(shape, &Options { step_ms: 100, ..Options::default() });
    let (mut fresh, mut wanted) = (0, 0);
    for (index, member) in members.into_iter().enumerate() {
        let lines = member.finish();
        let rounds = lines.iter().filter_map(|line| if let Line::Round(round) = line { Some(round) } else { None });
        // The first round has nothing to merge.
        for round in rounds.skip(1) {
            let others = round.contributors.iter().filter(|(member, _)| *member != fleet.network.name(index));
            fresh += others.filter(|(_, weight)| *weight == 1024).count();
            wanted += 3;
        }
    }
    assert!(wanted >= 4 * 3 * 15, "{wanted}");
    assert!(fresh * 10 >= wanted * 9, "{fresh} of {wanted} are of the own round");
}
