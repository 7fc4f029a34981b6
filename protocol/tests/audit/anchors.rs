//! What anchors show: how far each feed reaches, and which manifest version there must be.

use chorale_protocol::{
    audit::{Anchor, MemoryArchive, Options, Report, Severity, Verdict, layout::Name},
    base::{Incarnation, ManifestHash, MemberId, RecordId},
    fixture,
    manifest::{Cut, Policy},
};

use crate::{
    SEED, codes, find,
    ledger::Ledger,
    world::{World, audit},
};

fn with(world: &World, archive: &MemoryArchive, anchors: &[Anchor]) -> Report {
    audit(archive, &Options { anchors: anchors.to_vec(), ..world.options() })
}

fn records(ids: &[RecordId]) -> Vec<Anchor> {
    ids.iter().copied().map(Anchor::Record).collect()
}

/// How many feeds there are, and of how many the end is known.
fn reach(report: &Report) -> (u64, u64) {
    (report.anchors.reached, report.anchors.feeds)
}

#[test]
fn an_anchor_of_one_member_says_nothing_of_the_feeds_of_the_others() {
    // A log of what was there, and then the newest records of a member whom nobody merged: both are left out of the archive.
    let mut world = World::play(4, 3, fixture::policy(), SEED);
    let heads = world.heads();
    world.step(3);
    world.step(3);
    let mut ledger = Ledger::of(0, &world);
    ledger.publish(&world, &[(1, 1_700_000_050)]);
    ledger.put(&mut world);
    let mut archive = world.archive();
    let logs: Vec<String> =
        archive.iter().map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("logs/")).collect();
    logs.iter().for_each(|name| drop(archive.remove(name)));
    let name = Name::Feed(world.authors[3].id, Incarnation(0)).to_string();
    let whole = archive.remove(&name).unwrap();
    let cut: usize = world.records.iter().rev().take(2).map(|record| record.bytes().len() + 4).sum();
    archive.insert(name, whole.slice(..whole.len() - cut));

    let report = with(&world, &archive, &records(&heads[..1]));
    assert_eq!((report.verdict(), reach(&report)), (Verdict::Incomplete, (1, 4)), "{:#?}", report.findings);
    let finding = find(&report, "ANC-004");
    assert_eq!(finding.severity, Severity::Incomplete);
    assert!(finding.text.starts_with("anchors reach the end of 1 of 4 feeds; not of \"silo-"), "{}", finding.text);
    let covered: Vec<u64> = report.members.iter().map(|member| member.reached).collect();
    assert_eq!((covered.iter().sum::<u64>(), report.members.len()), (1, 4));
    let options = Options { anchors: records(&heads[..1]), allow_unanchored: true, ..world.options() };
    let allowed = audit(&archive, &options);
    assert_eq!(find(&allowed, "ANC-004").severity, Severity::Warning);
    assert!(!allowed.anchors.is_complete());
}

#[test]
fn anchors_of_all_newest_records_are_complete_and_an_older_one_is_not() {
    let world = World::play(3, 3, fixture::policy(), SEED);
    let archive = world.archive();
    let report = with(&world, &archive, &records(&world.heads()));
    assert_eq!((report.verdict(), reach(&report)), (Verdict::Passed, (3, 3)), "{:#?}", report.findings);
    assert!(
        report.anchors.is_complete() && report.members.iter().all(|member| (member.reached, member.feeds) == (1, 1))
    );
    let mut older = world.heads();
    older[1] = world.published[1][1].checked.id();
    let report = with(&world, &archive, &records(&older));
    assert_eq!((codes(&report), reach(&report)), (vec!["ANC-004"], (2, 3)));
    older[1] = RecordId([7; 32]);
    let report = with(&world, &archive, &records(&older));
    assert_eq!((report.verdict(), report.anchors.missing), (Verdict::Failed, 1));
    assert_eq!(codes(&report), ["ANC-002", "ANC-004"]);
}

#[test]
fn a_member_without_a_feed_is_listed_and_its_feed_counts_as_missing_unless_it_is_known_to_have_none() {
    // Member 3 publishes and nobody merges it: without its feed all that is here hangs together.
    let mut world = World::play(4, 0, fixture::policy(), SEED);
    for _ in 0..2 {
        (0..3).for_each(|who| drop(world.step(who)));
    }
    let silent = world.authors[3].id;
    let archive = world.archive();
    let report = with(&world, &archive, &records(&world.heads()));
    assert_eq!((report.verdict(), reach(&report)), (Verdict::Incomplete, (3, 4)), "{:#?}", report.findings);
    assert_eq!((report.counts.feeds.ok, report.counts.feeds.missing), (3, 1));
    let listed = report.members.iter().find(|member| member.member == silent).unwrap();
    assert_eq!((listed.label.as_str(), listed.records, listed.lacks_feed), ("silo-3", 0, true));
    assert!(find(&report, "ANC-004").text.contains("no feed of it is here"));

    let known = [records(&world.heads()), vec![Anchor::Silent(silent)]].concat();
    let report = with(&world, &archive, &known);
    assert_eq!((report.verdict(), codes(&report), reach(&report)), (Verdict::Passed, vec![], (4, 4)));
    assert_eq!(report.counts.feeds.missing, 0);
    // It was silent when it was asked; a record here that it wrote later may not be its last.
    let mut later = World::play(4, 0, fixture::policy(), SEED);
    (0..4).for_each(|who| drop(later.step(who)));
    let known = [records(&later.heads()[..3]), vec![Anchor::Silent(silent)]].concat();
    assert_eq!(codes(&with(&later, &later.archive(), &known)), ["ANC-004"]);
}

#[test]
fn members_of_any_version_are_listed_though_the_newest_does_not_name_them() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    let gone = world.authors[2].id;
    world.amend(|manifest| {
        manifest.members.retain(|member| member.id != gone);
        manifest.cuts.push(Cut { member: gone, incarnation: Incarnation(0), last: None });
    });
    let mut archive = world.archive();
    archive.remove(&Name::Feed(gone, Incarnation(0)).to_string());
    let report = with(&world, &archive, &records(&world.heads()[..2]));
    let ids: Vec<MemberId> = report.members.iter().map(|member| member.member).collect();
    assert!(ids.contains(&gone) && ids.is_sorted(), "{ids:?}");
}

#[test]
fn a_cut_says_where_a_feed_ends_so_that_it_needs_no_anchor() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let (member, stands) = (world.authors[2].id, world.published[2][1].checked.clone());
    let last = Some((stands.record().seq, stands.id()));
    world.amend(|manifest| manifest.cuts = vec![Cut { member, incarnation: Incarnation(0), last }]);
    let known = records(&world.heads()[..2]);
    let report = with(&world, &world.archive(), &known);
    assert_eq!((report.verdict(), reach(&report)), (Verdict::Passed, (3, 3)), "{:#?}", report.findings);
    // Without the record that stands last it could end anywhere.
    let name = Name::Feed(member, Incarnation(0)).to_string();
    let mut archive = world.archive();
    let whole = archive.remove(&name).unwrap();
    archive.insert(name, whole.slice(..world.published[2][0].checked.bytes().len() + 4));
    assert_eq!(reach(&with(&world, &archive, &known)), (2, 3));
}

#[test]
fn a_later_feed_names_the_end_of_an_earlier_one() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.commit(1, Some(70));
    world.rotate(1, 70);
    world.step(1);
    let report = with(&world, &world.archive(), &records(&world.heads()));
    assert_eq!((reach(&report), report.members.iter().map(|member| member.feeds).max()), ((4, 4), Some(2)));
    assert!(report.anchors.is_complete(), "{:#?}", report.findings);
}

#[test]
fn a_newest_manifest_that_was_withheld_fails_its_anchor() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy = Policy { draw: 2, ..manifest.policy.clone() });
    let newest = world.chain.at(1).unwrap().1;
    let known = [records(&world.heads()), vec![Anchor::Manifest(newest)]].concat();
    let mut archive = world.archive();
    let report = with(&world, &archive, &known);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec![]));
    archive.remove(&Name::Manifest(1).to_string()).unwrap();
    assert_eq!(with(&world, &archive, &records(&world.heads())).verdict(), Verdict::Passed, "nothing else shows it");
    let report = with(&world, &archive, &known);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Failed, vec!["ANC-003"]));
    let stranger = [records(&world.heads()), vec![Anchor::Manifest(ManifestHash([7; 32]))]].concat();
    assert_eq!(codes(&with(&world, &archive, &stranger)), ["ANC-003"]);
}
