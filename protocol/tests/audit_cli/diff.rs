//! `diff`: what two archives of one network do not share, and split views that become evidence.

use std::fs;

use chorale_protocol::{
    audit::{ArchiveBuilder, MemoryArchive},
    feed::Checked,
    fixture::{self, next, signed},
    manifest::Chain,
};
use serde_json::Value;

use crate::{SEED, Stage, run, text, world::World, write_folder};

/// An archive of some of a world's records, and all of its manifests.
fn some(world: &World, more: &[Checked], keep: impl Fn(&Checked) -> bool) -> MemoryArchive {
    let mut builder = ArchiveBuilder::new(world.chain.signed());
    for record in world.records.iter().filter(|record| keep(record)).chain(more) {
        builder.record(record);
    }
    builder.build()
}

/// Lays an archive out beside the stage's own.
fn beside(stage: &Stage, name: &str, archive: &MemoryArchive) -> String {
    let path = stage.path(name);
    fs::create_dir(&path).unwrap();
    write_folder(archive, path.as_ref());
    path
}

fn diff(a: &str, b: &str, more: &[&str]) -> (Option<i32>, String) {
    let (code, output) = run(&[&["diff", a, b], more].concat());
    assert!(code != Some(2) && code != Some(4), "{}", text(&output.stderr));
    (code, text(&output.stdout))
}

fn last(shown: &str) -> Value {
    serde_json::from_str(shown.lines().last().unwrap()).unwrap()
}

#[test]
fn an_archive_is_the_same_as_its_tar_and_what_one_lacks_is_named() {
    let stage = Stage::new(|_, _| {});
    let (code, shown) = diff(&stage.folder, &stage.tar, &[]);
    assert!(code == Some(0) && shown.contains("Both hold the same, byte for byte."), "{shown}");
    let newest = stage.world.published[1].last().unwrap().checked.id();
    let less = beside(&stage, "less", &some(&stage.world, &[], |record| record.id() != newest));
    let (code, shown) = diff(&stage.folder, &less, &["--json"]);
    assert_eq!(code, Some(0), "a shorter feed is no split view");
    let records: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!(
        (records["only_a"][0].as_str(), records["only_b"].as_array().unwrap().len()),
        (Some(&newest.to_string()[..]), 0)
    );
    let blobs = last(&shown)["blobs"]["only_a"].as_array().unwrap().len();
    assert_eq!((blobs, last(&shown)["same"].as_bool()), (9, Some(false)));
    let (_, turned) = diff(&less, &stage.folder, &[]);
    assert!(turned.contains("Only B has 1 records of") && turned.contains("Only B has 9 blobs"), "{turned}");
}

#[test]
fn a_split_view_exits_with_1_and_becomes_evidence_that_verifies() {
    let world = World::play(3, 3, fixture::policy(), SEED);
    let first = world.published[2][1].checked.clone();
    let other = world.fork(2, &first);
    // Neither archive shows a fork by itself: each holds one of the two histories.
    let before =
        |record: &Checked| record.record().member != first.record().member || record.record().seq < first.record().seq;
    let archive = some(&world, std::slice::from_ref(&other), before);
    let stage = Stage::of(world, |_, _| {});
    let split = beside(&stage, "split", &archive);
    for (a, b) in [(&stage.folder, &split), (&split, &stage.tar)] {
        let bundle = stage.path("bundle");
        let (code, shown) = diff(a, b, &["--evidence-out", &bundle]);
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("SPLIT VIEW of silo-2") && shown.contains(&other.id().to_string()), "{shown}");
        let genesis = format!("{}/genesis", stage.folder);
        let (code, output) = run(&["evidence", "verify", &bundle, "--genesis", &genesis]);
        assert_eq!(code, Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("silo-2"));
        fs::remove_file(&bundle).unwrap();
    }
    let (_, shown) = diff(&stage.folder, &split, &["--json"]);
    let found: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!((found["type"].as_str(), found["seq"].as_u64()), (Some("split"), Some(1)));
    assert_eq!(
        (found["a"].as_str(), found["b"].as_str()),
        (Some(&first.id().to_string()[..]), Some(&other.id().to_string()[..]))
    );
    assert_eq!(run(&["forks", &split]).0, Some(0), "only the two together show it");
}

#[test]
fn governors_that_signed_two_versions_are_a_split_view() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    let mut other = next(&world.chain);
    other.policy.draw = 1;
    let mut fork = Chain::genesis(world.chain.signed()[0].clone()).unwrap();
    fork.extend(signed(other, &[0])).unwrap();
    world.amend(|manifest| manifest.policy.draw = 2);
    let stage = Stage::of(world, |_, _| {});
    let mut archive = some(&stage.world, &[], |_| true);
    archive.insert("manifests/000001".into(), fork.signed()[1].clone());
    let split = beside(&stage, "split", &archive);
    let (code, shown) = diff(&stage.folder, &split, &[]);
    assert!(code == Some(1) && shown.contains("SPLIT VIEW of manifest version 1"), "{shown}");
}

#[test]
fn archives_of_two_networks_are_not_compared_and_nothing_is_written_without_a_split_view() {
    let stage = Stage::new(|_, _| {});
    let other = World::play(4, 1, fixture::policy(), SEED);
    let other = beside(&stage, "other", &other.archive());
    assert_eq!(run(&["diff", &stage.folder, &other]).0, Some(1));
    let bundle = stage.path("bundle");
    assert_eq!(run(&["diff", &stage.folder, &stage.tar, "--evidence-out", &bundle]).0, Some(0));
    assert!(!fs::exists(&bundle).unwrap());
    let empty = stage.path("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(run(&["diff", &stage.folder, &empty]).0, Some(3));
}
