//! Anchors on the command line and in files, and what a partial cover may not be called.

use std::fs;

use chorale_protocol::{
    audit::layout::Name,
    base::{Incarnation, NetworkId},
    fixture,
};
use serde_json::Value;

use crate::{SEED, Stage, lines, run, text, world::World};

/// What `chorale archive` writes: the network, the newest manifest version, and every feed's newest record.
fn file(stage: &Stage) -> String {
    let manifest = stage.world.chain.at(stage.world.chain.current().version).unwrap().1;
    let heads: String = stage.anchors.iter().map(|id| format!("{id}  # somebody's newest\n")).collect();
    format!("# Anchors\nnetwork {}\nmanifest {manifest}\n{heads}", stage.network)
}

fn summary(stage: &Stage, more: &[&str]) -> (Option<i32>, Value) {
    let (code, output) = stage.verify(&[more, &["--json"]].concat());
    (code, lines(&output).pop().unwrap())
}

#[test]
fn one_anchor_of_four_says_so_in_verdict_table_and_summary() {
    let stage = Stage::of(World::play(4, 3, fixture::policy(), SEED), |_, _| {});
    let one = ["--anchor", &stage.anchors[0]];
    let (code, output) = stage.verify(&one);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.ends_with("Verdict: INCOMPLETE (anchors reach the end of 1 of 4 feeds)\n"), "{shown}");
    assert!(shown.contains("INCOMPLETE ANC-004"), "{shown}");
    let rows: Vec<&str> = shown.lines().filter(|line| line.starts_with("silo-")).collect();
    assert_eq!(rows.iter().filter(|row| row.contains(" 1 of 1 ")).count(), 1, "{shown}");
    assert_eq!(rows.iter().filter(|row| row.contains(" 0 of 1 ")).count(), 3, "{shown}");
    let (code, said) = summary(&stage, &[&one[..], &["--allow-unanchored"]].concat());
    assert_eq!((code, &said["anchored"], &said["anchors"]["reached"]), (Some(0), &false.into(), &1.into()));

    // The level of an anchored archive takes all of them.
    use base64::{Engine, engine::general_purpose::STANDARD};
    let (key, out) = (stage.path("key"), stage.path("r.html"));
    let public = text(&run(&["key", "new", &key]).1.stdout).trim().to_owned();
    let all: Vec<&str> = stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let report = ["report", &stage.folder, "--network", &stage.network, "--out", &out, "--sign", &key, "--time"];
    let levels = |anchors: &[&str]| {
        let (code, output) = run(&[&report[..], &["2026-01-31T12:00:00Z", "--allow-unanchored"], anchors].concat());
        assert_eq!(code, Some(0), "{}", text(&output.stderr));
        let envelope: Value = serde_json::from_slice(&fs::read(format!("{out}.dsse.json")).unwrap()).unwrap();
        let statement = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&statement).unwrap()["predicate"]["verifiedLevels"].clone()
    };
    assert_eq!(levels(&one), serde_json::json!(["CHORALE_ARCHIVE_REPLAYED"]));
    let (_, output) = run(&["report", "verify", &format!("{out}.dsse.json"), "--key", &public]);
    assert!(text(&output.stdout).contains("Anchors   anchors reach the end of 1 of 4 feeds"));
    assert!(fs::read_to_string(&out).unwrap().contains("anchors reach the end of 1 of 4 feeds"));
    assert_eq!(levels(&all), serde_json::json!(["CHORALE_ARCHIVE_REPLAYED", "CHORALE_ARCHIVE_ANCHORED"]));
}

#[test]
fn a_file_of_anchors_has_all_of_them_and_is_of_one_network() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy.draw = 2);
    let stage = Stage::of(world, |_, _| {});
    let path = stage.path("anchors");
    fs::write(&path, file(&stage)).unwrap();
    let (code, said) = summary(&stage, &["--anchors", &path]);
    assert_eq!((code, &said["anchored"], &said["anchors"]["given"]), (Some(0), &true.into(), &4.into()), "{said}");
    // The newest manifest version was withheld.
    fs::remove_file(format!("{}/manifests/000001", stage.folder)).unwrap();
    let (code, output) = stage.verify_at(&stage.folder, &["--anchors", &path]);
    assert!(code == Some(1) && text(&output.stdout).contains("ANC-003"), "{}", text(&output.stdout));
    let next = stage.path("next");
    fs::write(&next, stage.world.chain.signed_at(1).unwrap()).unwrap();
    let (code, _) = stage.verify_at(&stage.folder, &["--anchor", &next, "--allow-unanchored"]);
    assert_eq!(code, Some(1), "by its file");
    let hash = format!("manifest:{}", stage.world.chain.at(1).unwrap().1);
    assert_eq!(stage.verify_at(&stage.tar, &["--anchor", &hash, "--allow-unanchored"]).0, Some(0), "by its hash");

    let other = NetworkId([7; 32]).to_string();
    for wrong in [file(&stage).replace(&stage.network, &other), "record\n".to_owned(), "none of them\n".to_owned()] {
        fs::write(&path, wrong).unwrap();
        let (code, output) = stage.verify_at(&stage.folder, &["--anchors", &path]);
        assert_eq!(code, Some(2), "{}", text(&output.stderr));
    }
}

#[test]
fn a_feed_that_was_left_out_is_a_row_and_counts_as_missing() {
    let mut left_out = String::new();
    let mut world = World::play(4, 0, fixture::policy(), SEED);
    for _ in 0..2 {
        (0..3).for_each(|who| drop(world.step(who)));
    }
    // Nobody merged it: nothing else shows that it is missing.
    world.step(3);
    let stage = Stage::of(world, |world, archive| {
        left_out = world.authors[3].id.to_string();
        archive.remove(&Name::Feed(world.authors[3].id, Incarnation(0)).to_string()).unwrap();
    });
    let three: Vec<&str> = stage.anchors[..3].iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let (code, output) = stage.verify(&three);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("Verdict: INCOMPLETE (anchors reach the end of 3 of 4 feeds)"), "{shown}");
    let row = shown.lines().find(|line| line.starts_with("silo-3")).unwrap_or_else(|| panic!("{shown}"));
    assert!(row.contains("no feed of it is here"), "{row}");
    let (_, said) = summary(&stage, &three);
    assert_eq!((&said["counts"]["feeds"]["ok"], &said["counts"]["feeds"]["missing"]), (&3.into(), &1.into()));
    assert!(said["members"].as_array().unwrap().iter().any(|member| member["member"] == left_out.as_str()));
    let none = format!("none:{left_out}");
    assert_eq!(
        stage.verify(&[&three[..], &["--anchor", &none]].concat()).0,
        Some(0),
        "it says that it published nothing"
    );
}
