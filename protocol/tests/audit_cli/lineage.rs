//! `lineage`: what a release or a head was made of, in four forms.

use std::collections::BTreeSet;

use chorale_protocol::{
    base::RecordId,
    feed::{Release, Spec},
    fixture,
};
use serde_json::Value;

use crate::{SEED, Stage, run, text, world::World};

fn stage() -> Stage {
    Stage::with_release(3, 3)
}

/// Every ancestor of a record, by the world's own book.
fn ancestors(world: &World, of: RecordId) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![of]);
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let record = world.record(&id);
            open.extend(record.record().parent_ids().chain(record.record().prev));
        }
    }
    seen.iter().map(ToString::to_string).collect()
}

fn nodes(shown: &str) -> Vec<Value> {
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.into_iter().filter(|line| line["type"] == "node").collect()
}

#[test]
fn a_release_is_traced_to_every_record_that_it_was_made_of_and_to_no_other() {
    let stage = stage();
    let (code, shown) = stage.both(&["lineage"], &["--of", "v1", "--as", "json", "--depth", "1000"]);
    assert_eq!(code, Some(0));
    let found: BTreeSet<String> =
        nodes(&shown).iter().map(|node| node["record"].as_str().unwrap().to_owned()).collect();
    let release = stage.world.records.last().unwrap().id();
    assert_eq!(found, ancestors(&stage.world, release));
    let by_id = stage.both(&["lineage"], &["--of", &release.to_string()[..12], "--as", "json", "--depth", "1000"]).1;
    assert_eq!(by_id, shown, "by label or by the beginning of its id");
}

#[test]
fn a_member_means_its_newest_record_and_depth_ends_the_search_and_says_so() {
    let stage = stage();
    let head = stage.world.published[2].last().unwrap().checked.id().to_string();
    let (code, shown) = stage.both(&["lineage"], &["--of", "silo-2", "--as", "json", "--depth", "0"]);
    assert_eq!((code, nodes(&shown).len()), (Some(0), 1));
    assert_eq!(nodes(&shown)[0]["record"], head);
    let summary: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    assert_eq!(
        summary["left_out"].as_array().unwrap().len(),
        stage.world.published[2].last().unwrap().checked.record().parents.len()
    );
    let (_, table) = stage.both(&["lineage"], &["--of", "silo-2", "--depth", "1"]);
    assert!(table.contains("--depth goes further up") && table.contains(&head), "{table}");
    let everything = stage.both(&["lineage"], &["--as", "json", "--depth", "1000"]).1;
    assert_eq!(nodes(&everything).len(), 10, "without --of, all heads");
}

#[test]
fn drawings_are_the_same_each_time_and_hold_every_edge() {
    let stage = stage();
    for form in ["text", "dot", "json", "svg"] {
        let first = stage.both(&["lineage"], &["--as", form]);
        assert_eq!(first, stage.both(&["lineage"], &["--as", form]));
        assert_eq!(first.0, Some(0));
    }
    let edges: usize = stage
        .world
        .records
        .iter()
        .map(|record| {
            let prev = record.record().prev.filter(|prev| record.record().parent_ids().all(|id| id != *prev));
            record.record().parents.len() + usize::from(prev.is_some())
        })
        .sum();
    let (_, dot) = stage.both(&["lineage"], &["--as", "dot", "--depth", "100"]);
    assert_eq!(dot.matches(" -> ").count(), edges);
    let (_, svg) = stage.both(&["lineage"], &["--as", "svg", "--depth", "100"]);
    assert_eq!((svg.matches("<path ").count(), svg.matches("<circle ").count()), (edges, 10));
    for legend in ["merged or released", "the record before", "thick rim: asked for", "does not count"] {
        assert!(svg.contains(legend), "{legend}");
    }
    assert!(dot.contains("dotted arrow: the record before"));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("<script"));
}

#[test]
fn an_ancestor_that_is_not_in_the_archive_is_named_and_exits_with_3() {
    let stage = Stage::new(|world, archive| {
        let member = world.authors[0].id;
        archive.remove(&format!("feeds/{member}.0")).unwrap();
    });
    let (code, shown) = stage.both(&["lineage"], &["--of", "silo-1"]);
    assert_eq!(code, Some(3));
    assert!(shown.contains("MISSING "), "{shown}");
}

#[test]
fn what_is_not_there_or_means_two_things_is_wrong_use() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    for who in [0, 1] {
        let released = world.published[who][0].checked.clone();
        let Spec::Update(update) = &released.record().spec else { panic!() };
        let release = Release { round: update.round, label: "same".into() };
        world.write(who, &[&released], Spec::Release(release), None);
    }
    let stage = Stage::of(world, |_, _| {});
    for (of, says) in [("same", "2 records"), ("nothing", "no record"), ("ab", "no record")] {
        let (code, output) = run(&["lineage", &stage.folder, "--of", of]);
        assert_eq!(code, Some(2), "{of}");
        assert!(text(&output.stderr).contains(says) && output.stdout.is_empty());
    }
    let (code, _) = run(&["lineage", &stage.folder, "--network", &"0".repeat(64)]);
    assert_eq!(code, Some(1), "the archive is of another network");
}
