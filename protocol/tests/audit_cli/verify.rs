//! `verify`, and what shows without a verdict.

use std::{fs, path::Path};

use chorale_protocol::{
    audit::{MemoryArchive, layout::Name},
    base::{Incarnation, MergeHash},
    fixture,
    manifest::Policy,
};

use crate::{SEED, Stage, ledger::Ledger, lines, run, text, world::World};

#[test]
fn a_clean_archive_exits_with_0_when_anchored_and_3_when_not() {
    let stage = Stage::new(|_, _| {});
    let anchors: Vec<&str> = stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let (code, output) = stage.verify(&anchors);
    assert_eq!(code, Some(0), "{}", text(&output.stdout));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("9 merges recomputed, all equal.")
            && shown.contains("Verdict: PASSED (anchors reach the end of all 3 feeds)\n"),
        "{shown}"
    );
    assert!(shown.contains("This does not prove:") && shown.contains(&stage.anchors[0]), "{shown}");
    assert!(output.stderr.is_empty(), "no progress without a terminal");

    let (code, output) = stage.verify(&[]);
    assert_eq!(code, Some(3));
    assert!(text(&output.stdout).contains("Verdict: INCOMPLETE (UNANCHORED)"));
    assert_eq!(stage.verify(&["--allow-unanchored"]).0, Some(0));
    assert_eq!(stage.verify(&["--allow-unanchored", "--no-recompute", "--threads", "1"]).0, Some(3));
}

#[test]
fn anchors_and_the_genesis_can_come_from_files() {
    let stage = Stage::new(|_, _| {});
    let file = |name: &str, bytes: &[u8]| {
        let path = stage.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let anchors = file("anchors", format!("# newest\n{}\n\n", stage.anchors.join("\n")).as_bytes());
    let genesis = file("genesis", &stage.world.chain.signed()[0]);
    let (code, _) = run(&["verify", &stage.folder, "--genesis", &genesis, "--anchor", &anchors]);
    assert_eq!(code, Some(0));
    for bad in [file("bad", b"not an id\n"), file("empty", b"# none\n"), "nowhere".to_owned()] {
        assert_eq!(stage.verify_at(&stage.folder, &["--anchor", &bad]).0, Some(2), "{bad}");
    }
    let (code, _) = run(&["verify", &stage.folder, "--genesis", &anchors]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_failure_exits_with_1_and_says_where() {
    let stage = Stage::new(|world, archive| {
        let name = Name::Feed(world.authors[1].id, Incarnation(0)).to_string();
        let mut bytes = archive.remove(&name).unwrap().to_vec();
        bytes[60] ^= 1;
        archive.insert(name, bytes.into());
    });
    let (code, output) = stage.verify(&["--json"]);
    assert_eq!(code, Some(1));
    let lines = lines(&output);
    let (summary, findings) = lines.split_last().unwrap();
    assert_eq!((summary["type"].as_str(), summary["exit"].as_u64()), (Some("summary"), Some(1)));
    assert_eq!(summary["verdict"], "FAILED");
    assert_eq!(summary["findings"].as_u64(), Some(findings.len() as u64));
    let failure = &findings[0];
    assert_eq!((failure["type"].as_str(), failure["severity"].as_str()), (Some("finding"), Some("failure")));
    let feeds = findings.iter().find(|finding| finding["member"] == stage.world.authors[1].id.to_string()).unwrap();
    assert!(feeds["offset"].is_u64() && feeds["meaning"].is_string() && feeds["action"].is_string());
    for finding in findings {
        let at = stage.world.authors.iter().position(|author| finding["member"] == author.id.to_string());
        assert_eq!(finding["label"], serde_json::json!(at.map(|at| format!("silo-{at}"))), "{finding}");
    }
    let (code, output) = stage.verify(&[]);
    assert_eq!(code, Some(1));
    assert!(text(&output.stdout).starts_with("FAILURE "), "failures come first");
}

#[test]
fn table_and_page_say_which_time_a_members_newest_record_claims() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.step_with(1, |draft| draft.record.claimed_time.0 += 3_600);
    let stage = Stage::of(world, |_, _| {});
    let (code, output) = stage.verify(&["--allow-unanchored"]);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(0), "{shown}");
    let out = stage.path("report.html");
    let report = ["report", &stage.folder, "--network", &stage.network, "--out", &out, "--allow-unanchored"];
    let (code, output) = run(&report);
    assert_eq!(code, Some(0), "{}", text(&output.stderr));
    let page = fs::read_to_string(&out).unwrap();
    for (label, hour) in [("silo-0", 22), ("silo-1", 23), ("silo-2", 22)] {
        let time = format!("2023-11-14T{hour}:14:00Z");
        let row = shown.lines().find(|line| line.starts_with(label)).unwrap();
        assert!(row.contains(&format!(" {time} ")), "{row}");
        let start = format!("<tr><td>{label}</td>");
        assert!(page.lines().any(|line| line.starts_with(&start) && line.ends_with(&format!("<td>{time}</td></tr>"))));
    }
}

#[test]
fn the_table_has_a_row_of_logs_with_what_failed_of_them() {
    for (damaged, counts) in [(false, ["1", "0", "0", "0"]), (true, ["0", "1", "0", "0"])] {
        let mut world = World::play(3, 2, Policy { witnesses: Some(1), ..fixture::policy() }, SEED);
        let mut ledger = Ledger::of(0, &world);
        ledger.publish(&world, &[(1, 1_700_000_050)]);
        ledger.put(&mut world);
        let stage = Stage::of(world, |_, archive| {
            let name = ledger.file("checkpoint");
            let mut note = archive.remove(&name).unwrap().to_vec();
            if damaged {
                let end = note.len() - 8;
                note[end] ^= 1;
            }
            archive.insert(name, note.into());
        });
        let shown = text(&stage.verify(&["--allow-unanchored"]).1.stdout);
        let row: Vec<&str> = shown.lines().find(|line| line.starts_with("logs ")).unwrap().split_whitespace().collect();
        assert_eq!(row[1..], counts, "{shown}");
    }
}

#[test]
fn nothing_to_check_exits_with_3() {
    let stage = Stage::new(|_, archive| *archive = MemoryArchive::default());
    let (code, output) = stage.verify(&["--allow-unanchored", "--json"]);
    assert_eq!(code, Some(3));
    assert_eq!(lines(&output).last().unwrap()["verdict"], "INCOMPLETE");
}

#[test]
fn wrong_use_exits_with_2_and_an_unreadable_archive_with_4_with_json_on_stdout() {
    let stage = Stage::new(|_, _| {});
    for wrong in [
        &["verify", &stage.folder, "--json"][..],
        &["verify", &stage.folder, "--network", "abc", "--json"],
        &["verify", "--json"],
        &["verify", &stage.folder, "--network", &stage.network, "--threads", "0", "--json"],
        &["nonsense", "--json"],
        &["verify", &stage.folder, "--network", &stage.network, "--anchor", "xyz", "--json"],
    ] {
        let (code, output) = run(wrong);
        assert_eq!(code, Some(2), "{wrong:?}");
        assert_eq!(lines(&output)[0]["exit"], 2, "{wrong:?}");
        assert!(!output.stderr.is_empty());
    }
    let missing = format!("{}/nowhere", stage.folder);
    let genesis = format!("{}/genesis", stage.folder);
    let broken = format!("{}.broken", stage.tar);
    fs::write(&broken, &fs::read(&stage.tar).unwrap()[..2_600]).unwrap();
    for unreadable in [&missing, &genesis, &broken] {
        let (code, output) = stage.verify_at(unreadable, &["--json"]);
        assert_eq!(code, Some(4), "{unreadable}: {}", text(&output.stderr));
        assert_eq!(lines(&output)[0]["exit"], 4);
    }
    assert_eq!(run(&["--help"]).0, Some(0));
    assert_eq!(run(&["--version"]).0, Some(0));
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_hostile_names_reach_no_terminal() {
    let stage = Stage::new(|_, _| {});
    let blob = stage.world.published[0][0].checked.record().body.unwrap().hash;
    let path = Path::new(&stage.folder).join(Name::Blob(blob).to_string());
    let away = Path::new(&stage.folder).parent().unwrap().join("away");
    fs::rename(&path, &away).unwrap();
    std::os::unix::fs::symlink(&away, &path).unwrap();
    fs::write(Path::new(&stage.folder).join("evil\u{1b}[2J\n"), b"x").unwrap();
    let (code, output) = stage.verify_at(&stage.folder, &["--allow-unanchored"]);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("BLB-001") && shown.contains("(a link)"), "{shown}");
    assert!(shown.contains("evil\\u{1b}[2J\\u{a}") && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(lines(&stage.verify_at(&stage.folder, &["--json"]).1).last().unwrap()["exit"], 3);
}

#[test]
fn feeds_records_and_codes_are_shown() {
    let stage = Stage::new(|_, _| {});
    let member = stage.world.authors[0].id.to_string();
    let (code, output) = run(&["feed", &stage.folder]);
    assert_eq!((code, text(&output.stdout).lines().count()), (Some(0), 3));
    let (code, output) = run(&["feed", &stage.tar, &member[..8]]);
    assert_eq!(code, Some(0));
    assert_eq!(text(&output.stdout).matches("update of round").count(), 3);
    assert_eq!(run(&["feed", &stage.tar, "silo-0"]).1.stdout, output.stdout, "by label, too");
    let (code, output) = run(&["record", &stage.folder, &stage.anchors[0]]);
    assert!(code == Some(0) && text(&output.stdout).contains("What              update of round "));
    assert_eq!(run(&["record", &stage.folder, "ffffffff"]).0, Some(2));
    assert_eq!(run(&["feed", &format!("{}/nowhere", stage.folder)]).0, Some(4));
    let (code, output) = run(&["explain", "mrg-001"]);
    assert!(code == Some(0) && text(&output.stdout).starts_with("MRG-001 (failure)"));
    assert!(text(&run(&["explain"]).1.stdout).lines().count() > 100);
    assert_eq!(run(&["explain", "XYZ-999"]).0, Some(2));
}

#[test]
fn what_shows_an_archive_exits_with_3_without_a_genesis_and_1_with_one_that_does_not_verify() {
    let stage = Stage::new(|_, _| {});
    let genesis = Path::new(&stage.folder).join("genesis");
    let mut bytes = fs::read(&genesis).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&genesis, bytes).unwrap();
    let all = || [vec!["feed"], vec!["record"], vec!["forks"], vec!["lineage"], vec!["manifest", "show"]];
    let code = |command: &[&str]| {
        let id: &[&str] = if command == ["record"] { &[&stage.anchors[0]] } else { &[] };
        run(&[command, &[&stage.folder], id].concat()).0
    };
    for command in all() {
        assert_eq!(code(&command), Some(1), "{command:?}");
    }
    fs::remove_file(&genesis).unwrap();
    for command in all() {
        assert_eq!(code(&command), Some(3), "{command:?}");
    }
}

#[test]
fn heads_only_says_in_words_and_in_json_that_it_is_weaker() {
    let stage = Stage::new(|_, _| {});
    let (code, output) = stage.verify(&["--allow-unanchored", "--heads-only"]);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(3));
    assert!(shown.contains("HEADS ONLY: weaker than a full verification.") && shown.contains("SIG-004"), "{shown}");
    let mode = |more: &[&str]| {
        let (_, output) = stage.verify(&[&["--allow-unanchored", "--json"], more].concat());
        lines(&output).last().unwrap()["signatures"].clone()
    };
    assert_eq!((mode(&["--heads-only"]), mode(&[])), ("heads".into(), "all".into()));
}

#[test]
fn the_same_archive_gives_the_same_bytes_on_any_number_of_threads() {
    let stage = Stage::with_release(4, 5);
    let of = |command: &[&str], threads: &str| {
        let output = run(&[command, &["--threads", threads]].concat()).1;
        assert!(output.stderr.is_empty(), "stdout carries results, stderr progress, which only a terminal gets");
        output.stdout
    };
    for command in [
        &["verify", &stage.folder, "--network", &stage.network, "--json"][..],
        &["verify", &stage.folder, "--network", &stage.network, "--heads-only"],
        &["contributions", &stage.tar, "--json"],
    ] {
        let one = of(command, "1");
        assert!(!one.is_empty());
        for threads in ["2", "7"] {
            assert_eq!(of(command, threads), one, "{command:?} on {threads} threads");
        }
    }
}

#[test]
fn a_flood_of_findings_is_cut_short_for_people_and_whole_in_json() {
    // Each of many publications breaks two rules: the codes take turns.
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    for _ in 0..30 {
        world.step_with(1, |draft| {
            draft.update().merge = MergeHash([9; 32]);
            draft.record.clock.0 += 1 << 21;
        });
    }
    let stage = Stage::of(world, |_, _| {});
    let (code, output) = stage.verify(&["--allow-unanchored"]);
    let shown = text(&output.stdout);
    assert_eq!(code, Some(1));
    let heads = |code: &str| shown.matches(&format!("FAILURE {code} ")).count();
    assert!(heads("MRG-001") == 10 && heads("RULE-004") == 10, "{} {}", heads("MRG-001"), heads("RULE-004"));
    assert!(shown.contains("more MRG-001 findings follow"));
    let all = lines(&stage.verify(&["--allow-unanchored", "--json"]).1);
    assert!(all.iter().filter(|line| line["code"] == "MRG-001").count() >= 30);
}
