//! Momentum states that nobody but their author vouches for.

use chorale_protocol::{
    audit::{Severity, Tally, Verdict},
    base::Incarnation,
    feed::Checked,
    fixture,
    manifest::Policy,
};

use crate::{
    SEED, blames, codes, find,
    world::{World, audit},
};

/// 40 in Q.32: far from whatever these networks train.
const OFF: i64 = 40 << 32;
/// How far X and v are off if v is by so much and X follows from it, with a momentum of a half.
const FOLLOWS: (i64, i64) = (OFF + OFF / 2, OFF);

/// Three members play two rounds; then the last one publishes something that will be withheld.
fn withheld() -> (World, Checked) {
    let mut world = World::play(3, 2, Policy { checkpoint_every: 1, reach: 1_000 << 16, ..fixture::policy() }, SEED);
    let hidden = world.step(2);
    (world, hidden)
}

fn merges(ok: u64, failed: u64, missing: u64, unverified: u64) -> Tally {
    Tally { ok, failed, missing, unverified, attested: 0 }
}

#[test]
fn merges_on_a_made_up_state_behind_a_withheld_payload_do_not_count_as_ok() {
    let (mut world, hidden) = withheld();
    let forged = world.step_shifted(2, FOLLOWS, |_| {});
    world.rounds(2);
    let far = world.published[2][4].state.as_ref().unwrap().x[0] >> 32;
    assert!(far.abs() > 2, "what follows is off, too: {far}");
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let report = audit(&archive, &world.options());
    assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
    // On the newest of all nobody else has built yet.
    assert_eq!(codes(&report), ["BLB-001", "MRG-003", "MRG-012", "MRG-010"]);
    assert_eq!(report.counts.merges, merges(3 * 2 + 1 + 2 * 2, 0, 1, 2));
    let of = |who: usize| report.members.iter().find(|one| one.member == world.authors[who].id).unwrap().merges;
    assert_eq!([of(0), of(1), of(2)], [merges(4, 0, 0, 0), merges(4, 0, 0, 0), merges(3, 0, 1, 2)]);
    let finding = find(&report, "MRG-012");
    assert_eq!(finding.severity, Severity::Incomplete);
    let seq = forged.record().seq;
    assert_eq!((finding.feed.unwrap().0, finding.seq), (world.authors[2].id, Some(seq.next())));
    assert!(finding.text.contains(&format!("since seq {seq}")), "{}", finding.text);
}

#[test]
fn what_nobody_else_builds_on_is_said_and_takes_no_pass() {
    let (mut world, hidden) = withheld();
    world.step_shifted(2, FOLLOWS, |_| {});
    world.step(2);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let report = audit(&archive, &world.options());
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec!["BLB-006", "MRG-010"]));
    assert_eq!(report.counts.merges, merges(7, 0, 1, 1));
}

#[test]
fn an_honest_state_behind_a_withheld_payload_is_as_unverified_as_any() {
    let (mut world, hidden) = withheld();
    world.rounds(3);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let report = audit(&archive, &world.options());
    let merges = report.counts.merges;
    assert_eq!((report.verdict(), merges.failed), (Verdict::Incomplete, 0), "{:#?}", report.findings);
    assert!(merges.missing > 0 && merges.unverified > 0 && merges.ok > 0, "{merges:?}");
    assert_eq!(merges.ok + merges.missing + merges.unverified, 16);
}

#[test]
fn a_state_that_the_merge_hash_does_not_cover_fails_and_nothing_goes_on_from_it() {
    for withhold in [false, true] {
        let (mut world, hidden) = withheld();
        // The merge hash of the right state, and the checkpoint of another: seen with and without the payload.
        world.step_with(2, |draft| {
            draft.merged.momentum.iter_mut().flatten().for_each(|v| *v += OFF);
            let bytes = draft.merged.checkpoint().unwrap();
            draft.update().state = Some(fixture::body(&bytes));
        });
        world.step(2);
        let mut archive = world.archive();
        if withhold {
            World::withhold(&mut archive, &hidden);
        }
        let report = audit(&archive, &world.options());
        blames(&report, "RULE-019", world.authors[2].id);
        let merges = report.counts.merges;
        assert_eq!(merges.unverified, 0, "{merges:?}");
        assert_eq!(merges.missing, if withhold { 2 } else { 0 });
    }
}

#[test]
fn what_was_published_far_from_the_state_that_its_author_signed_fails() {
    let (mut world, hidden) = withheld();
    let honest = world.published[2][1].voice.payload.bytes().clone();
    let forged = world.step_made_up_with(2, OFF, |draft| draft.payload = honest);
    world.step(2);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let report = audit(&archive, &world.options());
    blames(&report, "MRG-004", world.authors[2].id);
    assert_eq!(find(&report, "MRG-004").record, Some(forged.id()));
    assert_eq!(report.counts.merges, merges(7, 1, 1, 0), "nothing goes on from it");
}

#[test]
fn a_member_that_starts_afresh_is_verified_again() {
    let (mut world, hidden) = withheld();
    world.step_shifted(2, FOLLOWS, |_| {});
    world.step(2);
    world.authors[2].incarnation = Incarnation(1);
    world.step_from(2, None, |_| {});
    world.step(2);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let report = audit(&archive, &world.options());
    assert_eq!(report.counts.merges, merges(7 + 2, 0, 1, 1), "{:#?}", report.findings);
}
