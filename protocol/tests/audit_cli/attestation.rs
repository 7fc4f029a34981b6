//! Summaries and provenance, held against in-toto's own programs.

use std::{fs, path::Path, process::Command};

use crate::{Stage, run, text};

const PACKAGES: &str = "import in_toto_attestation, securesystemslib, cryptography";

#[test]
fn other_peoples_programs_read_and_verify_what_is_signed() {
    let Some(python) = std::env::var_os("CHORALE_PYTHON") else {
        println!("skipped: CHORALE_PYTHON not set");
        return;
    };
    if !Command::new(&python).args(["-c", PACKAGES]).status().is_ok_and(|status| status.success()) {
        println!("skipped: {} lacks one of: {PACKAGES}", python.display());
        return;
    }
    let stage = Stage::with_release(3, 3);
    let (key, out, bundle, pem) =
        (stage.path("key"), stage.path("r.html"), stage.path("all.jsonl"), stage.path("key.pem"));
    assert_eq!(run(&["key", "new", &key]).0, Some(0));
    fs::write(&pem, run(&["key", "show", &key, "--pem"]).1.stdout).unwrap();
    let report = ["report", &stage.folder, "--network", &stage.network, "--out", &out, "--sign", &key];
    let anchors: Vec<&str> = stage.anchors.iter().flat_map(|anchor| ["--anchor", anchor]).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oracle/attestation.py");
    for (more, exit) in [(&anchors[..], 0), (&[][..], 3)] {
        let (code, output) = run(&[&report[..], &["--time", "2026-01-31T12:00:00Z"], more].concat());
        assert_eq!(code, Some(exit), "{}", text(&output.stderr));
        let (code, output) = run(&["export", &stage.tar, "--as", "in-toto", "--sign", &key]);
        assert_eq!((code, text(&output.stdout).lines().count()), (Some(0), 4), "one release, three newest updates");
        fs::write(&bundle, output.stdout).unwrap();
        let mut program = Command::new(&python);
        let output =
            program.arg("-B").arg(&script).args([&pem, &format!("{out}.dsse.json"), &bundle]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let shown = text(&output.stdout);
        let of = |kind: &str| shown.lines().filter(|line| line.contains(kind)).count();
        assert_eq!((of("verification_summary/v1"), of("provenance/v1")), (1, 4), "{shown}");
    }
}
