//! `export`: updates as CSV, releases and heads as in-toto Statements, one adapter as safetensors.

use std::fs;

use chorale_protocol::fixture;
use serde_json::Value;

use crate::{SEED, Stage, run, text, world::World};

fn stage() -> Stage {
    Stage::with_release(3, 2)
}

#[test]
fn csv_has_a_line_for_each_update_and_each_line_as_many_cells() {
    let stage = stage();
    let (code, shown) = stage.both(&["export", "--as", "csv"], &[]);
    assert_eq!((code, shown.lines().count()), (Some(0), 7));
    let cells = |line: &str| line.split(',').count();
    assert!(shown.lines().all(|line| cells(line) == cells(shown.lines().next().unwrap())), "{shown}");
    let update = stage.world.published[2][1].checked.clone();
    let line = shown.lines().find(|line| line.contains(&update.id().to_string())).unwrap();
    assert!(
        line.contains("silo-2")
            && line.contains(&update.record().body.unwrap().hash.to_string())
            && line.ends_with(",yes")
    );
}

#[test]
fn each_release_and_head_is_a_statement_about_its_payload() {
    let stage = stage();
    let (code, shown) = stage.both(&["export", "--as", "in-toto"], &[]);
    let statements: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, statements.len()), (Some(0), 4), "one release, three heads");
    assert_eq!(statements[0]["subject"][0]["name"], "v1");
    let released = stage.world.published[1].last().unwrap();
    let hash = released.checked.record().body.unwrap().hash.to_string();
    for statement in &statements {
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        let digest = &statement["subject"][0]["digest"];
        assert!(digest["sha256"].as_str().unwrap().len() == 64 && digest["blake3"].as_str().unwrap().len() == 64);
    }
    assert_eq!(statements[0]["subject"][0]["digest"]["blake3"], hash);
    let dependencies = statements[0]["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), released.checked.record().parents.len());
}

#[test]
fn a_statement_about_a_payload_that_is_not_here_has_the_signed_digest_alone_and_exits_with_3() {
    let mut gone = String::new();
    let stage = Stage::of(World::play(3, 2, fixture::policy(), SEED), |world, archive| {
        gone = world.published[0][1].checked.record().body.unwrap().hash.to_string();
        archive.remove(&format!("blobs/{gone}")).unwrap();
    });
    let (code, shown) = stage.both(&["export", "--as", "in-toto"], &[]);
    assert_eq!(code, Some(3));
    let subjects: Vec<Value> =
        shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["subject"][0].take()).collect();
    let without = subjects.iter().find(|subject| subject["digest"]["blake3"] == gone).unwrap();
    assert!(without["digest"]["sha256"].is_null());
    assert!(stage.both(&["export", "--as", "csv"], &[]).1.contains(",no\n"));
}

#[test]
fn an_adapter_is_written_with_the_values_of_its_payload() {
    let stage = stage();
    let out = stage.path("adapter.safetensors");
    let (code, output) = run(&["export", &stage.tar, "--as", "safetensors", "--of", "v1", "--out", &out]);
    assert_eq!(code, Some(0), "{}", text(&output.stderr));
    let file = fs::read(&out).unwrap();
    assert!(text(&output.stdout).starts_with(&blake3::hash(&file).to_hex().to_string()));
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let a = &header["base_model.model.layers.0.q_proj.lora_A.weight"];
    assert_eq!(
        (a["dtype"].as_str(), a["shape"].to_string(), a["data_offsets"].to_string()),
        (Some("F32"), "[2,8]".into(), "[0,64]".into())
    );
    assert_eq!((length % 8, file.len()), (0, 8 + length + 28 * 4));
    let values: Vec<f32> =
        file[8 + length..].chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(values, stage.world.published[1].last().unwrap().voice.payload.to_f32(&stage.world.layout));
    assert_eq!(run(&["export", &stage.tar, "--as", "safetensors", "--of", "v1"]).0, Some(2), "without --out");
}
