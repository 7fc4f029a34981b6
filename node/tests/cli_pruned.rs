//! A network that prunes: what its policy keeps is enough for an audit.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "testnet/archived.rs"]
mod archived;
mod testnet;

use std::{path::Path, process::Command};

use archived::{audit, read};
use chorale_protocol::audit::Verdict;
use testnet::up;

fn chorale(args: &[&str], dir: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_chorale")).args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_archive_after_the_last_round_passes_with_what_the_policy_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // The oldest round that is kept, 25 - 20, is one with momentum states, and nobody merged all others.
    let shape = ["--nodes", "3", "--fake", "4096", "--draw", "1", "--rounds", "25", "--momentum", "0.5"];
    let kept = ["--keep-rounds", "20", "--checkpoint-every", "5"];
    chorale(&[&["testnet", "new", "--dir", "net"][..], &shape, &kept].concat(), dir);
    let (mut net, events) = up(dir);
    assert!(events.count() > 0 && net.0.wait().unwrap().success());
    for node in ["node-0", "node-1", "node-2"] {
        chorale(&["archive", "--home", &format!("net/{node}"), "--out", node], dir);
        let (archive, chain) = read(&dir.join(node));
        let report = audit(&archive, &chain, true);
        assert_eq!(report.verdict(), Verdict::Passed, "{node}: {:#?}", report.findings);
    }
}
