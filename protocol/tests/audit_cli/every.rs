//! What every command that reads an archive promises alike.

use std::{fs, path::Path};

use chorale_protocol::{audit::MemoryArchive, base::NetworkId, feed::Evidence};

use crate::{Stage, lines, run, text};

/// Every command on this archive; those that write a file write it into the stage's folder.
fn commands(stage: &Stage, archive: &str, network: &str) -> Vec<Vec<String>> {
    let out = stage.path("out");
    let bundle = stage.path("bundle");
    let first = &stage.world.published[0][1].checked;
    fs::write(&bundle, Evidence::of(first, &stage.world.fork(0, first)).unwrap().to_bytes()).unwrap();
    [
        &["verify", archive, "--allow-unanchored"][..],
        &["contributions", archive],
        &["lineage", archive],
        &["lineage", archive, "--as", "svg"],
        &["forks", archive],
        &["evidence", "verify", &bundle, "--archive", archive],
        &["manifest", "verify", archive],
        &["diff", archive, archive],
        &["export", archive, "--as", "csv"],
        &["export", archive, "--as", "in-toto"],
        &["report", archive, "--out", &out, "--allow-unanchored"],
    ]
    .iter()
    .map(|command| command.iter().copied().chain(["--network", network]).map(str::to_owned).collect())
    .collect()
}

fn exits(stage: &Stage, archive: &str, network: &str) -> Vec<(String, Option<i32>)> {
    let run = |command: Vec<String>| {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        let (code, output) = run(&args);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{command:?}");
        assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
        (command[..2].join(" ").replace(archive, "ARCHIVE"), code)
    };
    commands(stage, archive, network).into_iter().map(run).collect()
}

#[test]
fn a_clean_archive_gives_0_and_nothing_to_check_never_does() {
    let stage = Stage::new(|_, _| {});
    for (command, code) in exits(&stage, &stage.folder, &stage.network) {
        assert_eq!(code, Some(0), "{command}");
    }
    let empty = Stage::new(|_, archive| *archive = MemoryArchive::default());
    for (command, code) in exits(&empty, &empty.folder, &empty.network) {
        assert_eq!(code, Some(3), "{command} of an empty archive");
    }
    let genesis = Stage::new(|world, archive| {
        *archive = MemoryArchive::default();
        archive.insert("genesis".into(), world.chain.signed()[0].clone());
    });
    for (command, code) in exits(&genesis, &genesis.folder, &genesis.network) {
        let chain_only = command.starts_with("manifest") || command.starts_with("evidence");
        assert_eq!(code, Some(if chain_only { 0 } else { 3 }), "{command} of a genesis alone");
    }
}

#[test]
fn another_network_gives_1_and_an_archive_that_is_not_there_4() {
    let stage = Stage::new(|_, _| {});
    for (command, code) in exits(&stage, &stage.tar, &NetworkId([7; 32]).to_string()) {
        assert_eq!(code, Some(1), "{command}");
    }
    for (command, code) in exits(&stage, &stage.path("nowhere"), &stage.network) {
        assert_eq!(code, Some(4), "{command}");
    }
}

#[cfg(unix)]
#[test]
fn hostile_names_reach_no_terminal_and_no_page() {
    let stage = Stage::new(|_, _| {});
    fs::write(Path::new(&stage.folder).join("manifests").with_file_name("evil\u{1b}[2J<b>"), b"x").unwrap();
    fs::write(Path::new(&stage.folder).join("blobs/evil\u{1b}[2J"), b"x").unwrap();
    // `exits` looks for escape sequences itself.
    let codes = exits(&stage, &stage.folder, &stage.network);
    assert!(codes.iter().all(|(_, code)| matches!(code, Some(0 | 3))), "{codes:?}");
    let page = fs::read_to_string(stage.path("out")).unwrap();
    assert!(page.contains("evil\\u{1b}[2J&lt;b&gt;") && !page.contains('\u{1b}'));
}

#[test]
fn errors_are_json_on_stdout_where_json_was_asked_for() {
    let stage = Stage::new(|_, _| {});
    let nowhere = stage.path("nowhere");
    for command in [
        &["contributions", &nowhere, "--json"][..],
        &["forks", &nowhere, "--json"],
        &["lineage", &nowhere, "--as", "json"],
        &["manifest", "verify", &nowhere, "--json"],
        &["diff", &nowhere, &stage.folder, "--json"],
    ] {
        let (code, output) = run(command);
        assert_eq!((code, lines(&output)[0]["exit"].as_u64()), (Some(4), Some(4)), "{command:?}");
    }
}
