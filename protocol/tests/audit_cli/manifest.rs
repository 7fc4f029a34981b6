//! `manifest`: a version shown, the chain checked, two versions compared in words.

use std::fs;

use chorale_protocol::{
    fixture::{self, governor},
    manifest::Chain,
};
use serde_json::Value;

use crate::{SEED, Stage, run, text, world::World};

/// Two versions: the second with one member more and a smaller draw.
fn stage() -> Stage {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.amend(|manifest| {
        manifest.members.push(fixture::member(3));
        manifest.members.sort_by_key(|member| member.id);
        manifest.policy.draw = 2;
    });
    Stage::of(world, |_, _| {})
}

#[test]
fn a_version_is_shown_with_members_votes_and_policy() {
    let stage = stage();
    let (code, shown) = stage.both(&["manifest", "show"], &[]);
    assert_eq!(code, Some(0));
    let key = governor(0).public().to_string();
    for wanted in ["Manifest version 1", "silo-3", "1 of 1 (needs 1)", &key, "2 peers a round", "BFP16"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let (_, first) = stage.both(&["manifest", "show"], &["--version", "0"]);
    assert!(first.contains("Manifest version 0") && !first.contains("silo-3"));
    let alone = run(&["manifest", "show", &format!("{}/genesis", stage.folder)]);
    assert_eq!((alone.0, text(&alone.1.stdout)), (Some(0), first));
    let (_, shown) = stage.both(&["manifest", "show"], &["--json"]);
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((value["members"].as_array().unwrap().len(), value["version"].as_u64()), (4, Some(1)));
    assert_eq!(run(&["manifest", "show", &stage.folder, "--version", "7"]).0, Some(2));
}

#[test]
fn a_chain_verifies_from_an_archive_and_from_files_and_only_as_the_network_meant() {
    let stage = stage();
    let (genesis, next) = (format!("{}/genesis", stage.folder), format!("{}/manifests/000001", stage.folder));
    let (code, shown) = stage.both(&["manifest", "verify"], &["--network", &stage.network]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("2 versions verify") && !shown.contains("not compared"));
    let files = run(&["manifest", "verify", &genesis, &next, "--network", &stage.network]);
    assert_eq!((files.0, text(&files.1.stdout)), (Some(0), shown));
    for wrong in [&[&stage.folder[..]][..], &[&genesis, &next]] {
        let other = "0".repeat(64);
        assert_eq!(run(&[&["manifest", "verify"], wrong, &["--network", &other]].concat()).0, Some(1), "{wrong:?}");
    }
    assert_eq!(run(&["manifest", "verify", &next]).0, Some(1), "no genesis");
    assert_eq!(run(&["manifest", "verify", &genesis, &genesis]).0, Some(1), "the same twice");
    assert_eq!(run(&["manifest", "verify", &stage.path("nowhere")]).0, Some(4));
}

#[test]
fn a_version_without_enough_votes_does_not_verify_and_a_missing_one_is_named() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy.draw = 2);
    let without = fixture::signed(fixture::next(&Chain::genesis(world.chain.signed()[0].clone()).unwrap()), &[]);
    let bytes = without.clone();
    let stage = Stage::of(world, move |_, archive| archive.insert("manifests/000001".into(), bytes));
    let (code, shown) = stage.both(&["manifest", "verify"], &[]);
    assert_eq!(code, Some(1));
    assert!(shown.contains("MAN-014") && shown.contains("1 versions verify"), "{shown}");
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy.draw = 2);
    world.amend(|manifest| manifest.policy.draw = 1);
    let stage = Stage::of(world, |_, archive| drop(archive.remove("manifests/000001")));
    assert_eq!(stage.both(&["manifest", "verify"], &["--json"]).0, Some(3));
    fs::write(stage.path("cut"), &without[..50]).unwrap();
    assert_eq!(run(&["manifest", "show", &stage.path("cut")]).0, Some(1));
}

#[test]
fn two_versions_are_compared_in_words() {
    let stage = stage();
    let (code, shown) = stage.both(&["manifest", "diff"], &[]);
    assert_eq!(code, Some(0));
    assert!(shown.contains("silo-3") && shown.contains("takes part as member"), "{shown}");
    assert!(shown.contains("draw is 2 peers a round; before, 3 peers a round"), "{shown}");
    let (genesis, next) = (format!("{}/genesis", stage.folder), format!("{}/manifests/000001", stage.folder));
    assert_eq!(text(&run(&["manifest", "diff", &genesis, &next]).1.stdout), shown);
    let (_, same) = stage.both(&["manifest", "diff"], &["--old", "1", "--new", "1"]);
    assert!(same.contains("nothing but the version differs"), "{same}");
    assert_eq!(run(&["manifest", "diff", &genesis]).0, Some(2), "one version alone");
    assert_eq!(stage.both(&["manifest", "diff"], &["--json"]).1.lines().count(), 3);
}

#[test]
fn keys_over_time_are_shown_compared_and_named() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.commit(0, Some(70));
    world.rotate(0, 70);
    world.rotate(1, 71);
    let (label, key) = ("silo-0 (", fixture::author(70).public().to_string());
    let stage = Stage::of(world, |_, _| {});
    let (_, shown) = stage.both(&["manifest", "show"], &["--version", "1"]);
    assert!(shown.contains("Next key of silo-0: of hash"), "{shown}");
    let (_, shown) = stage.both(&["manifest", "show"], &["--version", "2"]);
    assert!(shown.contains("Handover of silo-0: records of") && shown.contains(&key), "{shown}");
    let (_, shown) = stage.both(&["manifest", "show"], &["--version", "2", "--json"]);
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((value["handovers"][0]["seq"].as_u64(), value["handovers"][1].is_null()), (Some(0), true));
    let (_, shown) = stage.both(&["manifest", "diff"], &["--old", "1", "--new", "2"]);
    assert!(
        shown.contains(label) && shown.contains("to which it had committed") && shown.contains("handover: "),
        "{shown}"
    );
    let (code, shown) = stage.both(&["manifest", "verify"], &[]);
    assert_eq!(code, Some(0));
    for wanted in
        ["version 1: governors changed", "version 2: ", "rotated its key", "version 3: governors gave", "KEY-001"]
    {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(
        shown.contains("4 versions verify, each by the votes") && !shown.contains("see above"),
        "all verifies: {shown}"
    );
    assert!(shown.contains("(silo-0) rotated its key"), "an id has its label beside it: {shown}");
}
