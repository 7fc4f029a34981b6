//! Keys that change hands, keys that were stolen, members that leave, governors that vote twice.

use bytes::Bytes;
use chorale_protocol::{
    audit::{Forks, Report, Severity, Survey, Verdict},
    base::{Incarnation, Round, Seq},
    feed::{Checked, Close, Spec},
    fixture::{self, Author},
    manifest::{Chain, Cut, Manifest},
};

use crate::{
    SEED, blames, codes, find,
    world::{World, audit},
};

/// A record by whoever has the key that the author's pen still writes with.
fn signed(pen: &mut Author, chain: &Chain) -> Checked {
    let record = pen.draft(chain, &[], Spec::Close(Close::Left));
    pen.write(record)
}

/// A network whose member 2 signs with another key after three rounds and goes on; and the pen and chain of before.
fn rotated() -> (World, Author, Chain) {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let (pen, before) = (world.authors[2].clone(), world.chain.clone());
    world.rotate(2, 70);
    world.rounds(2);
    (world, pen, before)
}

#[test]
fn a_rotation_to_the_key_committed_to_passes_and_a_re_binding_is_said() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.commit(0, Some(70));
    world.rotate(0, 70);
    world.rounds(2);
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec!["INC-001", "KEY-002"]));
    world.commit(0, Some(71));
    world.rotate(0, 72);
    world.rounds(1);
    world.rotate(1, 73);
    world.rounds(2);
    let report = world.audit();
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    let rebound: Vec<_> = report.findings.iter().filter(|finding| finding.code == "KEY-001").collect();
    assert_eq!(
        rebound.iter().map(|finding| &finding.file[..]).collect::<Vec<_>>(),
        ["manifests/000004", "manifests/000005"]
    );
    assert!(rebound.iter().all(|finding| finding.severity == Severity::Warning));
    assert!(rebound[1].text.contains("committed to none"), "{rebound:?}");
}

#[test]
fn what_a_thief_signs_behind_the_handover_is_void_and_blames_nobody() {
    // At the next place of the old feed, and in a feed of its own: the one that the new key opened, or another.
    for incarnation in 0..3 {
        let (mut world, mut thief, before) = rotated();
        thief.incarnation = Incarnation(incarnation);
        world.builder.record(&signed(&mut thief, &before));
        let report = world.audit();
        assert_eq!(report.verdict(), Verdict::Passed, "{incarnation}: {:#?}", report.findings);
        assert!(find(&report, "CUT-001").text.contains("by the handover"), "{:#?}", report.findings);
        assert_eq!(codes(&report).contains(&"FORK-002"), incarnation == 1, "{:#?}", report.findings);
        assert!(report.members.iter().all(|member| !member.equivocated));
    }
}

#[test]
fn a_history_of_the_old_key_beside_the_one_handed_over_is_settled() {
    let (mut world, _, _) = rotated();
    let twin = {
        let mut record = world.published[2][1].checked.record().clone();
        record.claimed_time.0 += 60;
        chorale_protocol::feed::sign(record, &fixture::author(2)).unwrap()
    };
    world.keep(&twin);
    let report = world.audit();
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    assert_eq!(find(&report, "FORK-002").seq, Some(Seq(1)));
    assert!(report.members.iter().all(|member| member.equivocated == (member.member == world.authors[2].id)));
    let archive = world.archive();
    assert!(!Forks::of(&Survey::open(&archive, None).unwrap()).unwrap().unsettled());
}

#[test]
fn two_histories_under_the_new_key_are_a_failure_whatever_a_thief_adds() {
    let (mut world, mut thief, before) = rotated();
    let honest = world.published[2].last().unwrap().checked.clone();
    world.keep(&world.fork(2, &honest));
    thief.incarnation = Incarnation(1);
    world.builder.record(&signed(&mut thief, &before));
    let report = world.audit();
    blames(&report, "FORK-001", world.authors[2].id);
    assert_eq!(find(&report, "FORK-001").seq, Some(honest.record().seq));
}

#[test]
fn the_new_key_writes_in_no_feed_of_the_old_one() {
    let (mut world, mut pen, _) = rotated();
    pen.key = 70;
    let record = signed(&mut pen, &world.chain);
    world.builder.record(&record);
    blames(&world.audit(), "REC-029", world.authors[2].id);
}

#[test]
fn a_member_that_leaves_without_a_cut_ends_the_chain() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let mut next = fixture::next(&world.chain);
    let gone = world.authors[2].id;
    next.members.retain(|member| member.id != gone);
    let version = |manifest: &Manifest| vec![world.chain.signed().remove(0), fixture::signed(manifest.clone(), &[0])];
    world.builder.manifests(version(&next));
    assert_eq!(find(&world.audit(), "MAN-022").file, "manifests/000001");
    next.cuts = vec![Cut { member: gone, incarnation: Incarnation(1), last: None }];
    world.builder.manifests(version(&next));
    assert_eq!(world.audit().verdict(), Verdict::Passed);
}

/// A network whose governor voted for two versions 1; the one that is not in force.
fn voted_twice() -> (World, Bytes) {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let mut other = fixture::next(&world.chain);
    other.policy.draw = 1;
    world.amend(|manifest| manifest.policy.draw = 2);
    (world, fixture::signed(other, &[0]))
}

fn double_votes(report: &Report) -> Vec<&'static str> {
    codes(report).into_iter().filter(|code| code.starts_with("GOV-") || code.starts_with("EVD-")).collect()
}

#[test]
fn a_governor_that_voted_twice_is_named_and_no_member_blamed_until_it_governs_no_more() {
    let (mut world, other) = voted_twice();
    let hash = world.builder.conflict(other);
    let report = world.audit();
    assert_eq!((report.verdict(), double_votes(&report)), (Verdict::Failed, vec!["GOV-001"]));
    let finding = find(&report, "GOV-001");
    assert_eq!((&finding.file, finding.feed), (&format!("conflicts/{hash}"), None));
    assert!(finding.text.contains(&fixture::governor(0).public().to_string()), "{}", finding.text);
    let archive = world.archive();
    assert!(Forks::of(&Survey::open(&archive, None).unwrap()).unwrap().unsettled());

    let mut next = fixture::next(&world.chain);
    next.governors = vec![fixture::governor(1).public()];
    world.chain.extend(fixture::signed(next, &[0, 1])).unwrap();
    world.builder.manifests(world.chain.signed());
    let report = world.audit();
    assert_eq!((report.verdict(), double_votes(&report)), (Verdict::Passed, vec!["GOV-003"]));
}

#[test]
fn a_conflict_that_shows_no_double_vote_accuses_nobody() {
    let (world, other) = voted_twice();
    let stranger = {
        let mut manifest = fixture::next(&Chain::genesis(world.chain.signed().remove(0)).unwrap());
        manifest.policy.draw = 1;
        fixture::signed(manifest, &[1])
    };
    let later = fixture::signed(Manifest { version: 2, ..fixture::next(&world.chain) }, &[0]);
    let of_other = fixture::signed(fixture::genesis(2, fixture::policy()), &[0]);
    let held = world.chain.signed();
    let mut unsigned = other.to_vec();
    *unsigned.last_mut().unwrap() ^= 1;
    for (what, bytes) in [
        ("by nobody who voted for the one in force", stranger),
        ("of a version that is not here", later),
        ("of another network", of_other),
        ("the genesis", held[0].clone()),
        ("the version in force", held[1].clone()),
        ("not signed", unsigned.into()),
        ("nothing", Bytes::new()),
    ] {
        let mut builder = world.builder.clone();
        builder.conflict(bytes);
        let report = audit(&builder.build(), &world.options());
        assert_eq!((report.verdict(), double_votes(&report)), (Verdict::Failed, vec!["GOV-002"]), "{what}");
    }
    let mut archive = world.archive();
    archive.insert(format!("conflicts/{}", "00".repeat(32)), other);
    assert_eq!(double_votes(&audit(&archive, &world.options())), ["EVD-002"]);
}

#[test]
fn who_builds_on_a_void_record_that_breaks_a_rule_has_built_on_nothing() {
    for (round, lacking) in [(None, false), (Some(Round(100_000)), true)] {
        let mut world = World::play(3, 2, fixture::policy(), SEED);
        let last = world.published[2].last().unwrap().checked.clone();
        world.step_with(2, |draft| {
            if let Some(round) = round {
                draft.update().round = round;
            }
        });
        world.step(0);
        let cut = Cut {
            member: world.authors[2].id,
            incarnation: Incarnation(0),
            last: Some((last.record().seq, last.id())),
        };
        world.amend(|manifest| manifest.cuts = vec![cut]);
        let report = world.audit();
        assert_eq!(codes(&report).contains(&"DAG-001"), lacking, "{:#?}", report.findings);
        assert_eq!(report.verdict() == Verdict::Passed, !lacking, "{:#?}", report.findings);
    }
}
