//! `checkpoint`, and what `record`, `verify`, `diff` and `report` say of logs.

use std::fs;

use chorale_protocol::{
    audit::MemoryArchive,
    code::blob_hash,
    fixture,
    log::{ProofFile, TreeHash},
    manifest::Policy,
};

use crate::{SEED, Stage, ledger::Ledger, lines, run, text, world::World, write_folder};

const EARLY: u64 = 1_700_000_050;
const LATE: u64 = 1_700_000_200;

/// Four members, two of whom must cosign; member 0 keeps a log with a head after each of two rounds. The second round names the
/// first head.
fn witnessed() -> (World, Ledger) {
    let mut world = World::play(4, 1, Policy { witnesses: Some(2), ..fixture::policy() }, SEED);
    let mut ledger = Ledger::of(0, &world);
    let first = ledger.publish(&world, &[(1, EARLY), (2, EARLY + 5)]);
    for who in 0..4 {
        let record = world.step_with(who, |draft| draft.record.seen = Some(blob_hash(&first)));
        ledger.accept(&record);
    }
    ledger.publish(&world, &[(3, LATE), (1, LATE + 10)]);
    ledger.put(&mut world);
    (world, ledger)
}

fn stage() -> (Stage, Ledger) {
    let (world, ledger) = witnessed();
    (Stage::of(world, |_, _| {}), ledger)
}

impl Stage {
    fn genesis(&self) -> String {
        format!("{}/genesis", self.folder)
    }

    /// Writes a file into the stage's own folder.
    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn the_logs_of_an_archive_verify() {
    let (stage, ledger) = stage();
    let (code, shown) = stage.both(&["checkpoint", "verify"], &["--network", &stage.network]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("silo-0") && shown.contains("give the root"), "{shown}");
    let (code, output) = run(&["checkpoint", "verify", &stage.folder, "--json"]);
    let all = lines(&output);
    let summary = all.last().unwrap();
    assert_eq!((code, summary["logs"].as_u64(), summary["trees"].as_u64()), (Some(0), Some(1), Some(1)));
    assert_eq!(all.iter().filter(|line| line["type"] == "checkpoint").count(), 3, "two kept, the newest");
    assert_eq!(all[0]["cosigners"][0]["time_s"].as_u64().map(|time| time / 100), Some(EARLY / 100));

    fs::remove_file(format!("{}/{}", stage.folder, ledger.file("tile/0/000.p/8"))).unwrap();
    fs::write(format!("{}/{}", stage.folder, ledger.file("checkpoint")), b"\x1b[2J").unwrap();
    let (code, output) = run(&["checkpoint", "verify", &stage.folder]);
    assert_eq!(code, Some(1));
    assert!(text(&output.stdout).contains("LOG-001") && !output.stdout.contains(&0x1b));
    let none = Stage::new(|_, _| {});
    assert_eq!(run(&["checkpoint", "verify", &none.folder]).0, Some(3), "nothing checked is no pass");
}

#[test]
fn another_network_gives_1_and_an_archive_that_is_not_there_4() {
    let (stage, _) = stage();
    let (other, nowhere) = ("07".repeat(32), stage.path("nowhere"));
    let id = stage.world.records[0].id().to_string();
    let ask = |archive: &str, network: &str| {
        [&["verify", archive][..], &["consistency", "3", "8", archive], &["inclusion", &id, archive]].map(|command| {
            let (code, output) = run(&[&["checkpoint"], command, &["--network", network, "--json"]].concat());
            assert_eq!(lines(&output).last().unwrap()["exit"].as_i64(), code.map(i64::from), "{command:?}");
            code
        })
    };
    assert_eq!(ask(&stage.tar, &other), [Some(1); 3]);
    assert_eq!(ask(&nowhere, &stage.network), [Some(4); 3]);
}

#[test]
fn a_note_verifies_by_itself_with_the_keys_of_a_genesis_or_an_archive() {
    let (stage, ledger) = stage();
    let note = format!("{}/{}", stage.folder, ledger.file("checkpoint"));
    for keys in [["--genesis", &stage.genesis()], ["--archive", &stage.tar]] {
        let (code, output) = run(&["checkpoint", "verify", &note, keys[0], keys[1]]);
        let shown = text(&output.stdout);
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("Leaves      8") && shown.contains("2023-11-14T22:16:40Z"), "{shown}");
    }
    let more = run(&["checkpoint", "verify", &note, "--genesis", &stage.genesis(), "--witnesses", "3", "--json"]);
    assert_eq!((more.0, lines(&more.1)[0]["exit"].as_u64()), (Some(3), Some(3)), "too few cosigners");
    assert_eq!(run(&["checkpoint", "verify", &note, "--network", &stage.network]).0, Some(2), "an id tells no keys");
    let changed = stage.write("changed", &fs::read(&note).unwrap().replace_once(b"\n8\n", b"\n9\n"));
    let (code, output) = run(&["checkpoint", "verify", &changed, "--genesis", &stage.genesis(), "--json"]);
    assert_eq!((code, lines(&output)[0]["exit"].as_u64()), (Some(1), Some(1)));
    assert!(text(&output.stderr).contains("NOTE-013"));
    assert_eq!(run(&["checkpoint", "verify", &stage.path("nowhere"), "--genesis", &stage.genesis()]).0, Some(4));
}

trait ReplaceOnce {
    fn replace_once(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceOnce for Vec<u8> {
    fn replace_once(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self.windows(from.len()).position(|window| window == from).unwrap();
        [&self[..at], to, &self[at + from.len()..]].concat()
    }
}

#[test]
fn a_later_head_is_proved_to_continue_an_earlier_one() {
    let (stage, ledger) = stage();
    let (code, shown) = stage.both(&["checkpoint", "consistency", "4", "8"], &[]);
    assert_eq!(code, Some(0), "{shown}");
    let proof = ledger.tree.consistency(4, 8).unwrap();
    assert!(proof.iter().all(|hash: &TreeHash| shown.contains(&hash.to_string())), "{shown}");
    let json = run(&["checkpoint", "consistency", "4", "8", &stage.folder, "--log", "silo-0", "--json"]);
    assert_eq!(lines(&json.1)[0]["proof"].as_array().map(Vec::len), Some(proof.len()));
    for (old, new) in [("8", "4"), ("4", "9"), ("3", "8"), ("0", "8"), ("4", "7")] {
        let (code, output) = run(&["checkpoint", "consistency", old, new, &stage.folder]);
        assert_eq!(code, Some(2), "{old} {new}: no such head was signed");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(run(&["checkpoint", "consistency", "4", "8", &stage.folder, "--log", "silo-1"]).0, Some(3));
}

#[test]
fn a_record_is_proved_to_be_in_a_log_and_the_proof_verifies_by_itself() {
    let (stage, _) = stage();
    let record = &stage.world.records[5];
    let (id, out) = (record.id().to_string(), stage.path("record.tlog-proof"));
    let (code, shown) = stage.both(&["checkpoint", "inclusion", &id[..12]], &["--out", &out]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("leaf 5") && shown.contains(&id), "{shown}");
    let proof = ProofFile::parse(&fs::read(&out).unwrap()).unwrap();
    assert_eq!((proof.index, proof.record.as_deref()), (5, Some(record.bytes().as_ref())));

    let verify = |file: &str, more: &[&str]| {
        run(&[&["checkpoint", "verify", file, "--genesis", &stage.genesis()], more].concat())
    };
    let (code, output) = verify(&out, &["--json"]);
    let line = &lines(&output)[0];
    assert_eq!((code, line["record"].as_str(), line["index"].as_u64()), (Some(0), Some(id.as_str()), Some(5)));
    assert_eq!(verify(&out, &["--witnesses", "3"]).0, Some(3));
    let other = ProofFile { record: Some(stage.world.records[4].bytes().to_vec()), ..proof.clone() };
    let (code, output) = verify(&stage.write("other", &other.to_bytes()), &[]);
    assert_eq!(code, Some(1));
    assert!(text(&output.stderr).contains("PRF-004"));
    let bare = ProofFile { record: None, ..proof.clone() };
    assert_eq!(verify(&stage.write("bare", &bare.to_bytes()), &[]).0, Some(3), "nothing to prove");
    let moved = ProofFile { index: 4, ..proof };
    assert_eq!(verify(&stage.write("moved", &moved.to_bytes()), &[]).0, Some(1));

    // The first head has two cosigners, the second as many; nobody's has three.
    let many = run(&["checkpoint", "inclusion", &id, &stage.folder, "--witnesses", "3", "--json"]);
    assert_eq!((many.0, lines(&many.1)[0]["exit"].as_u64()), (Some(3), Some(3)));
    for wrong in ["0000000000", "ab"] {
        assert_eq!(run(&["checkpoint", "inclusion", wrong, &stage.folder]).0, Some(2), "{wrong}");
    }
}

#[test]
fn a_record_is_shown_with_its_interval_beside_the_time_that_it_claims() {
    let (stage, _) = stage();
    let id = stage.world.records[5].id().to_string();
    let (code, shown) = stage.both(&["record"], &[&id]);
    assert_eq!(code, Some(0));
    assert!(
        shown.contains("Time by cosigners from 2023-11-14T22:14:10Z to 2023-11-14T22:16:50Z (2 needed)\n"),
        "{shown}"
    );
    assert!(shown.contains("Time claimed      2023-11-14T22:14:00Z\n"), "{shown}");
    let (_, output) = run(&["record", &stage.folder, &id, "--json"]);
    let line = &lines(&output)[0];
    let bounds = (line["interval"]["not_before_s"].as_u64(), line["interval"]["not_after_s"].as_u64());
    assert_eq!(bounds, (Some(EARLY), Some(LATE + 10)));
    assert_eq!(line["claimed_time_outside"], false);
}

#[test]
fn verify_and_report_count_what_is_witnessed() {
    let (stage, ledger) = stage();
    let anchors: Vec<&str> = stage.anchors.iter().flat_map(|id| ["--anchor", id]).collect();
    let (code, output) = stage.verify(&[&anchors[..], &["--json"]].concat());
    let all = lines(&output);
    let summary = all.last().unwrap();
    assert_eq!(code, Some(0), "{summary}");
    assert_eq!(summary["counts"]["witnessed"]["ok"], 8);
    assert_eq!((&summary["witnesses"], &summary["intervals"]["both"]), (&2.into(), &4.into()));
    let (code, output) = stage.verify(&[&anchors[..], &["--witnesses", "3"]].concat());
    assert_eq!(code, Some(3));
    assert!(text(&output.stdout).contains("WIT-001 UNWITNESSED"));
    let page = stage.path("page.html");
    let report = run(&[&["report", &stage.folder, "--network", &stage.network, "--out", &page], &anchors[..]].concat());
    assert_eq!(report.0, Some(0));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Witnessed") && page.contains("4 records are bounded on both sides"));
    // A folder where a tile should be.
    let folder = format!("{}/{}", stage.folder, ledger.file("tile/0/x001/002/odd"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(format!("{folder}/file"), b"x").unwrap();
    let (code, output) = stage.verify_at(&stage.folder, &anchors);
    assert_eq!(code, Some(3));
    assert!(text(&output.stdout).contains("ARC-001"));
}

#[test]
fn two_heads_of_one_log_are_a_split_view() {
    let (stage, _) = stage();
    let (mut world, ledger) = witnessed();
    let mut other = Ledger::new(0);
    world.records.iter().rev().for_each(|record| other.accept(record));
    other.publish(&world, &[(3, LATE)]);
    other.put(&mut world);
    let mut archive: MemoryArchive = world.archive();
    archive.remove(&ledger.file("notes/00000000000000000004"));
    let second = stage.path("second");
    write_folder(&archive, second.as_ref());
    let (code, output) = run(&["diff", &stage.folder, &second]);
    assert_eq!(code, Some(1));
    assert!(text(&output.stdout).contains("SPLIT VIEW of the log of silo-0"), "{}", text(&output.stdout));
    let (code, output) = run(&["diff", &stage.folder, &second, "--json"]);
    let all = lines(&output);
    let split = all.iter().find(|line| line["type"] == "log_split").unwrap();
    assert_eq!((code, all.last().unwrap()["splits"].as_u64()), (Some(1), Some(1)));
    assert_ne!(split["a"]["root"], split["b"]["root"]);
    assert_eq!(run(&["diff", &stage.folder, &stage.tar]).0, Some(0));
}
