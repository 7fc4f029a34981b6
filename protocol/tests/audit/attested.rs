//! Merges that members say they recomputed while the network ran.

use chorale_protocol::{
    audit::{Report, Severity, Verdict, replay},
    base::{MemberId, MergeHash, RecordId},
    feed::{Checked, Close, FaultSpec, Flaw, Record, Spec, sign},
    fixture,
    manifest::Policy,
};

use crate::{SEED, codes, find, world::World};

/// 40 in Q.32: far from whatever these networks train.
const OFF: i64 = 40 << 32;

fn momentum() -> Policy {
    Policy { checkpoint_every: 1, reach: 1_000 << 16, ..fixture::policy() }
}

/// The next update of a member, which names these.
fn attest(world: &mut World, who: usize, updates: &[RecordId]) -> Checked {
    let mut checked = updates.to_vec();
    checked.sort_unstable();
    world.step_with(who, |draft| draft.update().checked = checked)
}

/// Who fails with this code, and with which records.
fn failed(report: &Report, code: &str) -> Vec<(MemberId, RecordId)> {
    let found = report.findings.iter().filter(|one| one.code == code && one.severity == Severity::Failure);
    found.map(|one| (one.feed.unwrap().0, one.record.unwrap())).collect()
}

#[test]
fn a_merge_on_its_authors_word_says_which_others_recomputed_it_live() {
    for attesting in [vec![], vec![0], vec![0, 1]] {
        let mut world = World::play(3, 2, momentum(), SEED);
        let hidden = world.step(2);
        let taken_up = world.step(2);
        let unverified = world.step(2);
        let by: Vec<MemberId> = attesting.iter().map(|who: &usize| world.authors[*who].id).collect();
        for who in [0, 1] {
            let ids = [hidden.id(), taken_up.id(), unverified.id()];
            attest(&mut world, who, if attesting.contains(&who) { &ids } else { &[] });
        }
        let mut archive = world.archive();
        World::withhold(&mut archive, &hidden);
        let report = replay(&archive, &world.options(), &|_, _| {}).unwrap();
        assert_eq!(report.verdict(), Verdict::Incomplete, "a word is no proof: {:?}", report.findings);
        let (missing, on_word) = (find(&report, "MRG-003"), find(&report, "MRG-012"));
        assert_eq!((missing.record, on_word.record), (Some(taken_up.id()), Some(unverified.id())));
        let words = match by.len() {
            0 => "recomputed live by nobody".to_owned(),
            1 => "recomputed live by silo-0".to_owned(),
            _ => format!("recomputed live by {}, {}", label(&world, &by, 0), label(&world, &by, 1)),
        };
        for finding in [missing, on_word] {
            let mut wanted = by.clone();
            wanted.sort_unstable();
            assert_eq!(finding.attested_by.as_ref(), Some(&wanted));
            assert!(finding.text.contains(&words), "{}", finding.text);
        }
        assert_eq!(find(&report, "BLB-001").attested_by, None);
        let tally = report.counts.merges;
        assert_eq!((tally.missing, tally.unverified), (1, 1));
        assert_eq!(tally.attested, if by.is_empty() { 0 } else { 2 });
    }
}

/// The label of the n-th of these, by id.
fn label(world: &World, members: &[MemberId], n: usize) -> String {
    let mut members = members.to_vec();
    members.sort_unstable();
    world.chain.current().member(&members[n]).unwrap().label.clone()
}

#[test]
fn only_updates_that_count_of_other_members_attest() {
    let mut world = World::play(3, 2, momentum(), SEED);
    let hidden = world.step(2);
    let taken_up = world.step(2);
    // The author's own word, and that of a branch that does not count.
    attest(&mut world, 2, &[taken_up.id()]);
    let last = world.step(0);
    let mut branch = last.record().clone();
    if let Spec::Update(update) = &mut branch.spec {
        update.checked = vec![taken_up.id()];
    }
    // Of two records in a place an archive has the one of the smaller id first.
    let branch = loop {
        branch.claimed_time.0 += 60;
        let signed = sign(branch.clone(), &fixture::author(world.authors[0].key)).unwrap();
        if signed.id() > last.id() {
            break signed;
        }
    };
    world.keep(&branch);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let report = replay(&archive, &world.options(), &|_, _| {}).unwrap();
    assert_eq!(find(&report, "MRG-003").attested_by, Some(Vec::new()));
    assert_eq!(report.counts.merges.attested, 0);
}

#[test]
fn who_says_that_a_wrong_merge_is_right_is_named_and_nobody_else() {
    let mut world = World::play(3, 2, Policy { momentum: 0, ..fixture::policy() }, SEED);
    let wrong = world.step_with(1, |draft| draft.update().merge = MergeHash([9; 32]));
    let right = world.step(2);
    let liar = attest(&mut world, 0, &[wrong.id(), right.id(), RecordId([7; 32])]);
    let fine = world.published[0][1].checked.id();
    attest(&mut world, 2, &[fine]);
    let report = world.audit();
    assert_eq!(sorted(&report), ["FLT-005", "MRG-001"], "{:?}", report.findings);
    assert_eq!(failed(&report, "FLT-005"), [(world.authors[0].id, liar.id())]);
    assert_eq!(failed(&report, "MRG-001"), [(world.authors[1].id, wrong.id())]);
}

#[test]
fn who_vouches_for_an_update_of_its_own_is_named() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let own = world.published[1][1].checked.id();
    let vain = attest(&mut world, 1, &[own]);
    let report = world.audit();
    assert_eq!(codes(&report), ["FLT-005"], "{:?}", report.findings);
    assert_eq!(failed(&report, "FLT-005"), [(world.authors[1].id, vain.id())]);
}

#[test]
fn what_is_not_here_or_no_update_is_nothing() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let close = world.write(2, &[], Spec::Close(Close::Left), None);
    attest(&mut world, 0, &[RecordId([7; 32]), close.id()]);
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec![]), "{:?}", report.findings);
}

#[test]
fn who_recomputed_from_a_made_up_checkpoint_as_it_was_signed_is_not_blamed() {
    let mut world = World::play(3, 2, momentum(), SEED);
    // The merge of this one is wrong; the next goes on from the state that it signed, as everybody saw who fetched that.
    let made_up = world.step_made_up(2, OFF);
    let next = world.step(2);
    attest(&mut world, 0, &[next.id()]);
    let liar = attest(&mut world, 1, &[made_up.id()]);
    let report = world.audit();
    let of_author: Vec<RecordId> = failed(&report, "MRG-001").into_iter().map(|(_, record)| record).collect();
    assert_eq!(of_author, [made_up.id(), next.id()], "{:?}", report.findings);
    assert_eq!(failed(&report, "FLT-005"), [(world.authors[1].id, liar.id())]);
}

#[test]
fn who_recomputed_from_a_checkpoint_that_the_merge_hash_does_not_cover_is_not_blamed() {
    let mut world = World::play(3, 2, momentum(), SEED);
    // The merge hash of the right state, and the checkpoint of another, from which its author goes on.
    world.step_with(2, |draft| {
        draft.merged.momentum.iter_mut().flatten().for_each(|v| *v += OFF);
        let bytes = draft.merged.checkpoint().unwrap();
        draft.update().state = Some(fixture::body(&bytes));
    });
    let next = world.step(2);
    attest(&mut world, 0, &[next.id()]);
    let report = world.audit();
    assert!(codes(&report).contains(&"RULE-019"), "{:?}", report.findings);
    assert_eq!(failed(&report, "MRG-001"), [(world.authors[2].id, next.id())]);
    assert_eq!(failed(&report, "FLT-005"), []);
}

#[test]
fn who_accuses_a_merge_after_recomputing_it_from_a_made_up_checkpoint_is_not_blamed() {
    let mut world = World::play(3, 2, momentum(), SEED);
    world.step_made_up(2, OFF);
    // The author goes on from the right state, not from the one that it signed.
    let state = world.published[2].last_mut().unwrap().state.as_mut().unwrap();
    state.x.iter_mut().chain(&mut state.v).for_each(|number| *number -= OFF);
    let next = world.step(2);
    let Record { member, incarnation, seq, .. } = *next.record();
    let spec = FaultSpec { accused: member, incarnation, seq, record: next.id(), flaw: Flaw::Merge };
    world.write(0, &[], Spec::Fault(spec), None);
    let report = world.audit();
    assert!(failed(&report, "MRG-001").iter().all(|(_, record)| *record != next.id()), "{:?}", report.findings);
    assert_eq!(failed(&report, "FLT-003"), []);
    assert!(codes(&report).contains(&"FLT-004"), "{:?}", report.findings);
}

fn sorted(report: &Report) -> Vec<&'static str> {
    let mut codes = codes(report);
    codes.sort_unstable();
    codes
}
