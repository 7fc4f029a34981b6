//! Archives that somebody damaged, cut or named with malice.

use std::{fs, path::Path};

use chorale_protocol::{
    audit::{Archive, MemoryArchive, layout::blob_name},
    base::NetworkId,
    fixture,
};

use crate::{SEED, Stage, lines, run, text, world::World, write_tar};

/// What moves a cursor, reorders text or hides it, in names that a tar can hold.
const HOSTILE: [&str; 4] = ["evil\u{1b}[2J", "blobs/evil\u{9b}2J", "feeds/\u{202e}live\r", "x\u{7f}\u{8}\u{200b}<b>"];

fn harmless(command: &[&str], text: &str) {
    let harmful = |character: char| {
        (character.is_control() && character != '\n') || matches!(character, '\u{200b}' | '\u{202a}'..='\u{202e}')
    };
    let found = text.chars().find(|character| harmful(*character));
    assert_eq!(found, None, "{command:?}: {text:?}");
}

/// Runs a command: no panic, nothing that moves the cursor, JSON and nothing else where that was asked for.
fn tame(command: &[&str]) -> Option<i32> {
    let (code, output) = run(command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!err.contains("panicked"), "{command:?}: {err}");
    harmless(command, &out);
    harmless(command, &err);
    if command.iter().any(|word| *word == "--json" || *word == "json") {
        assert!(!lines(&output).is_empty(), "{command:?}");
    }
    code
}

/// Every command that says its result in JSON, on this archive.
fn json_commands(archive: &str, network: &str) -> Vec<Vec<String>> {
    [
        &["verify", archive, "--allow-unanchored", "--json"][..],
        &["contributions", archive, "--json"],
        &["lineage", archive, "--as", "json"],
        &["forks", archive, "--json"],
        &["manifest", "verify", archive, "--json"],
        &["diff", archive, archive, "--json"],
    ]
    .iter()
    .map(|command| command.iter().copied().chain(["--network", network]).map(str::to_owned).collect())
    .collect()
}

#[test]
fn every_exit_code_comes_with_json_on_stdout_from_every_command_that_has_it() {
    let stage = Stage::new(|_, _| {});
    let empty = Stage::new(|_, archive| *archive = MemoryArchive::default());
    let other = NetworkId([7; 32]).to_string();
    let nowhere = stage.path("nowhere");
    for (archive, network, wanted) in [
        (&stage.tar, &stage.network, 0),
        (&stage.folder, &other, 1),
        (&stage.folder, &"not an id".to_owned(), 2),
        (&empty.tar, &stage.network, 3),
        (&nowhere, &stage.network, 4),
    ] {
        for command in json_commands(archive, network) {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            assert_eq!(tame(&command), Some(wanted), "{command:?}");
            let shown = lines(&run(&command).1);
            // Results end in a summary, errors are one line; where either says how it ends, it is true.
            assert!(
                shown.iter().all(|line| line["exit"].is_null() || line["exit"] == wanted),
                "{command:?}: {shown:?}"
            );
        }
    }
}

#[test]
fn hostile_names_in_a_tar_move_no_cursor_in_text_or_json() {
    let stage = Stage::new(|_, archive| {
        for name in HOSTILE {
            archive.insert(name.into(), bytes::Bytes::from_static(b"x"));
        }
    });
    let (tar, network) = (stage.tar.as_str(), stage.network.as_str());
    let out = stage.path("out");
    for command in json_commands(tar, network) {
        assert!(matches!(tame(&command.iter().map(String::as_str).collect::<Vec<_>>()), Some(0 | 3)), "{command:?}");
    }
    for command in [
        &["verify", tar, "--network", network][..],
        &["contributions", tar, "--network", network],
        &["forks", tar, "--network", network],
        &["manifest", "verify", tar, "--network", network],
        &["report", tar, "--network", network, "--out", &out],
        &["feed", tar],
        &["record", tar, &stage.anchors[0]],
    ] {
        assert!(matches!(tame(command), Some(0 | 3)), "{command:?}");
    }
    // And named on the command line.
    for name in HOSTILE {
        let path = stage.path(&name.replace('/', "-"));
        for command in json_commands(&path, network) {
            assert_eq!(tame(&command.iter().map(String::as_str).collect::<Vec<_>>()), Some(4), "{command:?}");
        }
        assert_eq!(tame(&["evidence", "verify", &path, "--archive", tar, "--network", network]), Some(4));
        assert_eq!(tame(&["feed", tar, name]), Some(2));
        assert_eq!(tame(&["record", tar, name]), Some(2));
        assert_eq!(tame(&["explain", name]), Some(2));
    }
    // The name itself is in the JSON, unharmed.
    let all = lines(&stage.verify_at(tar, &["--json"]).1);
    for name in HOSTILE {
        assert!(all.iter().any(|line| line["code"] == "ARC-001" && line["file"] == name), "{name:?}");
    }
}

/// A small archive in a tar with the genesis first, as no program of ours writes it: what is cut off are feeds and blobs. Gives
/// its bytes, and where the last file ends.
fn genesis_first(archive: &MemoryArchive, path: &str) -> (Vec<u8>, usize) {
    let mut builder = tar::Builder::new(Vec::new());
    let genesis = |name: &str| u8::from(name != "genesis");
    let mut files: Vec<_> = archive.iter().collect();
    files.sort_by_key(|(name, _)| genesis(name));
    let last = files.last().map_or(0, |(_, bytes)| bytes.len());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    let bytes = builder.into_inner().unwrap();
    fs::write(path, &bytes).unwrap();
    let end = bytes.len() - 1024 - last.next_multiple_of(512) + last;
    (bytes, end)
}

fn octal(digits: &[u8]) -> usize {
    usize::from_str_radix(&text(digits), 8).unwrap()
}

#[test]
fn a_tar_cut_short_anywhere_never_passes_and_an_anchor_that_was_cut_off_fails() {
    let stage = Stage::of(World::play(2, 1, fixture::policy(), SEED), |_, _| {});
    let anchors: Vec<&str> = stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let cut = stage.path("cut.tar");
    let archive = stage.world.archive();
    let (whole, end) = genesis_first(&archive, &cut);
    assert_eq!(stage.verify_at(&cut, &anchors).0, Some(0), "the order of a tar means nothing");
    let mut named = 0;
    // Around every block, and in steps that hit every place within one.
    let places = (0..=end).filter(|at| matches!(at % 512, 0 | 1 | 511) || at % 97 == 0);
    for at in places.filter(|at| *at < end) {
        fs::write(&cut, &whole[..at]).unwrap();
        let (code, output) = stage.verify_at(&cut, &anchors);
        // Without a byte it is an empty file, of which nothing can be said.
        assert_eq!(code, Some(if at == 0 { 3 } else { 4 }), "cut to {at} of {} bytes", whole.len());
        named += usize::from(text(&output.stderr).contains("cut short behind a file"));
    }
    assert!(named > 3, "a cut between two files is named: {named}");
    // Ended anew, so that it looks whole.
    let (mut ended, mut seen) = (0, [0; 5]);
    while ended < end {
        fs::write(&cut, [&whole[..ended], &[0; 1024]].concat()).unwrap();
        let (code, output) = stage.verify_at(&cut, &anchors);
        assert!(matches!(code, Some(1 | 3)), "cut to {ended} bytes: {code:?} {}", text(&output.stderr));
        seen[usize::try_from(code.unwrap()).unwrap()] += 1;
        if ended > 0 {
            assert!(matches!(stage.verify_at(&cut, &[]).0, Some(1 | 3)), "cut to {ended} bytes, without an anchor");
        }
        ended += 512 + octal(&whole[ended + 124..ended + 135]).next_multiple_of(512);
    }
    assert!(seen[1] > 0 && seen[3] > 0, "{seen:?}");
}

#[test]
fn an_archive_without_any_one_of_its_files_passes_only_if_nothing_rests_on_it_and_without_a_feed_fails_its_anchor() {
    let stage = Stage::new(|_, _| {});
    let anchors: Vec<&str> = stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let archive = stage.world.archive();
    // Payloads of updates on which no other member's record builds.
    let all = || stage.world.published.iter().flatten();
    let used: Vec<_> = all().flat_map(|one| one.checked.record().parent_ids().collect::<Vec<_>>()).collect();
    let idle = all().filter(|one| !used.contains(&one.checked.id()));
    let newest: Vec<String> = idle.map(|one| blob_name(one.checked.record().body.unwrap().hash)).collect();
    assert!((1..=3).contains(&newest.len()));
    for (name, length) in archive.files().unwrap() {
        let mut without = archive.clone();
        without.remove(&name);
        let tar = stage.path("without.tar");
        write_tar(&without, Path::new(&tar));
        let (code, output) = stage.verify_at(&tar, &anchors);
        let shown = text(&output.stdout);
        let idle = name.starts_with("blobs/") && newest.contains(&name);
        // Without the genesis nothing can be said of an anchor.
        let wanted = if name.starts_with("feeds/") {
            1
        } else if idle {
            0
        } else {
            3
        };
        assert_eq!(code, Some(wanted), "without {name} ({length} bytes): {shown}");
        assert_eq!(shown.contains("BLB-006"), idle, "{shown}");
        assert_ne!(stage.verify_at(&tar, &[]).0, Some(0), "without {name}, unanchored");
    }
}

#[test]
fn an_anchor_that_never_was_fails_and_nothing_to_check_is_incomplete_whatever_it_is_wrapped_in() {
    let stage = Stage::new(|_, _| {});
    let stranger = "ab".repeat(32);
    assert_eq!(stage.verify(&["--anchor", &stranger]).0, Some(1));
    assert_eq!(stage.verify(&["--anchor", &stage.anchors[0], "--anchor", &stranger]).0, Some(1), "one of two");
    let allowed = ["--allow-unanchored"];
    for (name, bytes) in [("none.tar", vec![]), ("zeros.tar", vec![0; 10_240]), ("one.tar", vec![0; 512])] {
        let path = stage.path(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(stage.verify_at(&path, &allowed).0, Some(3), "{name}");
        assert_eq!(stage.verify_at(&path, &["--anchor", &stage.anchors[0]]).0, Some(3), "{name}, anchored");
    }
    let folder = stage.path("empty");
    fs::create_dir(&folder).unwrap();
    assert_eq!(stage.verify_at(&folder, &allowed).0, Some(3));
    for layout in ["blobs", "feeds", "manifests", "evidence"] {
        fs::create_dir(Path::new(&folder).join(layout)).unwrap();
    }
    assert_eq!(stage.verify_at(&folder, &allowed).0, Some(3), "empty folders");
    // A genesis, and a feed of no records.
    fs::write(Path::new(&folder).join("genesis"), &stage.world.chain.signed()[0]).unwrap();
    fs::write(Path::new(&folder).join(format!("feeds/{}.0", stage.world.authors[0].id)), b"").unwrap();
    assert_eq!(stage.verify_at(&folder, &allowed).0, Some(3), "no record");
}
