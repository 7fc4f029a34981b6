//! The digest of an archive: what it is, that other programs give the same, and where it is said.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{Stage, lines, run, text};

#[cfg(unix)]
#[test]
fn find_sort_and_sha256sum_give_the_same_digest() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let stage = Stage::with_release(3, 2);
    let (code, shown) = stage.both(&["digest"], &[]);
    let base64 = shown.trim().strip_prefix("h1:").unwrap_or_else(|| panic!("{shown}"));
    let ours = hex::encode(STANDARD.decode(base64).unwrap());
    // As docs/PROTOCOL.md §7 has it.
    let recipe = "find * -type f | LC_ALL=C sort | xargs sha256sum";
    let shell = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).current_dir(&stage.folder).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!((code, shell(&format!("{recipe} | sha256sum"))), (Some(0), format!("{ours}  -\n")));
    assert_eq!(stage.both(&["digest", "--list"], &[]).1, shell(recipe));
    assert!(include_str!("../../../docs/PROTOCOL.md").contains(recipe));
}

#[test]
fn verify_says_it_where_it_is_asked_for_and_it_changes_with_any_byte() {
    let stage = Stage::with_release(3, 2);
    let digest = stage.both(&["digest"], &[]).1.trim().to_owned();
    let of = |archive: &str| {
        let (_, output) = stage.verify_at(archive, &["--digest", "--json", "--allow-unanchored"]);
        lines(&output).last().unwrap()["archive_digest"].clone()
    };
    assert_eq!((of(&stage.folder), of(&stage.tar)), (digest.as_str().into(), digest.as_str().into()));
    let shown = text(&stage.verify(&["--digest"]).1.stdout);
    assert!(shown.contains(&format!("Archive digest {digest}\n")), "{shown}");
    assert_eq!(lines(&stage.verify(&["--json"]).1).last().unwrap()["archive_digest"], Value::Null, "it costs time");
    let blob = stage.world.published[2][1].checked.record().body.unwrap().hash;
    let path = format!("{}/blobs/{blob}", stage.folder);
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_ne!(of(&stage.folder), digest.as_str());
    let (code, output) = run(&["diff", &stage.folder, &stage.tar]);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("Only B has 1 blobs") && shown.contains("BLB-003") && !shown.contains("Both"), "{shown}");
    assert!(shown.contains(&format!("Digest of B {digest}")), "{shown}");
}

#[test]
fn archives_that_show_the_same_in_other_bytes_are_said_to_and_the_files_are_named() {
    let stage = Stage::new(|_, _| {});
    fs::create_dir(format!("{}/conflicts", stage.folder)).unwrap();
    let bytes = b"nothing that proves anything";
    let name = format!("conflicts/{}", blake3::hash(bytes).to_hex());
    fs::write(format!("{}/{name}", stage.folder), bytes).unwrap();
    let (_, output) = run(&["diff", &stage.folder, &stage.tar]);
    let shown = text(&output.stdout);
    assert!(shown.contains("in other bytes. 1 files differ") && shown.contains(&name), "{shown}");
}
