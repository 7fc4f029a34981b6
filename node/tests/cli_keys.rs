//! A member's key changes hands: as its operator and the governors do it, while the network runs.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "testnet/archived.rs"]
mod archived;
mod testnet;

use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use archived::{audit, read};
use chorale::config::{Home, keys};
use chorale_protocol::{
    audit::{MemoryArchive, Survey, Verdict, layout},
    base::{Incarnation, MemberId},
    code::blob_hash,
    feed::{Checked, Close, Spec, check, check_despite_cut, sign},
    log::{Checkpoint, Origin, TreeHash, sign as sign_head},
    manifest::Chain,
};
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

fn fails(args: &[&str], dir: &Path) -> String {
    let output = chorale(args, dir);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    said
}

/// Writes what a command prints into a file.
fn print(args: &[&str], file: &str, dir: &Path) {
    let output = chorale(args, dir);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(dir.join(file), output.stdout).unwrap();
}

/// Copies of a manifest, each signed by one home, combined into `<file>-signed`.
fn sign_by(homes: &[&str], file: &str, dir: &Path) -> String {
    let copies: Vec<String> = (0..homes.len()).map(|n| format!("{file}.{n}")).collect();
    for (home, copy) in homes.iter().zip(&copies) {
        std::fs::copy(dir.join(file), dir.join(copy)).unwrap();
        json(&["network", "sign", "--home", home, copy], dir);
    }
    let (copies, out) = (copies.iter().map(String::as_str).collect::<Vec<_>>(), format!("{file}-signed"));
    json(&[&["network", "combine"], copies.as_slice(), &["--out", &out]].concat(), dir);
    out
}

fn new_net(rounds: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    json(
        &[
            "testnet",
            "new",
            "--dir",
            "net",
            "--nodes",
            "3",
            "--fake",
            "64",
            "--rounds",
            rounds,
            "--steps",
            "1",
            "--keep-rounds",
            "0",
        ],
        dir.path(),
    );
    dir
}

/// Reads events until each of these has come, in any order.
fn until(events: &mut impl Iterator<Item = Value>, mut wanted: Vec<(&str, &str)>) {
    let (deadline, mut seen) = (Instant::now() + Duration::from_secs(180), Vec::new());
    while !wanted.is_empty() {
        let event = events.next().unwrap_or_else(|| panic!("the network ended before {wanted:?}: {seen:?}"));
        assert!(Instant::now() < deadline, "no {wanted:?} in {seen:?}");
        if let Some(at) = wanted.iter().position(|(node, what)| event["node"] == *node && event["event"] == *what) {
            wanted.remove(at);
        }
        seen.push(event);
    }
}

/// The records of one feed file.
fn feed(archive: &MemoryArchive, chain: &Chain, member: MemberId, incarnation: u64) -> Vec<Checked> {
    let name = layout::feed_name(member, Incarnation(incarnation));
    let Some((_, file)) = archive.iter().find(|(other, _)| *other == name) else { return Vec::new() };
    let (mut records, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let length = u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        records.push(check_despite_cut(file.slice(at + 4..at + 4 + length), chain).unwrap());
        at += 4 + length;
    }
    records
}

#[test]
fn a_member_rotates_its_key_while_the_network_runs_and_the_old_key_signs_nothing_more() {
    let dir = new_net("0");
    let dir = dir.path();
    let (mut net, mut events) = up(dir);
    until(&mut events, vec![("node-0", "round"), ("node-1", "round"), ("node-2", "round")]);
    let before = json(&["key", "show", "--home", "net/node-0"], dir);
    print(&["key", "rotate", "--home", "net/node-0"], "rotation.json", dir);
    json(&["network", "propose", "--home", "net/node-1", "--rotate", "rotation.json", "--out", "v1"], dir);
    let signed = sign_by(&["net/node-0", "net/node-1"], "v1", dir);
    json(&["network", "apply", "--home", "net/node-1", &signed], dir);
    until(&mut events, vec![("node-0", "new_key")]);
    // Under the new key, and merged by the others.
    until(&mut events, vec![("node-0", "round"), ("node-0", "round"), ("node-1", "round"), ("node-2", "round")]);
    drop(events);
    json(&["testnet", "down", "--dir", "net"], dir);
    assert!(net.0.wait().unwrap().success());
    let after = json(&["key", "show", "--home", "net/node-0"], dir);
    assert_ne!(before["author_key"], after["author_key"]);
    assert_ne!(before["next"], after["next"]);

    let nodes = ["node-0", "node-1", "node-2"];
    for node in nodes {
        json(&["archive", "--home", &format!("net/{node}"), "--out", node], dir);
    }
    for node in &nodes[..2] {
        let (mut archive, chain) = read(&dir.join(node));
        // A node that was stopped has not fetched everything; among them they have.
        for other in nodes {
            let blobs = read(&dir.join(other)).0;
            let blobs = blobs.iter().filter(|(name, _)| name.starts_with("blobs/"));
            blobs.for_each(|(name, bytes)| archive.insert(name.to_owned(), bytes.clone()));
        }
        let member = chain.current().members.iter().find(|member| member.label == "node-0").unwrap().id;
        let report = audit(&archive, &chain, false);
        assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
        assert!(report.findings.iter().all(|finding| !finding.code.starts_with("KEY-")), "{:#?}", report.findings);
        let new = feed(&archive, &chain, member, 1);
        assert!(new.len() >= 2, "{} records under the new key", new.len());
        assert!(new.iter().all(|record| record.record().key.to_string() == after["author_key"].as_str().unwrap()));

        // Whoever still has the old key goes on with it.
        let old = feed(&archive, &chain, member, 0);
        let last = old.last().unwrap();
        let aside = format!("net/node-0/keys/author.key.{}", &before["author_key"].as_str().unwrap()[..8]);
        let mut record = last.record().clone();
        (record.spec, record.body, record.codec, record.parents) = (Spec::Close(Close::Left), None, None, Vec::new());
        (record.prev, record.seq, record.clock) = (Some(last.id()), record.seq.next(), record.clock.next());
        let stolen = sign(record, &keys::author(&dir.join(aside)).unwrap()).unwrap();
        assert_eq!(check(stolen.bytes().clone(), &chain).unwrap_err().code(), "REC-008");
        let name = layout::feed_name(member, Incarnation(0));
        let mut file = archive.remove(&name).unwrap().to_vec();
        file.extend(layout::frame(stolen.bytes()));
        archive.insert(name, file.into());
        let report = audit(&archive, &chain, false);
        assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
        assert!(report.findings.iter().any(|finding| finding.code == "CUT-001"), "{:#?}", report.findings);
    }
}

/// Writes a head that the member never had into what others hold of its log, as if a thief had let them cosign it.
fn steal(dir: &Path, member: MemberId, note: &[u8]) {
    for node in ["net/node-1", "net/node-2"] {
        std::fs::write(dir.join(node).join("store/log/held").join(member.to_string()), note).unwrap();
    }
}

#[test]
fn a_member_whose_log_was_stopped_with_its_stolen_key_goes_on_with_it_under_the_next_key() {
    let dir = new_net("0");
    let dir = dir.path();
    for node in ["node-0", "node-1", "node-2"] {
        let path = dir.join("net").join(node).join("chorale.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let quick = text.replace("# checkpoint_ms = 30000", "checkpoint_ms = 100");
        assert_ne!(text, quick);
        std::fs::write(path, quick).unwrap();
    }
    let (mut net, mut events) = up(dir);
    let log = || {
        let status = std::fs::read(dir.join("net/node-0/status.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&status).map_or(Value::Null, |status| status["log"].clone())
    };
    let mut wait = |wanted: &dyn Fn(&Value) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !wanted(&log()) {
            events.next().expect("the network ended");
            assert!(Instant::now() < deadline, "{}", log());
        }
    };
    wait(&|log| log["witnessed"].as_u64() > Some(3));
    let home = Home::open(&dir.join("net/node-0")).unwrap();
    let member: MemberId = json(&["card", "--home", "net/node-0"], dir)["member"].as_str().unwrap().parse().unwrap();
    let genesis = Chain::genesis(std::fs::read(home.genesis()).unwrap().into()).unwrap();
    let origin = Origin::new(&genesis.network(), &member);
    let longer = Checkpoint { origin, size: 1 << 20, root: TreeHash([7; 32]) };
    let stolen = sign_head(&longer, &keys::author(&home.author_key()).unwrap()).to_bytes();
    wait(&|log| {
        steal(dir, member, &stolen);
        log["frozen"] == true
    });
    print(&["key", "rotate", "--home", "net/node-0"], "rotation.json", dir);
    let wish: Value = serde_json::from_slice(&std::fs::read(dir.join("rotation.json")).unwrap()).unwrap();
    let end = wish["log"]["size"].as_u64().unwrap();
    assert!((1..1 << 20).contains(&end), "{wish}");
    json(&["network", "propose", "--home", "net/node-1", "--rotate", "rotation.json", "--out", "v1"], dir);
    assert_eq!(json(&["network", "show", "v1"], dir)["handovers"][0]["log"], wish["log"]);
    let signed = sign_by(&["net/node-0", "net/node-1"], "v1", dir);
    json(&["network", "apply", "--home", "net/node-1", &signed], dir);
    wait(&|log| log["frozen"] == false && log["witnessed"].as_u64() > Some(end));
    drop(events);
    json(&["testnet", "down", "--dir", "net"], dir);
    assert!(net.0.wait().unwrap().success());
    for node in ["node-0", "node-1", "node-2"] {
        json(&["archive", "--home", &format!("net/{node}"), "--out", node], dir);
        let (archive, _) = read(&dir.join(node));
        let (book, findings) = Survey::open(&archive, None).unwrap().log_book(member).unwrap();
        assert!(findings.iter().all(|finding| finding.code != "LOG-007"), "{node}: {findings:#?}");
        let Some(newest) = book.checkpoint else { continue };
        let whole = node == "node-0";
        assert!(newest.verified.checkpoint.size > end || !whole, "{node}: {:?}", newest.verified);
        assert_eq!((newest.verified.present || !whole, book.tree.is_some()), (true, whole), "{node}");
    }
}

#[test]
fn a_rotation_ends_the_old_key_at_the_head_that_its_member_gives() {
    let dir = new_net("3");
    let dir = dir.path();
    for odd in ["", "4", "0:4", "0:x:77", "0:4:77", "-1:4:77", &format!("0:4:{}:1", "7".repeat(64))] {
        let said = fails(&["key", "rotate", "--home", "net/node-2", &format!("--head={odd}")], dir);
        assert!(said.contains("wanted INCARNATION:SEQ:RECORD"), "{odd:?}: {said}");
    }
    let head = format!("0:4:{}", "7".repeat(64));
    print(&["key", "rotate", "--home", "net/node-2", "--head", &head], "rotation.json", dir);
    json(&["network", "propose", "--home", "net/node-1", "--rotate", "rotation.json", "--out", "v1"], dir);
    let handover = json(&["network", "show", "v1"], dir)["handovers"][0].clone();
    assert_eq!(handover["seq"], 4, "{handover}");
    assert_eq!(handover["record"], "7".repeat(64), "{handover}");
}

#[test]
fn a_proposal_wants_the_key_committed_to_or_says_that_it_is_a_re_binding() {
    let dir = new_net("3");
    let dir = dir.path();
    let handover = format!("node-2:0:4:{}", "7".repeat(64));
    print(&["key", "rotate", "--home", "net/node-2"], "rotation.json", dir);
    let wish: Value = serde_json::from_slice(&std::fs::read(dir.join("rotation.json")).unwrap()).unwrap();
    let propose = ["network", "propose", "--home", "net/node-1", "--out", "v1"];
    let said = fails(&[&propose[..], &["--rotate", "rotation.json"]].concat(), dir);
    assert!(said.contains("knows no record"), "{said}");
    let log = format!("node-2:12:{}", "1f".repeat(32));
    for (ends, expected) in
        [(vec![], Value::Null), (vec!["--log-end", &log], 12.into()), (vec!["--log-end", "node-2:0"], Value::Null)]
    {
        std::fs::remove_file(dir.join("v1")).ok();
        json(&[&propose[..], &["--rotate", "rotation.json", "--handover", &handover], &ends].concat(), dir);
        assert_eq!(json(&["network", "show", "v1"], dir)["handovers"][0]["log"]["size"], expected);
    }
    std::fs::remove_file(dir.join("v1")).unwrap();
    let said = fails(&[&propose[..], &["--log-end", &log]].concat(), dir);
    assert!(said.contains("whose key does not change"), "{said}");
    json(&[&propose[..], &["--rotate", "rotation.json", "--handover", &handover]].concat(), dir);
    let shown = json(&["network", "show", "v1"], dir);
    let entry = shown["members"].as_array().unwrap().iter().find(|member| member["label"] == "node-2").unwrap().clone();
    assert_eq!((&entry["author_key"], &entry["next"]), (&wish["key"], &wish["next"]));
    assert!(shown["governors"].to_string().contains(wish["key"].as_str().unwrap()), "its vote goes with the key");

    let mut other = wish.clone();
    other["key"] = json(&["key", "show", "--home", "net/node-1"], dir)["author_key"].clone();
    std::fs::write(dir.join("other.json"), other.to_string()).unwrap();
    let said = fails(&["network", "propose", "--home", "net/node-1", "--out", "v2", "--rotate", "other.json"], dir);
    assert!(said.contains("had not committed") && said.contains("--rebind"), "{said}");

    json(&["init", "--home", "fresh", "--label", "fresh"], dir);
    print(&["card", "--home", "fresh"], "fresh.card", dir);
    let rebind = ["--rebind", "node-2=fresh.card", "--handover", &handover];
    json(&[&["network", "propose", "--home", "net/node-1", "--out", "v3"][..], &rebind].concat(), dir);
    let card: Value = serde_json::from_slice(&std::fs::read(dir.join("fresh.card")).unwrap()).unwrap();
    let shown = json(&["network", "show", "v3"], dir);
    let bound = shown["members"].as_array().unwrap().iter().find(|member| member["label"] == "node-2").unwrap();
    assert_eq!((&bound["author_key"], &bound["id"]), (&card["author_key"], &entry["id"]));
    // Who leaves has a cut, whatever is known of it.
    json(&["network", "propose", "--home", "net/node-1", "--remove", "node-2", "--out", "v4"], dir);
    assert_eq!(json(&["network", "show", "v4"], dir)["cuts"][0]["member"], entry["id"]);
}

#[test]
fn a_manifest_that_convicts_a_governor_is_kept_and_archived() {
    let dir = new_net("1");
    let dir = dir.path();
    let homes = ["net/node-0", "net/node-1"];
    // It trains until it is told to stop: what is handed in comes while the node runs, however long that takes.
    for (file, rounds) in [("v1", "1000000"), ("w1", "4")] {
        json(&["network", "propose", "--home", "net/node-0", "--rounds", rounds, "--out", file], dir);
        sign_by(&homes, file, dir);
    }
    json(&["network", "apply", "--home", "net/node-0", "v1-signed"], dir);
    let (mut net, mut events) = up(dir);
    until(&mut events, vec![("node-0", "round")]);
    let handed = json(&["network", "apply", "--home", "net/node-0", "w1-signed"], dir);
    assert_eq!(handed["double_vote"].as_array().unwrap().len(), 2, "{handed}");
    until(&mut events, vec![("node-0", "double_vote")]);
    drop(events);
    json(&["testnet", "down", "--dir", "net"], dir);
    assert!(net.0.wait().unwrap().success());
    let status = json(&["status", "--home", "net/node-0"], dir);
    assert_eq!(status["double_votes"].as_array().unwrap().len(), 2, "{status}");
    json(&["archive", "--home", "net/node-0", "--out", "archive"], dir);
    let (archive, chain) = read(&dir.join("archive"));
    let proof = std::fs::read(dir.join("w1-signed")).unwrap();
    assert!(archive.iter().any(|(name, _)| name == layout::conflict_name(blob_hash(&proof))));
    let found = audit(&archive, &chain, false).findings;
    assert_eq!(found.iter().filter(|finding| finding.code == "GOV-001").count(), 2, "{found:#?}");
}

#[test]
fn a_home_without_the_key_that_the_manifest_names_does_not_start() {
    let dir = new_net("3");
    let dir = dir.path();
    json(&["init", "--home", "fresh", "--label", "fresh"], dir);
    print(&["card", "--home", "fresh"], "fresh.card", dir);
    let place = format!("node-2:0:4:{}", "7".repeat(64));
    json(
        &[
            "network",
            "propose",
            "--home",
            "net/node-1",
            "--rebind",
            "node-2=fresh.card",
            "--handover",
            &place,
            "--out",
            "v1",
        ],
        dir,
    );
    let signed = sign_by(&["net/node-0", "net/node-1"], "v1", dir);
    let genesis = Home::open(&dir.join("net/node-2")).unwrap().genesis();
    let genesis = genesis.to_str().unwrap();
    std::fs::create_dir_all(dir.join("net/node-2/manifests")).unwrap();
    std::fs::copy(dir.join(&signed), dir.join("net/node-2/manifests/000001")).unwrap();
    let said = fails(&["run", "--home", "net/node-2"], dir);
    assert!(said.contains("which this home does not have"), "{said}");
    let said = fails(&["key", "next", "--home", "net/node-2"], dir);
    assert!(said.contains("which this home does not have"), "{said}");
    // The new home is the member from now on.
    let config = dir.join("fresh/chorale.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("# trainer = \"torch\"", "trainer = \"fake\"");
    std::fs::write(config, text).unwrap();
    json(&["network", "join", "--home", "fresh", "--skip-model", genesis, &signed], dir);
}
