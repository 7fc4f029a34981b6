//! A second verifier, in Python, written from the protocol's page, comes to the same findings as ours.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chorale_tests::fleet::{Options, Shape};

use crate::common::Fleet;

const PACKAGES: &str = "import blake3, cbor2, cryptography";

/// A Python with the packages, and our auditor's program; `None`, said why, where one of them is not there.
pub(crate) fn programs() -> Option<(PathBuf, PathBuf)> {
    let Some(python) = std::env::var_os("CHORALE_PYTHON").map(PathBuf::from) else {
        println!("skipped: CHORALE_PYTHON not set");
        return None;
    };
    if !Command::new(&python).args(["-c", PACKAGES]).status().is_ok_and(|status| status.success()) {
        println!("skipped: {} lacks one of: {PACKAGES}", python.display());
        return None;
    }
    let auditor = Path::new(env!("CARGO_BIN_EXE_chorale-test-node")).with_file_name("chorale-audit");
    if !auditor.is_file() {
        println!("skipped: {} is not built", auditor.display());
        return None;
    }
    Some((python, auditor))
}

/// Runs one of the programs in `tests/oracle`, and shows what it says.
pub(crate) fn agree(python: &Path, args: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle");
    let mut command = Command::new(python);
    let output = command.arg("-B").args(args).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{args:?}\n{said}");
    assert!(output.status.success(), "{args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn both_verifiers_agree_on_every_vector_and_on_forged_archives() {
    let Some((python, auditor)) = programs() else { return };
    agree(&python, &["verify.py", "vectors", "../../protocol/vectors"]);
    agree(&python, &["golden.py", "../../protocol/vectors/archives"]);
    agree(&python, &["forge.py", auditor.to_str().unwrap(), "--count", "300", "--seed", "1"]);
}

#[test]
fn both_verifiers_agree_on_a_real_archive_and_on_its_mutants() {
    let Some((python, auditor)) = programs() else { return };
    let shape = Shape { seed: 31, members: 3, values: 1024, rounds: 3, ..Shape::default() };
    let (fleet, members) = Fleet::start(shape, &Options::default());
    members.into_iter().for_each(|member| drop(member.finish()));
    let (archive, _) = fleet.audit(0);
    let network = fleet.network.chain().network().to_string();
    let (auditor, archive) = (auditor.to_str().unwrap(), archive.to_str().unwrap());
    let mutants = ["--count", "250", "--seed", "1", "--allow-unanchored"];
    agree(&python, &[&["differential.py", auditor, archive, &network], &mutants[..]].concat());
}
