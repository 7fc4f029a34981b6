//! Merges that miss payloads, held against what reach leaves open.

use chorale_protocol::{
    adapter::encode_q32,
    audit::{Finding, MemoryArchive, Options, Report, Severity, Verdict, layout::blob_name},
    base::RecordId,
    feed::{Checked, Spec},
    fixture,
    manifest::Policy,
};

use crate::{
    SEED, blames, codes,
    world::{World, audit},
};

/// 1 in Q.32.
const ONE: i64 = 1 << 32;

fn policy(momentum: u64) -> Policy {
    Policy { momentum, checkpoint_every: u64::from(momentum > 0), ..fixture::policy() }
}

/// Without the payloads of these.
fn without(world: &World, hidden: &[Checked]) -> MemoryArchive {
    let mut archive = world.archive();
    hidden.iter().for_each(|record| World::withhold(&mut archive, record));
    archive
}

/// What is said of a merge that was not recomputed.
fn unchecked(report: &Report, record: RecordId) -> &Finding {
    let found = report.findings.iter().find(|finding| finding.record == Some(record) && finding.bounded.is_some());
    found.unwrap_or_else(|| panic!("nothing of {record} in {:#?}", report.findings))
}

/// What somebody publishes that lies by `far` in one value from member `of`'s newest publication.
fn apart(world: &World, of: usize, place: usize, far: i64) -> bytes::Bytes {
    let mut values = world.published[of].last().unwrap().voice.payload.to_q32(&world.layout);
    values[place] += far;
    encode_q32(&world.layout, world.chain.current().policy.codec, &values).unwrap()
}

/// Two rounds of three members; the first one's next payload is kept back; the last one merges it.
fn hidden(momentum: u64) -> (World, Checked) {
    let mut world = World::play(3, 2, policy(momentum), SEED);
    let hidden = world.step(0);
    (world, hidden)
}

#[test]
fn who_merged_honestly_what_is_missing_and_lay_at_the_edge_of_reach_is_not_blamed() {
    for momentum in [0, 32_768] {
        for missing in 1..=3 {
            let mut world = World::play(4, 2, policy(momentum), SEED);
            // As far as reach goes, but for what the encoding rounds; farther than their own norm bound.
            let far = 4 * ONE - (1 << 21);
            let hidden: Vec<Checked> = (0..missing)
                .map(|who| {
                    let payload = apart(&world, 3, who, far);
                    world.step_with(who, |draft| draft.payload = payload)
                })
                .collect();
            let honest = world.step(3);
            let Spec::Update(update) = &honest.record().spec else { panic!() };
            assert!(update.skipped.is_empty(), "all are within reach");
            let report = audit(&without(&world, &hidden), &world.options());
            assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
            let finding = unchecked(&report, honest.id());
            assert_eq!(finding.bounded, Some(true), "{momentum} {missing}: {finding:?}");
            assert!(finding.text.contains("keeps the bound"), "{}", finding.text);
        }
    }
}

#[test]
fn a_checkpoint_that_no_merge_within_reach_gives_fails() {
    // By how much X and v are off. A shift of v by one takes X along by one and a half, with a momentum of a half.
    for (by, kept) in
        [((2, 0), false), ((ONE / 8, ONE / 8), false), ((3 * ONE / 16, ONE / 8), true), ((3 * ONE / 4, ONE / 2), false)]
    {
        let (mut world, hidden) = hidden(32_768);
        let forged = world.step_shifted(2, by, |_| {});
        // Its payload is here; its merge misses its author's own last one.
        world.step(0);
        let next = world.step(2);
        world.step(2);
        let report = audit(&without(&world, &[hidden]), &world.options());
        if kept {
            assert_eq!(report.counts.merges.failed, 0, "{:#?}", report.findings);
            assert_eq!((unchecked(&report, forged.id()).bounded, report.counts.merges.unverified), (Some(true), 2));
            let later = unchecked(&report, next.id());
            assert!(later.code == "MRG-012" || later.code == "MRG-010", "it stays its author's word: {later:?}");
            assert_eq!(later.bounded, Some(false));
        } else {
            blames(&report, "MRG-013", world.authors[2].id);
            let failed = report.findings.iter().find(|finding| finding.code == "MRG-013").unwrap();
            assert_eq!((failed.record, failed.severity), (Some(forged.id()), Severity::Failure));
            assert_eq!(unchecked(&report, forged.id()).bounded, Some(false));
            let merges = report.counts.merges;
            assert_eq!((merges.failed, merges.missing, merges.unverified), (1, 2, 1), "nothing goes on from it");
        }
    }
}

#[test]
fn a_payload_without_momentum_that_lies_beyond_norm_bound_and_reach_fails() {
    // The norm bound is 1; a third of reach, which is 4, is open.
    for (far, kept) in [(2 * ONE, true), (3 * ONE, false)] {
        let (mut world, hidden) = hidden(0);
        let layout = world.layout.clone();
        world.step_with(2, |draft| {
            draft.merged.values[0] += far;
            draft.payload = encode_q32(&layout, fixture::policy().codec, &draft.merged.values).unwrap();
        });
        let of = world.published[2].last().unwrap().checked.id();
        let report = audit(&without(&world, &[hidden]), &world.options());
        if kept {
            assert_eq!(unchecked(&report, of).bounded, Some(true), "{:#?}", report.findings);
            assert_eq!(report.counts.merges.failed, 0);
        } else {
            blames(&report, "MRG-013", world.authors[2].id);
        }
    }
}

#[test]
fn without_the_authors_own_last_payload_nothing_is_bounded_and_its_state_must_follow_from_the_one_before() {
    for (by, fails) in [((40 * ONE, 40 * ONE), true), ((60 * ONE, 40 * ONE), false)] {
        let mut world = World::play(3, 2, Policy { reach: 1_000 << 16, ..policy(32_768) }, SEED);
        let own = world.step(2);
        let forged = world.step_shifted(2, by, |_| {});
        let report = audit(&without(&world, &[own]), &world.options());
        assert_eq!(codes(&report).contains(&"MRG-013"), fails, "{:#?}", report.findings);
        assert_eq!(unchecked(&report, forged.id()).bounded, Some(false));
    }
}

#[test]
fn what_follows_from_an_unverified_state_is_not_judged() {
    let (mut world, hidden) = hidden(32_768);
    world.step(2);
    let also = world.step(1);
    let behind = world.step_shifted(2, (2, 0), |_| {});
    let report = audit(&without(&world, &[hidden, also]), &world.options());
    assert!(!codes(&report).contains(&"MRG-013"), "{:#?}", report.findings);
    assert_eq!(report.counts.merges.failed, 0);
    assert!(report.counts.merges.missing >= 2, "{:?}", (behind.id(), report.counts.merges));
}

#[test]
fn a_merge_of_pruned_payloads_says_that_it_keeps_the_bound() {
    let world = World::play(3, 7, Policy { keep_rounds: 2, ..policy(0) }, SEED);
    let mut archive = world.archive();
    let second = &world.published[0][1].checked;
    archive.remove(&blob_name(second.record().body.unwrap().hash)).unwrap();
    let report = audit(&archive, &Options { allow_pruned: true, ..world.options() });
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    let of = |who: usize| {
        let mut findings = report.findings.iter().filter(|finding| finding.code == "MRG-011");
        findings.find(|finding| finding.feed.map(|feed| feed.0) == Some(world.authors[who].id)).unwrap().bounded
    };
    assert_eq!(of(0), Some(false), "its own payload is gone");
    assert!(of(1) == Some(true) || of(2) == Some(true), "{:#?}", report.findings);
}
