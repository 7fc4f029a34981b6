//! The command line as people use it: homes, cards, agreeing on a network, joining it, changing it; what it says when
//! something is wrong.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_chorale"))
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("CHORALE_LOG")
            .output()
            .unwrap()
    }

    /// Runs what must work; its one JSON line.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs what must fail with `code`; what it said.
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// A home with the fake trainer, and its card beside it.
    fn member(&self, label: &str) {
        self.json(&["init", "--home", label, "--label", label]);
        let config = self.path(label).join("chorale.toml");
        let text = std::fs::read_to_string(&config).unwrap().replace("# trainer = \"torch\"", "trainer = \"fake\"");
        std::fs::write(config, text).unwrap();
        let card = self.run(&["card", "--home", label]);
        assert!(card.status.success());
        std::fs::write(self.path(&format!("{label}.card")), card.stdout).unwrap();
    }

    /// An unsigned genesis of a, b and c.
    fn trio(&self) {
        for label in ["a", "b", "c"] {
            self.member(label);
        }
        self.json(&[
            "network", "create", "--cards", "a.card", "b.card", "c.card", "--fake", "4096", "--out", "genesis",
        ]);
    }

    /// Copies of a manifest, each signed by one home, combined.
    fn signed(&self, file: &str, by: &[&str], out: &str) {
        let copies: Vec<String> = by.iter().map(|home| format!("{file}.{home}")).collect();
        for (home, copy) in by.iter().zip(&copies) {
            std::fs::copy(self.path(file), self.path(copy)).unwrap();
            self.json(&["network", "sign", "--home", home, copy]);
        }
        let copies: Vec<&str> = copies.iter().map(String::as_str).collect();
        self.json(&[&["network", "combine"], copies.as_slice(), &["--out", out]].concat());
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_secret_keys_and_never_overwrites() {
    let bench = Bench::new();
    bench.member("a");
    let keys = ["author.key", "next.key", "transport.key"].map(|key| bench.path("a/keys").join(key));
    assert!(keys.iter().all(|key| mode(key) == 0o600));
    let before = keys.each_ref().map(|key| std::fs::read(key).unwrap());
    assert_ne!(before[0], before[1]);
    let said = bench.fails(1, &["init", "--home", "a"]);
    assert!(said.contains("nothing is overwritten"), "{said}");
    assert_eq!(before, keys.each_ref().map(|key| std::fs::read(key).unwrap()));
    assert!(bench.fails(1, &["init", "--home", "x", "--label", "Dr Who"]).contains("a-z 0-9"));
    assert!(!bench.path("x").exists(), "a wrong label leaves nothing behind");
}

#[test]
fn a_card_holds_what_is_public_and_nothing_else() {
    let bench = Bench::new();
    bench.member("a");
    let card: Value = serde_json::from_slice(&std::fs::read(bench.path("a.card")).unwrap()).unwrap();
    let keys: Vec<&String> = card.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["author_key", "chorale_card", "label", "member", "next", "peer_id"]);
    for key in ["author.key", "next.key", "transport.key"] {
        let secret = std::fs::read_to_string(bench.path("a/keys").join(key)).unwrap();
        assert!(!card.to_string().contains(secret.trim()));
    }
}

#[test]
fn three_members_agree_on_a_network_and_join_it() {
    let bench = Bench::new();
    bench.trio();
    let said = bench.fails(1, &["network", "verify", "genesis"]);
    assert!(said.contains("voted"), "{said}");
    let shown = bench.json(&["network", "show", "genesis"]);
    assert_eq!(shown["members"].as_array().unwrap().len(), 3);
    assert!(shown["governors"].as_array().unwrap().iter().all(|governor| governor["signed"] == false));
    bench.signed("genesis", &["a", "b", "c"], "signed");
    let verified = bench.json(&["network", "verify", "signed"]);
    assert_eq!(verified["network"], shown["network"], "votes are no part of the network's id");
    for home in ["a", "b", "c"] {
        assert_eq!(bench.json(&["network", "join", "--home", home, "signed"])["network"], shown["network"]);
    }
    bench.member("d");
    let said = bench.fails(1, &["network", "join", "--home", "d", "signed"]);
    assert!(said.contains("not in the network"), "{said}");
    let said = bench.fails(1, &["network", "sign", "--home", "d", "genesis"]);
    assert!(said.contains("none of the governors"), "{said}");
}

#[test]
fn no_more_witnesses_are_wanted_than_there_are_others() {
    let bench = Bench::new();
    bench.trio();
    let create = |witnesses, out| {
        let cards = ["a.card", "b.card", "c.card"];
        let begin = ["network", "create", "--fake", "4096", "--witnesses", witnesses, "--out", out, "--cards"];
        [begin.as_slice(), cards.as_slice()].concat()
    };
    let said = bench.fails(1, &create("3", "too-many"));
    assert!(said.contains("--witnesses: got 3, wanted at most 2"), "{said}");
    bench.json(&create("2", "all"));
}

#[test]
fn one_home_stays_in_one_network() {
    let bench = Bench::new();
    bench.trio();
    bench.signed("genesis", &["a", "b", "c"], "signed");
    bench.json(&["network", "join", "--home", "a", "signed"]);
    bench
        .json(&["network", "create", "--cards", "a.card", "b.card", "--fake", "4096", "--seed", "7", "--out", "other"]);
    bench.signed("other", &["a", "b"], "other-signed");
    let said = bench.fails(1, &["network", "join", "--home", "a", "other-signed"]);
    assert!(said.contains("belongs to network") && said.contains("make another with chorale init"), "{said}");
    // Whether the other network knows this home or not.
    bench.json(&["network", "create", "--cards", "b.card", "c.card", "--fake", "4096", "--out", "without"]);
    bench.signed("without", &["b", "c"], "without-signed");
    let said = bench.fails(1, &["network", "join", "--home", "a", "without-signed"]);
    assert!(said.contains("belongs to network"), "{said}");
}

#[test]
fn an_archivist_is_named_and_its_home_does_not_run_yet() {
    let bench = Bench::new();
    bench.trio();
    let create = ["network", "create", "--cards", "a.card", "b.card", "--archivist", "c.card", "--fake", "4096"];
    bench.json(&[create.as_slice(), &["--out", "kept"]].concat());
    let shown = bench.json(&["network", "show", "kept"]);
    let roles =
        shown["members"].as_array().unwrap().iter().map(|member| (member["label"].as_str(), member["role"].as_str()));
    assert!(roles.clone().any(|one| one == (Some("c"), Some("archivist"))), "{shown}");
    assert_eq!(roles.filter(|(_, role)| *role == Some("member")).count(), 2);
    bench.signed("kept", &["a", "b"], "kept-signed");
    bench.json(&["network", "join", "--home", "c", "kept-signed"]);
    let said = bench.fails(1, &["run", "--home", "c"]);
    assert!(said.contains("names this home as archivist"), "{said}");
}

#[test]
fn a_successor_admits_a_member_and_is_handed_to_the_node() {
    let bench = Bench::new();
    bench.trio();
    bench.signed("genesis", &["a", "b", "c"], "signed");
    for home in ["a", "b"] {
        bench.json(&["network", "join", "--home", home, "signed"]);
    }
    bench.member("d");
    let said = bench.fails(1, &["network", "propose", "--home", "d", "--out", "v1"]);
    assert!(said.contains("joined no network"), "{said}");
    bench.json(&["network", "propose", "--home", "a", "--add-member", "d.card", "--rounds", "30", "--out", "v1"]);
    let shown = bench.json(&["network", "show", "v1"]);
    assert_eq!((shown["version"].as_u64(), shown["policy"]["rounds"].as_u64()), (Some(1), Some(30)));
    bench.signed("v1", &["a"], "one-vote");
    let said = bench.fails(1, &["network", "apply", "--home", "a", "one-vote"]);
    assert!(said.contains("does not follow"), "{said}");
    bench.signed("v1", &["a", "b"], "two-votes");
    assert_eq!(bench.json(&["network", "verify", "signed", "two-votes"])["version"], 1);
    bench.json(&["network", "apply", "--home", "a", "two-votes"]);
    assert!(bench.path("a/inbox/000001.manifest").is_file());
    let said = bench.fails(1, &["network", "apply", "--home", "a", "signed"]);
    assert!(said.contains("genesis"), "{said}");
    bench.json(&["network", "join", "--home", "d", "signed", "two-votes"]);
    let said = bench.fails(1, &["network", "propose", "--home", "a", "--remove", "nobody", "--out", "v2"]);
    assert!(said.contains("\"nobody\" is no member"), "{said}");
    // A node that does not run takes versions one after the other, and none with a gap before it.
    bench.json(&["network", "propose", "--home", "d", "--rounds", "40", "--out", "v2"]);
    bench.signed("v2", &["a", "b"], "v2-signed");
    let said = bench.fails(1, &["network", "apply", "--home", "b", "v2-signed"]);
    assert!(said.contains("apply version 1 first"), "{said}");
    bench.json(&["network", "apply", "--home", "a", "v2-signed"]);
    assert!(bench.path("a/inbox/000002.manifest").is_file());
}

#[test]
fn votes_for_different_manifests_are_not_mixed() {
    let bench = Bench::new();
    bench.trio();
    bench.json(&["network", "create", "--cards", "a.card", "b.card", "--fake", "4096", "--out", "other"]);
    let said = bench.fails(1, &["network", "combine", "genesis", "other", "--out", "mixed"]);
    assert!(said.contains("different manifests"), "{said}");
    assert!(
        bench
            .fails(1, &["network", "create", "--cards", "a.card", "a.card", "--fake", "9999", "--out", "x"])
            .contains("two cards")
    );
    let said =
        bench.fails(1, &["network", "create", "--cards", "a.card", "--fake", "4096", "--codec", "f32", "--out", "x"]);
    assert!(said.contains("bfp16 or bfp8"), "{said}");
    let dense = ["network", "create", "--cards", "a.card", "--fake", "4096", "--targets", "dense", "--out", "x"];
    let whole = bench.fails(1, &dense);
    assert!(whole.contains("--targets dense: this version of chorale trains LoRA factors only"), "{whole}");
}

#[test]
fn a_forged_card_is_refused() {
    let bench = Bench::new();
    bench.member("a");
    bench.member("b");
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    let (a, b): (Value, Value) =
        (serde_json::from_str(&read("a.card")).unwrap(), serde_json::from_str(&read("b.card")).unwrap());
    let mut forged = a.clone();
    forged["author_key"] = b["author_key"].clone();
    std::fs::write(bench.path("forged.card"), forged.to_string()).unwrap();
    let create = ["network", "create", "--fake", "4096", "--out", "g", "--cards"];
    let said = bench.fails(1, &[create.as_slice(), &["forged.card", "b.card"]].concat());
    assert!(said.contains("is not the author key's"), "{said}");
    std::fs::write(bench.path("huge.card"), vec![b' '; 1 << 17]).unwrap();
    assert!(bench.fails(1, &[create.as_slice(), &["huge.card"]].concat()).contains("more than"));
    let mut loud = a;
    loud["label"] = "\u{1b}[2Jx".into();
    std::fs::write(bench.path("loud.card"), loud.to_string()).unwrap();
    let said = bench.fails(1, &[create.as_slice(), &["loud.card", "b.card"]].concat());
    assert!(!said.contains('\u{1b}'), "foreign text reaches the terminal escaped: {said:?}");
}

#[test]
fn configuration_errors_name_file_key_and_what_was_wanted() {
    let bench = Bench::new();
    bench.member("a");
    let config = bench.path("a/chorale.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let card = |text: &str| {
        std::fs::write(&config, text).unwrap();
        bench.fails(1, &["card", "--home", "a"])
    };
    let said = card(&text.replace("# batch = 16", "batch = 0"));
    assert!(said.contains("chorale.toml: train.batch: got 0, wanted 1 to 65536"), "{said}");
    let said = card(&text.replace("# batch = 16", "bach = 16"));
    assert!(said.contains("unknown field `bach`"), "{said}");
    let said = card(&text.replace("# batch = 16", "batch = \"\u{1b}[31m\""));
    assert!(!said.contains('\u{1b}'), "{said:?}");
    std::fs::remove_file(&config).unwrap();
    let said = bench.fails(1, &["card", "--home", "a"]);
    assert!(said.contains("no home folder") && said.contains("chorale init"), "{said}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let bench = Bench::new();
    bench.fails(2, &["network"]);
    bench.fails(2, &["init"]);
    bench.fails(2, &["frobnicate"]);
    assert!(bench.run(&["--help"]).status.success());
}

#[test]
fn a_node_without_a_network_or_with_open_keys_does_not_start() {
    let bench = Bench::new();
    bench.trio();
    let said = bench.fails(1, &["run", "--home", "a"]);
    assert!(said.contains("network join"), "{said}");
    bench.signed("genesis", &["a", "b", "c"], "signed");
    bench.json(&["network", "join", "--home", "a", "signed"]);
    let key = bench.path("a/keys/author.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = bench.fails(1, &["run", "--home", "a"]);
    assert!(said.contains("mode 644, wanted 600"), "{said}");
    let said = bench.fails(1, &["run", "--home", "a", "--set", "train.batch=many"]);
    assert!(said.contains("flag --set: train.batch = many"), "{said}");
    assert!(bench.fails(1, &["status", "--home", "a"]).contains("no node has run"));
}

#[test]
fn the_doctor_names_each_problem_and_what_to_do() {
    let bench = Bench::new();
    bench.trio();
    let output = bench.run(&["doctor", "--home", "a", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let find =
        |check: &str| report["findings"].as_array().unwrap().iter().find(|f| f["check"] == check).unwrap().clone();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((find("keys")["ok"].as_bool(), find("network")["ok"].as_bool()), (Some(true), Some(false)));
    assert!(find("network")["text"].as_str().unwrap().contains("network join"), "{report}");
    std::fs::set_permissions(bench.path("a/keys/transport.key"), std::fs::Permissions::from_mode(0o604)).unwrap();
    let output = bench.run(&["doctor", "--home", "a"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("chmod 600"));
}
