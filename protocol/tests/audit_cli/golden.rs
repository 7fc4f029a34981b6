//! The golden archives: what was found in them once is found in them for ever.

use std::{collections::BTreeSet, fs, path::Path};

use chorale_protocol::code::blob_hash;
use serde_json::{Value, json};

use crate::{lines, run, text};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/archives")
}

fn cases() -> Vec<Value> {
    let bytes = fs::read(folder().join("golden.json")).unwrap();
    serde_json::from_slice::<Value>(&bytes).unwrap()["cases"].as_array().unwrap().clone()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn every_golden_archive_gives_the_codes_and_the_exit_code_that_it_always_gave() {
    let mut read = BTreeSet::from(["golden.json".to_owned()]);
    for case in cases() {
        let archive = folder().join(word(&case["archive"]));
        read.insert(word(&case["archive"]).to_owned());
        let bytes = fs::read(&archive).unwrap();
        assert_eq!(blob_hash(&bytes).to_string(), word(&case["blake3"]), "{archive:?} is not the one that is kept");
        let mut args = vec!["verify", archive.to_str().unwrap(), "--network", word(&case["network"]), "--json"];
        args.extend(case["anchors"].as_array().unwrap().iter().flat_map(|anchor| ["--anchor", word(anchor)]));
        args.extend(case["allow_unanchored"].as_bool().unwrap().then_some("--allow-unanchored"));
        let (code, output) = run(&args);
        let attested = lines(&output).last().unwrap()["counts"]["merges"]["attested"].clone();
        assert_eq!(attested, case["attested"], "{args:?}");
        let found = || lines(&output).into_iter().filter(|line| line["type"] == "finding");
        let mut codes: Vec<String> = found().map(|line| word(&line["code"]).to_owned()).collect();
        codes.sort();
        let wanted: Vec<&str> = case["codes"].as_array().unwrap().iter().map(word).collect();
        assert_eq!(codes, wanted, "{args:?}: {}", text(&output.stdout));
        if let Some(by) = case.get("by") {
            let mut found: Vec<Value> = found().map(|line| json!([line["code"], line["member"]])).collect();
            found.sort_by_key(ToString::to_string);
            assert_eq!(&Value::from(found), by, "{args:?}: {}", text(&output.stdout));
        }
        assert_eq!(code.map(i64::from), case["exit"].as_i64(), "{args:?}");
    }
    let there = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), read, "every file is used, and none is missing");
}

#[test]
fn every_family_of_findings_has_a_golden_archive() {
    let family = |code: &str| code.split('-').next().unwrap().to_owned();
    let explained = text(&run(&["explain"]).1.stdout);
    let mut families: BTreeSet<String> = explained.lines().map(family).collect();
    // Of a note, a request or a proof by itself; of a log in an archive LOG-001 and LOG-007 stand for them.
    for apart in ["ASK", "NOTE", "PRF"] {
        assert!(families.remove(apart), "{apart}");
    }
    let found =
        cases().into_iter().flat_map(|case| case["codes"].as_array().unwrap().clone()).map(|code| family(word(&code)));
    assert_eq!(found.collect::<BTreeSet<_>>(), families);
}
