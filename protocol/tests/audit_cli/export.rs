//! `export`: updates as CSV, releases and heads as in-toto Statements, one adapter as safetensors.

use std::fs;

use chorale_protocol::{
    feed::{Close, Spec},
    fixture,
};
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
        let subjects = statement["subject"].as_array().unwrap();
        assert_eq!(subjects.len(), 2, "the payload, and the file that is deployed");
        for digest in subjects.iter().map(|subject| &subject["digest"]) {
            assert!(digest["sha256"].as_str().unwrap().len() == 64 && digest["blake3"].as_str().unwrap().len() == 64);
        }
    }
    assert_eq!(statements[0]["subject"][0]["digest"]["blake3"], hash);
    let dependencies = statements[0]["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), 2 + released.checked.record().parents.len(), "base model, manifest, payloads");
    assert!(dependencies[0]["uri"].as_str().unwrap().starts_with("chorale:base-model/"));
    let manifest = stage.world.chain.signed_at(0).unwrap();
    assert_eq!(dependencies[1]["digest"]["blake3"], blake3::hash(manifest).to_hex().as_str());
    for payload in &dependencies[2..] {
        let (uri, digest) = (payload["uri"].as_str().unwrap(), &payload["digest"]);
        assert_eq!(
            uri,
            format!("chorale:blob/{}", digest["blake3"].as_str().unwrap()),
            "the digest is of what is named"
        );
        assert_eq!(digest["sha256"].as_str().unwrap().len(), 64);
    }
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
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&file));
    assert!(text(&output.stdout).contains(&blake3::hash(&file).to_hex().to_string()));
    assert!(text(&output.stdout).contains(&sha256), "{}", text(&output.stdout));
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let a = &header["base_model.model.layers.0.q_proj.lora_A.weight"];
    assert_eq!(
        (a["dtype"].as_str(), a["shape"].to_string(), a["data_offsets"].to_string()),
        (Some("F32"), "[2,8]".into(), "[0,64]".into())
    );
    let b = &header["base_model.model.layers.0.q_proj.lora_B.weight"];
    assert_eq!(
        (b["shape"].to_string(), b["data_offsets"].to_string()),
        ("[6,2]".into(), "[64,112]".into()),
        "as in PEFT"
    );
    assert_eq!((length % 8, file.len()), (0, 8 + length + 28 * 4));
    let values: Vec<f32> =
        file[8 + length..].chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let payload = stage.world.published[1].last().unwrap().voice.payload.to_f32(&stage.world.layout);
    assert_eq!(values[..16], payload[..16]);
    // PEFT's B is [out, rank], the payload's [rank, out].
    for (out, rank) in (0..6).flat_map(|out| [(out, 0), (out, 1)]) {
        assert_eq!(values[16 + 2 * out + rank], payload[16 + 6 * rank + out]);
    }
    assert_eq!(run(&["export", &stage.tar, "--as", "safetensors", "--of", "v1"]).0, Some(2), "without --out");
}

#[test]
fn a_payload_counts_as_here_by_its_bytes_and_not_by_its_name() {
    let stage = Stage::of(World::play(3, 2, fixture::policy(), SEED), |world, archive| {
        let hash = world.published[0][1].checked.record().body.unwrap().hash;
        let mut bytes = archive.remove(&format!("blobs/{hash}")).unwrap().to_vec();
        bytes[7] ^= 1;
        archive.insert(format!("blobs/{hash}"), bytes.into());
    });
    let (code, shown) = stage.both(&["export", "--as", "csv"], &[]);
    assert_eq!(
        (code, shown.matches(",yes\n").count(), shown.matches(",damaged\n").count()),
        (Some(0), 5, 1),
        "{shown}"
    );
    assert_eq!(stage.both(&["export", "--as", "in-toto"], &[]).0, Some(3), "nothing vouches for other bytes");
}

#[test]
fn a_member_means_its_newest_update_though_its_feed_goes_on_behind_it() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    for who in 0..3 {
        world.write(who, &[], Spec::Close(Close::Finished), None);
    }
    let newest = world.published[1].last().unwrap().checked.id().to_string();
    let close = world.records[7].id().to_string();
    let stage = Stage::of(world, |_, _| {});
    let out = stage.path("adapter.safetensors");
    let export = |of: &str| run(&["export", &stage.folder, "--as", "safetensors", "--of", of, "--out", &out]);
    let (code, output) = export("silo-1");
    assert_eq!(code, Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&newest));
    let by_id = fs::read(&out).unwrap();
    assert_eq!(export(&newest[..16]).0, Some(0));
    assert_eq!(fs::read(&out).unwrap(), by_id);
    let (code, output) = export(&close);
    assert!(code == Some(2) && text(&output.stderr).contains("kind close"), "{}", text(&output.stderr));
}

#[test]
fn csv_has_dates_units_and_no_two_columns_of_one_name() {
    let (_, shown) = stage().both(&["export", "--as", "csv"], &[]);
    let columns: Vec<&str> = shown.lines().next().unwrap().split(',').collect();
    let mut once = columns.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), columns.len());
    let cell = |name: &str| {
        let at = columns.iter().position(|column| *column == name).unwrap();
        shown.lines().nth(1).unwrap().split(',').nth(at).unwrap().to_owned()
    };
    assert_eq!(cell("claimed_time_utc").len(), "2023-11-14T22:14:00Z".len());
    let loss = cell("loss_after_nats_per_token");
    assert!(loss.is_empty() || loss.split_once('.').unwrap().1.len() == 6, "{loss}");
}
