//! `forks` and `evidence verify`: two histories of one author, shown and proved.

use std::fs;

use chorale_protocol::{feed::Evidence, fixture, manifest::Cut};
use serde_json::Value;

use crate::{SEED, Stage, run, text, world::World};

/// Member 2 signs a second record for its place 1.
fn forked() -> (World, Evidence) {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let first = world.published[2][1].checked.clone();
    let other = world.fork(2, &first);
    world.keep(&other);
    let evidence = Evidence::of(&first, &other).unwrap();
    (world, evidence)
}

fn last(shown: &str) -> Value {
    serde_json::from_str(shown.lines().last().unwrap()).unwrap()
}

#[test]
fn an_unsettled_fork_is_shown_with_both_branches_and_exits_with_1() {
    let (world, evidence) = forked();
    let stage = Stage::of(world, |_, _| {});
    let (code, shown) = stage.both(&["forks"], &[]);
    assert_eq!(code, Some(1));
    for wanted in
        [evidence.first.id().to_string(), evidence.second.id().to_string(), "silo-2".into(), "NOT SETTLED".into()]
    {
        assert!(shown.contains(&wanted), "{wanted}: {shown}");
    }
    let (code, shown) = stage.both(&["forks"], &["--json"]);
    assert_eq!((code, last(&shown)["unsettled"].as_u64()), (Some(1), Some(1)));
    let fork: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    // Which of the two is linked, their ids decide.
    let mut tips = ["linked_to", "other_to"].map(|side| fork[side]["seq"].as_u64());
    tips.sort_unstable();
    assert_eq!((fork["seq"].as_u64(), tips), (Some(1), [Some(1), Some(2)]));
    assert_eq!(fork["other_to"]["records"], fork["other_to"]["seq"]);
}

#[test]
fn a_cut_settles_a_fork_and_an_honest_archive_has_none() {
    let (mut world, evidence) = forked();
    let (member, incarnation, seq) = evidence.accused();
    let stands = world.published[2][1].checked.id();
    world.amend(|manifest| manifest.cuts.push(Cut { member, incarnation, last: Some((seq, stands)) }));
    let stage = Stage::of(world, |_, _| {});
    let (code, shown) = stage.both(&["forks"], &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("settled by a manifest version") && shown.contains("1 forks, 1 settled"), "{shown}");
    let (code, shown) = Stage::new(|_, _| {}).both(&["forks"], &["--json"]);
    assert_eq!((code, last(&shown)["forks"].as_u64()), (Some(0), Some(0)));
}

#[test]
fn a_bundle_alone_shows_a_fork_and_what_cannot_be_read_exits_with_3() {
    let (_, evidence) = forked();
    let mut clean = World::play(3, 3, fixture::policy(), SEED);
    clean.builder.evidence(evidence.to_bytes());
    let stage = Stage::of(clean, |_, _| {});
    let (code, shown) = stage.both(&["forks"], &["--json"]);
    let fork: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!((code, fork["linked_to"].is_null()), (Some(1), true));
    assert!(fork["file"].as_str().unwrap().starts_with("evidence/"));

    let damaged = Stage::new(|world, archive| {
        let name = format!("feeds/{}.0", world.authors[1].id);
        let mut bytes = archive.remove(&name).unwrap().to_vec();
        bytes[60] ^= 1;
        archive.insert(name, bytes.into());
    });
    assert_eq!(damaged.both(&["forks"], &[]).0, Some(3));
}

#[test]
fn a_bundle_is_proof_by_itself_against_the_genesis_or_an_archive() {
    let (world, evidence) = forked();
    let stage = Stage::of(world, |_, _| {});
    let bundle = stage.path("bundle");
    fs::write(&bundle, evidence.to_bytes()).unwrap();
    let genesis = format!("{}/genesis", stage.folder);
    for how in [
        &["--genesis", &genesis][..],
        &["--archive", &stage.tar],
        &["--archive", &stage.folder, "--network", &stage.network],
    ] {
        let (code, output) = run(&[&["evidence", "verify", &bundle], how].concat());
        assert_eq!(code, Some(0), "{how:?} {}", text(&output.stderr));
        let shown = text(&output.stdout);
        let key = evidence.first.record().key.to_string();
        assert!(shown.contains(&key) && shown.contains("silo-2") && shown.contains("incarnation 0, seq 1"), "{shown}");
    }
    let (_, output) = run(&["evidence", "verify", &bundle, "--genesis", &genesis, "--json"]);
    assert_eq!(last(&text(&output.stdout))["proof"], true);
}

#[test]
fn a_bundle_that_proves_nothing_exits_with_1_and_keys_must_come_from_somewhere() {
    let (world, evidence) = forked();
    let stage = Stage::of(world, |_, _| {});
    let genesis = format!("{}/genesis", stage.folder);
    let mut bytes = evidence.to_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    for (name, bytes) in [("changed", bytes), ("cut", evidence.to_bytes()[..100].to_vec()), ("empty", Vec::new())] {
        let path = stage.path(name);
        fs::write(&path, bytes).unwrap();
        let (code, output) = run(&["evidence", "verify", &path, "--genesis", &genesis]);
        assert_eq!(code, Some(1), "{name}");
        assert!(text(&output.stderr).contains("it proves nothing") && output.stdout.is_empty());
    }
    let bundle = stage.path("bundle");
    fs::write(&bundle, evidence.to_bytes()).unwrap();
    assert_eq!(run(&["evidence", "verify", &bundle, "--network", &stage.network]).0, Some(2));
    assert_eq!(run(&["evidence", "verify", &bundle]).0, Some(2));
    assert_eq!(run(&["evidence", "verify", &stage.path("nowhere"), "--genesis", &genesis]).0, Some(4));
}

#[test]
fn a_bundle_under_a_manifest_version_that_is_not_here_exits_with_3_until_it_is() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy.draw = 2);
    world.rounds(1);
    let first = world.published[0][1].checked.clone();
    let evidence = Evidence::of(&first, &world.fork(0, &first)).unwrap();
    let stage = Stage::of(world, |_, _| {});
    let bundle = stage.path("bundle");
    fs::write(&bundle, evidence.to_bytes()).unwrap();
    let (genesis, next) = (format!("{}/genesis", stage.folder), format!("{}/manifests/000001", stage.folder));
    let (code, output) = run(&["evidence", "verify", &bundle, "--genesis", &genesis]);
    let said = text(&output.stderr);
    assert!(
        code == Some(3) && said.contains("cannot be judged yet") && said.contains("manifest version 1 is needed"),
        "{said}"
    );
    assert!(!said.contains("proves nothing"), "{said}");
    assert_eq!(run(&["evidence", "verify", &bundle, "--genesis", &genesis, "--manifest", &next]).0, Some(0));
}

#[test]
fn a_double_vote_is_shown_and_proof_by_itself() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    let mut other = fixture::next(&world.chain);
    other.policy.draw = 1;
    let other = fixture::signed(other, &[0]);
    world.amend(|manifest| manifest.policy.draw = 2);
    world.builder.conflict(other.clone());
    let key = fixture::governor(0).public().to_string();
    let stage = Stage::of(world, |_, _| {});
    let (code, shown) = stage.both(&["forks"], &[]);
    assert_eq!(code, Some(1));
    assert!(shown.contains("DOUBLE VOTE on manifest version 1") && shown.contains(&key), "{shown}");
    let (code, shown) = stage.both(&["forks"], &["--json"]);
    assert_eq!(
        (code, last(&shown)["double_votes"].as_u64(), last(&shown)["forks"].as_u64()),
        (Some(1), Some(1), Some(0))
    );
    let file = stage.path("conflict");
    fs::write(&file, &other).unwrap();
    let (code, output) = run(&["evidence", "verify", &file, "--archive", &stage.folder]);
    assert_eq!(code, Some(0));
    assert!(text(&output.stdout).contains("is proof") && text(&output.stdout).contains(&key));
    let (genesis, next) = (format!("{}/genesis", stage.folder), format!("{}/manifests/000001", stage.folder));
    let (code, output) = run(&["evidence", "verify", &file, "--genesis", &genesis]);
    assert!(
        code == Some(3) && text(&output.stderr).contains("manifest version 1 is needed"),
        "there is no version 1 yet"
    );
    assert_eq!(run(&["evidence", "verify", &file, "--genesis", &genesis, "--manifest", &next]).0, Some(0));
    assert_eq!(run(&["evidence", "verify", &next, "--archive", &stage.folder]).0, Some(1), "the one in force");
}
