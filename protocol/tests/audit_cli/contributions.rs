//! `contributions`: claimed, measured, merged by others, passed over by others.

use chorale_protocol::{
    feed::{Privacy, SkipReason, Spec},
    fixture,
    manifest::Policy,
};
use serde_json::Value;

use crate::{SEED, Stage, world::World};

fn contributions(shown: &str) -> Vec<Value> {
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["type"], "summary");
    lines.into_iter().filter(|line| line["type"] == "contribution").collect()
}

#[test]
fn what_others_merged_and_passed_over_adds_up_to_what_the_records_say() {
    // Some lie out of reach, and some members are not drawn: those are passed over, with a reason.
    let world = World::play(6, 4, Policy { reach: 2_500, draw: 3, ..fixture::policy() }, SEED);
    let (mut parents, mut skips, mut far) = (0, 0, 0);
    for record in &world.records {
        let Spec::Update(update) = &record.record().spec else { continue };
        skips += update.skipped.len();
        far += update.skipped.iter().filter(|skip| skip.reason == SkipReason::Distance).count();
        let others = |id: &_| world.record(id).record().member != record.record().member;
        parents += record.record().parent_ids().filter(others).count();
    }
    assert!(far > 0 && skips > far);
    let stage = Stage::of(world, |_, _| {});
    let (code, shown) = stage.both(&["contributions"], &["--json"]);
    assert_eq!(code, Some(0));
    let members = contributions(&shown);
    let sum = |of: &dyn Fn(&Value) -> u64| members.iter().map(of).sum::<u64>();
    assert_eq!(sum(&|member| member["merged_by_others"].as_u64().unwrap()), parents as u64);
    let skipped = |member: &Value| member["skipped_by_others"].as_object().unwrap().clone();
    assert_eq!(sum(&|member| skipped(member).values().filter_map(Value::as_u64).sum()), skips as u64);
    assert_eq!(sum(&|member| skipped(member).get("distance").and_then(Value::as_u64).unwrap_or(0)), far as u64);
    assert_eq!(sum(&|member| member["publications"].as_array().unwrap().len() as u64), 24);
    let moved = |publication: &Value| publication["moved"].as_str().unwrap().parse::<f64>().unwrap();
    let every = members.iter().flat_map(|member| member["publications"].as_array().unwrap());
    assert!(every.map(moved).all(|moved| moved > 0.0 && moved <= 1.0), "the norm bound is 1");
}

#[test]
fn claims_are_shown_as_recorded_and_sums_hold() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    let claim = Privacy {
        sigma_milli: 1_100,
        clip_milli: 500,
        rate_micro: 10_000,
        steps: 12,
        epsilon_milli: 2_345,
        delta_log10_milli: 5_000,
    };
    world.step_with(1, |draft| {
        draft.update().privacy = Some(claim);
        draft.update().examples = 128;
    });
    let me = world.authors[1].id.to_string();
    let bytes: u64 = world.published[1].iter().map(|one| one.checked.record().body.unwrap().length).sum();
    let stage = Stage::of(world, |_, _| {});
    let members = contributions(&stage.both(&["contributions"], &["--json"]).1);
    let member = members.iter().find(|member| member["member"] == me).unwrap();
    assert_eq!((member["rounds"].as_u64(), member["bytes"].as_u64()), (Some(2), Some(bytes)));
    assert_eq!((member["examples_sum"].as_u64(), member["examples_last"].as_u64()), (Some(192), Some(128)));
    assert_eq!(
        (member["privacy"]["epsilon_milli"].as_u64(), member["private_publications"].as_u64()),
        (Some(2_345), Some(1))
    );
    let (_, table) = stage.both(&["contributions"], &[]);
    assert!(table.contains(" 2.345 ") && table.contains(" 1.100 ") && table.contains("silo-1"), "{table}");
    assert!(table.contains("as its own genesis says; not compared"));
    let heading = table.lines().find(|line| line.starts_with("member ")).unwrap();
    let columns: Vec<&str> = heading.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
    let once: std::collections::BTreeSet<&&str> = columns.iter().collect();
    assert_eq!(once.len(), columns.len(), "two columns of one name: {heading}");
    assert!(!table.contains("without anchor") && table.contains("(UNANCHORED)"), "{table}");
    let pinned = stage.both(&["contributions"], &["--network", &stage.network]).1;
    assert!(!pinned.contains("not compared"), "{pinned}");
}

#[test]
fn without_payloads_nothing_is_measured_and_a_member_that_never_wrote_has_a_row() {
    let mut world = World::new(3, fixture::policy(), SEED);
    for _ in 0..2 {
        world.step(0);
        world.step(1);
    }
    let silent = world.authors[2].id.to_string();
    let stage = Stage::of(world, |_, archive| {
        let blobs: Vec<String> =
            archive.iter().map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("blobs/")).collect();
        for name in blobs {
            archive.remove(&name);
        }
    });
    let (code, shown) = stage.both(&["contributions"], &["--json"]);
    assert_eq!(code, Some(3), "nothing failed, but merges could not be recomputed");
    let members = contributions(&shown);
    assert!(
        members.iter().flat_map(|member| member["publications"].as_array().unwrap()).all(|one| one["moved"].is_null())
    );
    let member = members.iter().find(|member| member["member"] == silent).unwrap();
    assert_eq!((member["rounds"].as_u64(), member["skipped_by_others"]["absent"].as_u64()), (Some(0), Some(4)));
}
