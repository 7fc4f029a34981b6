//! Whom an update had to merge, and whom it may call absent.

use chorale_protocol::{
    audit::Verdict,
    draw::{self, Seed},
    feed::{Release, Skip, SkipReason, Spec},
    fixture,
    manifest::Policy,
};

use crate::{
    SEED, blames, codes,
    references::leave_out,
    world::{World, audit},
};

#[test]
fn a_draw_follows_from_the_authors_last_update_and_not_from_records_of_its_own_choice() {
    let policy = Policy { draw: 2, ..fixture::policy() };
    let mut world = World::play(8, 2, policy, SEED);
    let before = world.seed(1);
    let own = world.published[1].last().unwrap().checked.clone();
    let Spec::Update(update) = &own.record().spec else { panic!("no update") };
    assert_eq!((before.round, before.merged.len()), (update.round, 2), "what it merged of others");
    // However many cheap records come between.
    for one in world.published[1].clone() {
        let (round, label) = (one.voice.round, "v1".to_owned());
        world.write(1, &[&one.checked], Spec::Release(Release { round, label }), None);
    }
    assert_eq!(world.seed(1), before);
    world.rounds(2);
    assert_eq!(world.audit().verdict(), Verdict::Passed);
    // Another round is another draw.
    let (id, pool) = (world.authors[1].id, chorale_protocol::admit::drawable(world.chain.current()));
    let right = world.seed(1);
    let wrong = Seed { round: right.round.next(), ..right.clone() };
    let order = |seed: &Seed| draw::order(&world.chain.network(), &id, Default::default(), seed, &pool);
    assert_ne!(order(&right), order(&wrong));
}

#[test]
fn where_a_parent_is_missing_the_draw_is_checked_all_the_same() {
    let policy = Policy { draw: 2, ..fixture::policy() };
    for skips in [0_usize, 1] {
        let mut world = World::play(6, 3, policy.clone(), SEED);
        let me = world.authors[1].id;
        let own = world.place(&me);
        world.step_with(1, |draft| {
            let last = draft.record.parents.iter_mut().rfind(|parent| parent.member != own).unwrap();
            last.record.0 = [0xee; 32];
            let member = last.member;
            if skips > 0 {
                // Somebody in the place of a drawn member.
                let others = (0..6).find(|place| draft.record.parents.iter().all(|one| one.member != *place)).unwrap();
                let at = draft.record.parents.iter().position(|one| one.member == member).unwrap();
                draft.record.parents[at].member = others;
                draft.record.parents.sort_unstable();
            }
        });
        let report = world.audit();
        assert!(codes(&report).contains(&"DAG-001"), "{:#?}", report.findings);
        if skips > 0 {
            blames(&report, "DRW-001", me);
        } else {
            assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
        }
    }
}

#[test]
fn behind_a_gap_in_its_feed_an_updates_draw_is_not_known_and_nobody_is_blamed() {
    let policy = Policy { draw: 2, momentum: 0, ..fixture::policy() };
    let world = World::play(6, 5, policy, SEED);
    let archive = |without: usize| {
        let mut builder = chorale_protocol::audit::ArchiveBuilder::new(world.chain.signed());
        let gone = world.published[3][without].checked.id();
        for record in world.records.iter().filter(|record| record.id() != gone) {
            builder.record(record);
        }
        for published in world.published.iter().flatten() {
            builder.blob(published.voice.payload.bytes().clone());
        }
        builder.build()
    };
    for without in 0..4 {
        let report = audit(&archive(without), &world.options());
        assert_eq!(report.verdict(), Verdict::Incomplete, "without {without}: {:#?}", report.findings);
    }
}

#[test]
fn nobody_is_absent_whose_update_the_author_builds_on() {
    let claim = |own: bool| {
        let mut world = World::play(4, 3, fixture::policy(), SEED);
        let from = own.then(|| world.published[1].last().cloned().unwrap());
        world.step_from(1, from, |draft| {
            let last = draft.others.last().unwrap().record;
            let at = draft.record.parents.iter().position(|parent| parent.record == last).unwrap();
            let member = draft.record.parents[at].member;
            leave_out(draft, at, Skip { member, reason: SkipReason::Absent, record: None });
        });
        world
    };
    // It merged that one before, and so did those whom it merges now.
    for own in [true, false] {
        let world = claim(own);
        blames(&world.audit(), "DRW-004", world.authors[1].id);
    }
}

#[test]
fn who_published_nothing_yet_or_too_long_ago_may_be_called_absent() {
    let ages = vec![65_536, 46_341];
    let mut world = World::new(4, Policy { ages, ..fixture::policy() }, SEED);
    // One publishes in the first round alone.
    for who in 0..4 {
        world.step(who);
    }
    for _ in 0..4 {
        for who in 0..3 {
            world.step_with(who, |draft| {
                for skip in &mut draft.update().skipped {
                    (skip.reason, skip.record) = (SkipReason::Absent, None);
                }
            });
        }
    }
    let report = world.audit();
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
}
