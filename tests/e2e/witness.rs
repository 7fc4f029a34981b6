//! Transparency logs between real processes: members cosign each other's checkpoints, and archives show when records were there.

use chorale_protocol::audit::Verdict;
use chorale_tests::fleet::{Options, Shape};
use serde_json::Value;

use crate::common::Fleet;

#[test]
fn every_record_is_witnessed_by_the_time_the_network_is_done() {
    let shape = Shape { seed: 51, rounds: 12, witnesses: 2, ..Shape::default() };
    let options = Options { step_ms: 10, checkpoint_ms: Some(150), ..Options::default() };
    let (fleet, members) = Fleet::start(shape, &options);
    members.into_iter().for_each(|member| drop(member.finish()));
    for index in 0..4 {
        let (_, report) = fleet.audit(index);
        assert_eq!(report.verdict(), Verdict::Passed, "m{index}: {:#?}", report.findings);
        let witnessed = report.counts.witnessed;
        assert_eq!((witnessed.ok, witnessed.missing), (report.counts.records.ok, 0), "m{index}: {:?}", report.counts);
        assert!(report.intervals.both > 0, "m{index}: no record names a checkpoint: {:?}", report.intervals);
    }
}

/// What a checkpoint says is on disk before it leaves; what leaves is never taken back.
#[test]
fn a_member_that_is_killed_at_any_moment_goes_on_in_its_log() {
    let shape = Shape { seed: 53, members: 3, witnesses: 2, ..Shape::default() };
    let options = Options { step_ms: 5, checkpoint_ms: Some(100), ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 3);
    }
    let together = Options { bootstrap: vec![fleet.address.clone()], ..options };
    let mut victim = members.pop().unwrap();
    let mut signed = 0;
    for kill in 0..6_u64 {
        let before = signed;
        victim.round("longer log", |_| log(&fleet, 2)["witnessed"].as_u64() > Some(before));
        signed = log(&fleet, 2)["signed"].as_u64().unwrap();
        // Each time at another moment: after so many lines of any kind.
        let mut left = 1 + kill * 5 % 7;
        victim.until("moment", |_| {
            left -= 1;
            (left == 0).then_some(())
        });
        victim.kill();
        victim = fleet.member(2, &together);
    }
    victim.round("longer log at the end", |_| log(&fleet, 2)["witnessed"].as_u64() > Some(signed));
    assert_eq!(log(&fleet, 2)["frozen"], Value::Bool(false));
    victim.kill();
    members.into_iter().for_each(|member| drop(member.kill()));
    for index in 0..2 {
        assert!(!fleet.home(index).join("store/log/split").exists(), "m{index} holds two histories of one log");
    }
    let (_, report) = fleet.audit(2);
    assert_ne!(report.verdict(), Verdict::Failed, "{:#?}", report.findings);
    assert!(report.counts.witnessed.ok > 0, "{:?}", report.counts);
}

/// Nothing new is signed before enough witnesses have said how much they hold, whenever each of them is back.
#[test]
fn a_member_that_comes_back_before_one_of_its_witnesses_goes_on_in_its_log() {
    let shape = Shape { seed: 54, members: 3, witnesses: 2, ..Shape::default() };
    let options = Options { step_ms: 5, checkpoint_ms: Some(100), ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 3);
    }
    let together = Options { bootstrap: vec![fleet.address.clone()], ..options };
    let mut victim = members.pop().unwrap();
    victim.round("witnessed log", |_| log(&fleet, 2)["witnessed"].as_u64() > Some(5));
    victim.kill();
    members.pop().unwrap().kill();
    let before = fleet.store(2).leaves(0).unwrap().len() as u64;
    let mut victim = fleet.member(2, &together);
    // By then it has asked the only witness that is there, more than once.
    victim
        .round("a second without the other witness", |round| round.contributors.len() == 2 && round.at_us > 1_000_000);
    let back = fleet.member(1, &together);
    victim.round("longer log", |_| log(&fleet, 2)["witnessed"].as_u64() > Some(before));
    [victim, back, members.pop().unwrap()].into_iter().for_each(|member| drop(member.kill()));
}

/// What a member's status says of its log.
fn log(fleet: &Fleet, index: usize) -> Value {
    let status = std::fs::read(fleet.home(index).join("status.json")).unwrap_or_default();
    serde_json::from_slice(&status).map_or(Value::Null, |status: Value| status["log"].clone())
}

/// Signing on from a tree that others know to have been longer would look like a split log.
#[test]
fn a_member_whose_log_was_set_back_signs_no_other_history_of_it() {
    let shape = Shape { seed: 52, members: 3, witnesses: 1, ..Shape::default() };
    let options = Options { step_ms: 10, checkpoint_ms: Some(100), ..Options::default() };
    let (fleet, mut members) = Fleet::start(shape, &options);
    let mut victim = members.pop().unwrap();
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 3);
    }
    let together = Options { bootstrap: vec![fleet.address.clone()], ..options };
    let rounds = |member: &mut chorale_tests::fleet::Member, wanted: &dyn Fn(&Value) -> bool| {
        member.round("log as wanted", |_| wanted(&log(&fleet, 2)));
    };
    rounds(&mut victim, &|log| log["witnessed"].as_u64() > Some(5));
    victim.kill();
    let backup = fleet.back_up(2);
    let before = fleet.store(2).leaves(0).unwrap().len() as u64;
    let mut victim = fleet.member(2, &together);
    rounds(&mut victim, &|log| log["witnessed"].as_u64() > Some(before));
    victim.kill();
    fleet.restore(2, &backup);
    let mut victim = fleet.member(2, &together);
    rounds(&mut victim, &|log| log["frozen"] == Value::Bool(true));
    victim.kill();
    members.into_iter().for_each(|member| drop(member.kill()));
    for index in 0..2 {
        assert!(!fleet.home(index).join("store/log/split").exists(), "m{index} holds two histories of one log");
    }
}
