//! Archives that do not hold everything: never a pass, never someone's fault.

use chorale_protocol::{
    audit::{Anchor, Archive, MemoryArchive, Options, Severity, Verdict, layout::Name},
    base::{Incarnation, NetworkId},
    feed::{Other, Spec},
    fixture,
    manifest::Policy,
};

use crate::{
    SEED, codes, find,
    world::{World, audit},
};

#[test]
fn without_an_anchor_the_verdict_is_incomplete_unless_that_is_allowed() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let options = Options { anchors: Vec::new(), ..world.options() };
    let report = audit(&world.archive(), &options);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Incomplete, vec!["ANC-001"]));
    let report = audit(&world.archive(), &Options { allow_unanchored: true, ..options });
    assert_eq!(
        (report.verdict(), codes(&report), report.anchors.is_complete()),
        (Verdict::Passed, vec!["ANC-001"], false)
    );
    assert_eq!(report.findings[0].severity, Severity::Warning);
}

#[test]
fn a_record_of_an_unknown_kind_is_said_and_what_stands_behind_it_is_judged() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.write(1, &[], Spec::Other(Other { kind: 9, item: vec![0x81, 0x07] }), None);
    world.rounds(1);
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Incomplete, vec!["REC-001"]), "{:?}", report.findings);
    assert_eq!(find(&report, "REC-001").feed.map(|feed| feed.0), Some(world.authors[1].id));
    assert_eq!((report.counts.merges.ok, report.counts.records.failed), (9, 0));
}

#[test]
fn a_payload_that_its_author_withholds_and_nobody_used_takes_no_pass() {
    let mut world = World::play(3, 3, Policy { momentum: 0, ..fixture::policy() }, SEED);
    let hidden = world.step(1).record().body.unwrap().hash;
    let archive = |world: &World| {
        let mut archive = world.archive();
        assert!(archive.remove(&chorale_protocol::audit::layout::blob_name(hidden)).is_some());
        archive
    };
    let report = audit(&archive(&world), &world.options());
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec!["BLB-006"]), "{:?}", report.findings);
    // Its author alone goes on from it.
    world.step(1);
    let report = audit(&archive(&world), &world.options());
    assert_eq!(
        (report.verdict(), codes(&report)),
        (Verdict::Passed, vec!["BLB-006", "MRG-010"]),
        "{:?}",
        report.findings
    );
    // Others do.
    world.step(2);
    let report = audit(&archive(&world), &world.options());
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert!(codes(&report).contains(&"BLB-001") && codes(&report).contains(&"MRG-003"), "{:?}", report.findings);
}

#[test]
fn pruned_blobs_are_a_warning_where_they_are_allowed() {
    for momentum in [0, 32_768] {
        let policy = Policy { momentum, keep_rounds: 2, checkpoint_every: 3, ..fixture::policy() };
        let world = World::play(3, 9, policy, SEED);
        let mut archive = world.archive();
        for published in world.published.iter().flatten().filter(|published| published.voice.round.0 < 4) {
            archive.remove(&chorale_protocol::audit::layout::blob_name(published.checked.record().body.unwrap().hash));
        }
        let report = audit(&archive, &world.options());
        assert_eq!(report.verdict(), Verdict::Incomplete);
        let report = audit(&archive, &Options { allow_pruned: true, ..world.options() });
        assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
        assert!(codes(&report).iter().all(|code| ["BLB-002", "MRG-011"].contains(code)), "{:?}", codes(&report));
    }
}

#[test]
fn a_start_that_is_not_its_seeds_is_found() {
    let mut policy = fixture::policy();
    policy.adapter.seed += 1;
    let mut world = World::play(3, 1, policy, SEED);
    assert_eq!(world.audit().verdict(), Verdict::Passed);
    let mut genesis = fixture::genesis(3, world.chain.current().policy.clone());
    genesis.policy.adapter.start[0] ^= 1;
    world.chain = chorale_protocol::manifest::Chain::genesis(fixture::signed(genesis, &[0])).unwrap();
    world.builder = chorale_protocol::audit::ArchiveBuilder::new(world.chain.signed());
    world.authors = (0..3).map(fixture::Author::new).collect();
    (world.published, world.records) = (vec![Vec::new(); 3], Vec::new());
    world.rounds(1);
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Failed, vec!["MAN-024"]), "{:?}", report.findings);
}

#[test]
fn nothing_checked_is_never_a_pass() {
    let world = World::new(3, fixture::policy(), SEED);
    let allowed = Options { allow_unanchored: true, ..world.options() };
    let report = audit(&MemoryArchive::default(), &allowed);
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Incomplete, vec!["ARC-003", "NET-002"]));
    // A genesis, and no records.
    let report = audit(&world.archive(), &allowed);
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert!(codes(&report).contains(&"ARC-003"));
}

#[test]
fn a_truncated_archive_is_found_by_its_anchor() {
    let world = World::play(3, 3, fixture::policy(), SEED);
    let full = world.archive();
    let name = Name::Feed(world.authors[2].id, Incarnation(0)).to_string();
    let feed = full.read(&name, u64::MAX).unwrap();
    let last = world.published[2].last().unwrap().checked.bytes().len() + 4;
    let mut cut = full.clone();
    cut.insert(name.clone(), feed.slice(..feed.len() - last));
    let report = audit(&cut, &world.options());
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(find(&report, "ANC-002").record, world.published[2].last().map(|last| last.checked.id()));
    // Whole members can be missing too.
    cut.remove(&name);
    assert_eq!(audit(&cut, &world.options()).verdict(), Verdict::Failed);
}

#[test]
fn another_network_fails() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let report = audit(&world.archive(), &Options { network: NetworkId([7; 32]), ..world.options() });
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(find(&report, "NET-001").severity, Severity::Failure);
    // Records of another network, beside the right genesis.
    let other = World::play(3, 2, Policy { draw: 2, ..fixture::policy() }, SEED);
    let mut mixed = world.archive();
    let name = Name::Feed(world.authors[0].id, Incarnation(0)).to_string();
    mixed.insert(name.clone(), other.archive().read(&name, u64::MAX).unwrap());
    let report = audit(&mixed, &world.options());
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(find(&report, "REC-002").file, name);
}

#[test]
fn merges_go_on_from_a_checkpoint_when_blobs_were_pruned() {
    for (keep_rounds, code) in [(2, "BLB-002"), (0, "BLB-001")] {
        let policy = Policy { checkpoint_every: 4, keep_rounds, ..fixture::policy() };
        let world = World::play(3, 6, policy, SEED);
        let mut archive = world.archive();
        for published in world.published.iter().flatten().filter(|published| published.voice.round.0 < 4) {
            let Spec::Update(update) = &published.checked.record().spec else { panic!() };
            assert!(update.state.is_none());
            archive.remove(&Name::Blob(published.checked.record().body.unwrap().hash).to_string());
        }
        let report = audit(&archive, &world.options());
        assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
        let mut found = codes(&report);
        found.dedup();
        assert!(
            found.iter().all(|found| [code, "MRG-003", "MRG-010", "MRG-012"].contains(found)),
            "{:#?}",
            report.findings
        );
        assert!(found.len() >= 2);
        let merges = report.counts.merges;
        assert!(merges.ok > 0 && merges.missing > 0 && merges.unverified > 0 && merges.failed == 0, "{merges:?}");
        assert_eq!(merges.ok + merges.missing + merges.unverified, 18);
    }
}

#[test]
fn missing_feeds_and_gaps_are_incomplete_and_nobodys_fault() {
    let world = World::play(4, 4, fixture::policy(), SEED);
    let name = Name::Feed(world.authors[3].id, Incarnation(0)).to_string();
    let options =
        Options { anchors: world.heads()[..3].iter().copied().map(Anchor::from).collect(), ..world.options() };
    let mut archive = world.archive();
    let feed = archive.remove(&name).unwrap();
    let report = audit(&archive, &options);
    assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
    assert_eq!(find(&report, "DAG-001").severity, Severity::Incomplete);

    let length = |at: usize| world.published[3][at].checked.bytes().len() + 4;
    let (from, to) = (length(0), length(0) + length(1));
    archive.insert(name.clone(), [&feed[..from], &feed[to..]].concat().into());
    let report = audit(&archive, &options);
    assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
    let gap = find(&report, "LNK-001");
    assert_eq!((gap.file.as_str(), gap.offset, gap.seq.map(|seq| seq.0)), (name.as_str(), Some(from as u64), Some(2)));
    assert_eq!(codes(&report).iter().filter(|code| **code == "LNK-001").count(), 1);
}

#[test]
fn blobs_that_are_wrong_fail_and_what_nobody_names_is_a_warning() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let name = Name::Blob(world.published[0][1].checked.record().body.unwrap().hash).to_string();
    let right = world.archive().read(&name, u64::MAX).unwrap();
    let mut wrong = right.to_vec();
    wrong[5] ^= 1;
    for (bytes, code) in [(wrong, "BLB-003"), (right[1..].to_vec(), "BLB-004"), (Vec::new(), "BLB-004")] {
        let mut archive = world.archive();
        archive.insert(name.clone(), bytes.into());
        let report = audit(&archive, &world.options());
        assert_eq!(report.verdict(), Verdict::Failed);
        assert_eq!(find(&report, code).feed.map(|feed| feed.0), Some(world.authors[0].id));
    }
    let mut archive = world.archive();
    let unnamed = Name::Blob(chorale_protocol::code::blob_hash(b"x")).to_string();
    archive.insert(unnamed.clone(), b"x".to_vec().into());
    archive.insert("etc/passwd".into(), b"x".to_vec().into());
    let report = audit(&archive, &world.options());
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec!["ARC-002", "ARC-001"]));
    assert_eq!(find(&report, "ARC-002").file, unnamed);
}

#[test]
fn a_name_that_is_not_of_the_layout_in_one_of_its_folders_is_incomplete() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    for name in ["manifests/1", "feeds/somebody.0", "blobs/../../etc/passwd", "evidence/none"] {
        let mut archive = world.archive();
        archive.insert(name.into(), b"x".to_vec().into());
        let report = audit(&archive, &world.options());
        assert_eq!((report.verdict(), codes(&report)), (Verdict::Incomplete, vec!["ARC-001"]), "{name}");
    }
}

#[test]
fn without_recomputation_the_verdict_is_incomplete() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let report = audit(&world.archive(), &Options { recompute: false, ..world.options() });
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Incomplete, vec!["MRG-007"]));
    assert_eq!(report.counts.merges.ok, 0);
}

#[test]
fn manifest_versions_that_are_missing_are_incomplete() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    for draw in [2, 1] {
        world.amend(|manifest| manifest.policy.draw = draw);
        world.rounds(1);
    }
    let mut archive = world.archive();
    archive.remove(&Name::Manifest(1).to_string());
    let report = audit(&archive, &Options { anchors: vec![world.records[0].id().into()], ..world.options() });
    assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
    assert!(codes(&report).contains(&"ARC-005") && codes(&report).contains(&"REC-003"));
}
