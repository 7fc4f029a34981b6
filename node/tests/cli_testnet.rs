//! A local network from one command: made, run to the end, looked at, archived; supervised while it runs.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

mod testnet;

use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use chorale_protocol::audit::Anchor;
use serde_json::Value;
use testnet::up;

fn chorale(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chorale")).args(args).current_dir(dir).output().unwrap()
}

fn json(args: &[&str], dir: &Path) -> Value {
    let output = chorale(&[args, &["--json"]].concat(), dir);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_local_network_runs_to_its_last_round_and_every_home_can_be_archived() {
    let dir = tempfile::tempdir().unwrap();
    json(
        &["testnet", "new", "--dir", "net", "--nodes", "3", "--fake", "4096", "--rounds", "3", "--steps", "2"],
        dir.path(),
    );
    let (mut net, events) = up(dir.path());
    let events: Vec<Value> = events.collect();
    assert!(net.0.wait().unwrap().success());
    for node in ["node-0", "node-1", "node-2"] {
        let rounds = events.iter().filter(|e| e["node"] == node && e["event"] == "round").count();
        // A member that starts late lands at the frontier: it gets to the end in fewer rounds of its own.
        assert!((1..=3).contains(&rounds), "{node}: {rounds} rounds in {events:?}");
        let status = json(&["status", "--home", &format!("net/{node}")], dir.path());
        assert_eq!(status["state"], "finished");
        assert_eq!(status["round"], 3, "{status}");
        what_is_said_of_rounds_agrees(node, &events, &status);
        let archive = json(&["archive", "--home", &format!("net/{node}"), "--out", &format!("{node}.tar")], dir.path());
        assert_eq!(archive["anchor"], status["head"]["id"]);
        assert_eq!(archive["network"], status["network"]);
        anchors_lie_beside(node, &archive, dir.path());
        what_left_is_listed(node, rounds, status["blob_out"].as_u64().unwrap(), dir.path());
    }
    let said = chorale(&["archive", "--home", "net/node-0", "--out", "node-0.tar"], dir.path());
    assert_eq!(said.status.code(), Some(1), "an archive is never overwritten");
    let all = json(&["testnet", "status", "--dir", "net"], dir.path());
    assert_eq!(all["nodes"].as_array().unwrap().len(), 3);
    what_comes_too_late_is_refused(dir.path());
}

/// Behind the last round nothing is published any more, and the end is not put before what is over.
fn what_comes_too_late_is_refused(dir: &Path) {
    for order in [&["release", "--home", "net/node-0", "late"][..], &["leave", "--home", "net/node-0", "--yes"]] {
        let said = chorale(order, dir);
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.code() == Some(1) && text.contains("publishes nothing more"), "{order:?}: {text}");
    }
    let propose = |rounds, out| ["network", "propose", "--home", "net/node-0", "--rounds", rounds, "--out", out];
    for rounds in ["1", "3"] {
        let said = chorale(&propose(rounds, "late"), dir);
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.code() == Some(1) && text.contains("wanted more than 3"), "{rounds}: {text}");
        assert!(!dir.join("late").exists());
    }
    json(&propose("4", "longer"), dir);
    json(&propose("0", "without-end"), dir);
}

/// Lines and status of `node` say the same of each of its rounds: whom it merged, and of how many others.
fn what_is_said_of_rounds_agrees(node: &str, events: &[Value], status: &Value) {
    let of = |what: &str| events.iter().filter(|e| e["node"] == node && e["event"] == what).collect::<Vec<_>>();
    let rounds = of("round");
    assert_eq!(status["updates"], rounds.len(), "{status}");
    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), rounds.len());
    for (said, kept) in rounds.iter().zip(history) {
        for key in ["round", "record", "merge", "contributors", "skipped", "others", "wanted", "steps"] {
            assert!(!said[key].is_null() && said[key] == kept[key], "{key}: {said} {kept}");
        }
        let merged = said["contributors"].as_array().unwrap().iter();
        assert_eq!(said["others"], merged.filter(|one| one[0] != node).count(), "{said}");
        assert_eq!(said["wanted"], 2, "{said}");
    }
    let without = |said: &&&Value| said["others"] == 0 && said["contributors"] != Value::Array(Vec::new());
    let alone: Vec<&Value> = rounds.iter().filter(without).map(|said| &said["round"]).collect();
    assert_eq!(of("alone").iter().map(|said| &said["round"]).collect::<Vec<_>>(), alone);
    assert_eq!(status["alone"], rounds.iter().rev().take_while(without).count(), "{status}");
}

/// The file beside an archive holds what an auditor must find in it: the newest manifest version and every feed's newest record.
fn anchors_lie_beside(node: &str, archive: &Value, dir: &Path) {
    let name = format!("{node}.tar.anchors");
    assert_eq!(archive["anchors"], name.as_str());
    let text = std::fs::read_to_string(dir.join(name)).unwrap();
    let network = archive["network"].as_str().unwrap().parse().unwrap();
    let anchors = Anchor::in_lines(&text, network).unwrap();
    let records = anchors.iter().filter_map(|anchor| match anchor {
        Anchor::Record(id) => Some(Value::from(id.to_string())),
        _ => None,
    });
    let heads = archive["heads"].as_array().unwrap();
    assert_eq!((&records.collect::<Vec<_>>(), heads.len()), (heads, 3), "{text}");
    assert_eq!(anchors.iter().filter(|anchor| matches!(anchor, Anchor::Manifest(_))).count(), 1, "{text}");
    assert_eq!(anchors.len(), 4, "{text}");
    assert!(text.contains(&format!("network {network}\n")), "{text}");
}

/// The ledger of `node` names every adapter that it published, and every peer that took one.
fn what_left_is_listed(node: &str, rounds: usize, blob_out: u64, dir: &Path) {
    let home = format!("net/{node}");
    let output = chorale(&["ledger", "--home", &home, "--json"], dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sums = lines.pop().unwrap();
    assert_eq!(sums["lines_checked"], lines.len());
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let adapters: Vec<&Value> = of("signed").iter().map(|line| &line["body"]).filter(|body| !body.is_null()).collect();
    assert_eq!(adapters.len(), rounds, "{text}");
    let blobs = of("blob");
    for blob in &blobs {
        assert!(blob["member"].as_str().is_some_and(|to| to.starts_with("node-") && to != node), "{blob}");
        assert_eq!(blob["own"], adapters.contains(&&blob["blob"]), "{blob}");
    }
    let listed: u64 = blobs.iter().map(|blob| blob["bytes"].as_u64().unwrap()).sum();
    assert!(listed * 11 / 10 >= blob_out, "{listed} bytes of blobs are listed, {blob_out} left");
    assert!(of("gossip").iter().any(|line| line["own"] == true), "{text}");
    // A changed line is seen, and named.
    let path = dir.join(&home).join("egress.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replacen("\"n\":2,", "\"n\":3,", 1)).unwrap();
    let said = chorale(&["ledger", "--home", &home, "--totals"], dir);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("line 2 was changed"), "{said:?}");
    std::fs::write(&path, whole).unwrap();
}

#[test]
fn a_killed_node_is_started_again_and_down_stops_all() {
    let dir = tempfile::tempdir().unwrap();
    json(
        &["testnet", "new", "--dir", "net", "--nodes", "2", "--fake", "4096", "--rounds", "0", "--steps", "1"],
        dir.path(),
    );
    let (mut net, mut events) = up(dir.path());
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut until = |what: &str| {
        for event in events.by_ref() {
            assert!(Instant::now() < deadline, "no {what}");
            if event["event"] == what && event["node"] == "node-0" {
                return;
            }
        }
        panic!("the network ended before {what}");
    };
    until("round");
    let pid = json(&["status", "--home", "net/node-0"], dir.path())["pid"].as_u64().unwrap();
    assert!(Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status().unwrap().success());
    until("crashed");
    until("restarted");
    until("round");
    // Whoever reads no more must not keep the nodes from stopping.
    drop(events);
    json(&["testnet", "down", "--dir", "net"], dir.path());
    assert!(net.0.wait().unwrap().success());
    let status = json(&["status", "--home", "net/node-1"], dir.path());
    assert_eq!(status["state"], "stopped", "{status}");
}
