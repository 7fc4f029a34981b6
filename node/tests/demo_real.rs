//! The demo on a real model and real silos, in a short form: together is better than alone, and the archive verifies.
//!
//! The full form: `scripts/demo.sh --model $CHORALE_SHARED/models/stories260K --data $M/{CancerGov,GARD,GHR,NIDDK}/train.jsonl
//! --test $M/{CancerGov,GARD,GHR,NIDDK}/test.jsonl` with M=$CHORALE_SHARED/data/health/medquad.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]
#![cfg(feature = "torch")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

const SILOS: [&str; 4] = ["CancerGov", "GARD", "GHR", "NIDDK"];

/// The silos' files of one split, no more than the first `lines` of each.
fn short(shared: &Path, split: &str, lines: usize, into: &Path) -> Vec<PathBuf> {
    let copy = |silo: &&str| {
        let text = std::fs::read_to_string(shared.join(format!("data/health/medquad/{silo}/{split}.jsonl"))).unwrap();
        let path = into.join(silo).with_extension(format!("{split}.jsonl"));
        std::fs::write(&path, text.lines().take(lines).collect::<Vec<_>>().join("\n") + "\n").unwrap();
        path
    };
    SILOS.iter().map(copy).collect()
}

#[test]
fn four_real_silos_together_are_better_than_each_alone_and_close_most_of_the_gap() {
    let Some(shared) = std::env::var_os("CHORALE_SHARED").map(PathBuf::from) else {
        return eprintln!("skipped: CHORALE_SHARED not set");
    };
    let program = Path::new(env!("CARGO_BIN_EXE_chorale"));
    if !program.with_file_name("chorale-audit").is_file() {
        return eprintln!(
            "skipped: chorale-audit is not built: cargo build --release -p chorale-protocol --features cli"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut command = Command::new(program);
    command.args(["demo", "run", "--json", "--out"]).arg(&out);
    command.arg("--model").arg(shared.join("models/stories260K"));
    command.arg("--data").args(short(&shared, "train", usize::MAX, dir.path()));
    command.arg("--test").args(short(&shared, "test", 24, dir.path()));
    command.args([
        "--rounds",
        "10",
        "--steps",
        "8",
        "--batch",
        "8",
        "--sequence-length",
        "128",
        "--curve-examples",
        "8",
    ]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));

    let report: Value = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let loss = |one: &Value| one["loss"].as_f64().unwrap();
    let of = |key: &str| report[key].as_array().unwrap().iter().map(loss).collect::<Vec<_>>();
    let (alone, federated) = (of("alone"), of("federated"));
    assert_eq!((alone.len(), federated.len()), (4, 4));
    let (best, worst) =
        (alone.iter().copied().fold(f64::INFINITY, f64::min), federated.iter().copied().fold(0.0, f64::max));
    assert!(worst < best, "together {federated:?}, alone {alone:?}");
    let mean = |all: &[f64]| all.iter().sum::<f64>() / 4.0;
    let pooled = loss(&report["pooled"]);
    let closed = (mean(&alone) - mean(&federated)) / (mean(&alone) - pooled);
    assert!(closed >= 0.8, "{closed:.3} of the gap closed: together {federated:?}, alone {alone:?}, pooled {pooled}");
    assert!(out.join("loss.svg").is_file());
    assert!(text.contains("\"audit_exit\":0"), "{text}");
}
