//! The golden vectors: bytes made by another implementation (`scripts/vectors`), and what must become of them.
//!
//! A file is `{topic, network, chain, cases: [{id, input, expect, note}]}`, and a case may bring a `chain` of its own; `input` is hexadecimal, or a list of such, and
//! `hex+xx*n` ends with n bytes xx.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use bytes::Bytes;
use chorale_protocol::{
    admit::{Bundle, FaultProof},
    code::{
        Domain, PublicKey, Signature,
        cbor::{self, Bounds},
    },
    feed::{Evidence, Feed, Linked, check, check_despite_cut},
    log::{
        Keyring, ProofFile, Request, Tile, Tree, TreeHash, WitnessRefusal, judge, verify, verify_consistency,
        verify_inclusion,
    },
    manifest::Chain,
    wire::{Frames, Presence, SyncRequest},
};
use serde_json::Value;

/// What `vectors_merge.rs` reads.
const READ_ELSEWHERE: [&str; 2] = ["merge", "payload"];

/// BLAKE3 of files that no other part of the protocol has a hand in.
const PINNED: [(&str, &str); 2] = [
    ("keys", "967f95186ebc32a59876026b64c5a531e371b9d6ae10671d6578748e4728b2ad"),
    ("signatures", "efb2e1e29a02c37fb1d42e667e182c7acd33df815b19179b0c4d8ec23d5e818a"),
];

struct Vectors {
    chain: Chain,
    cases: Vec<Value>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn bytes(text: &str) -> Bytes {
    let Some((head, run)) = text.split_once('+') else { return hex::decode(text).unwrap().into() };
    let (byte, count) = run.split_once('*').unwrap();
    let mut bytes = hex::decode(head).unwrap();
    bytes.resize(bytes.len() + count.parse::<usize>().unwrap(), hex::decode(byte).unwrap()[0]);
    bytes.into()
}

/// One input, or several.
fn input(value: &Value) -> Vec<Bytes> {
    match value {
        Value::Array(parts) => parts.iter().map(|part| bytes(part.as_str().unwrap())).collect(),
        one => vec![bytes(one.as_str().unwrap())],
    }
}

fn chain_of(parts: &[Bytes]) -> Result<Chain, &'static str> {
    let mut chain = Chain::genesis(parts[0].clone()).map_err(|error| error.code())?;
    for part in &parts[1..] {
        chain.extend(part.clone()).map_err(|error| error.code())?;
    }
    Ok(chain)
}

fn read(topic: &str) -> Vectors {
    let text = fs::read_to_string(folder().join(topic).with_extension("json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["topic"], topic);
    let chain = chain_of(&input(&value["chain"])).unwrap();
    assert_eq!(chain.network().to_string(), value["network"].as_str().unwrap());
    Vectors { chain, cases: value["cases"].as_array().unwrap().clone() }
}

/// Runs every case of a topic and reports all that went another way.
fn run(topic: &str, outcome: impl Fn(&Chain, &[Bytes], &Value) -> String) {
    let vectors = read(topic);
    assert!(!vectors.cases.is_empty(), "{topic}: no cases");
    let mut wrong = Vec::new();
    for case in &vectors.cases {
        let own = case.get("chain").map(|parts| chain_of(&input(parts)).unwrap());
        let chain = own.as_ref().unwrap_or(&vectors.chain);
        let (want, got) = (&case["expect"], outcome(chain, &input(&case["input"]), case));
        if want.as_str() != Some(&got) {
            wrong.push(format!("{topic} {}: got {got}, wanted {want} ({})", case["id"], case["note"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.cases.len(), wrong.join("\n"));
    println!("{topic}: {} cases", vectors.cases.len());
}

fn ok<T>(result: Result<T, &'static str>) -> String {
    result.map_or_else(Into::into, |_| "ok".into())
}

const TOPICS: [&str; 12] = [
    "cbor",
    "evidence",
    "faults",
    "feeds",
    "frames",
    "keys",
    "log",
    "manifests",
    "presence",
    "records",
    "signatures",
    "sync",
];

#[test]
fn every_vector_file_is_read() {
    let topics = TOPICS.iter().chain(&READ_ELSEWHERE).map(|topic| format!("{topic}.json"));
    let known: BTreeSet<String> = topics.chain(["archives".to_owned()]).collect();
    let found = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), known);
    // Known is what a test runs.
    let source: String = include_str!("vectors.rs").split_whitespace().collect();
    for topic in TOPICS {
        assert!(source.contains(&format!("run(\"{topic}\",")), "no test runs {topic}");
    }
    assert!(include_str!("audit_cli/golden.rs").contains("vectors/archives"), "no test reads the golden archives");
    let elsewhere = include_str!("vectors_merge.rs");
    for topic in READ_ELSEWHERE {
        assert!(elsewhere.contains(&format!("include_str!(\"../vectors/{topic}.json\")")), "no test reads {topic}");
    }
}

/// What a third program made once is not made again to please a test: whoever changes these files says so here.
#[test]
fn the_vectors_of_keys_and_signatures_are_those_that_were_pinned() {
    for (topic, pinned) in PINNED {
        let bytes = fs::read(folder().join(topic).with_extension("json")).unwrap();
        assert_eq!(blake3::hash(&bytes).to_string(), pinned, "{topic}.json is another one");
    }
}

/// Of the edge cases one is good: a clean key and a clean commitment. Whatever has a part of small order, or is not canonical,
/// is refused, and a key before its signature.
#[test]
fn of_the_edge_cases_of_ed25519_only_the_one_without_any_flag_passes() {
    let edges: Vec<Value> = read("signatures").cases;
    let edges: Vec<&Value> = edges.iter().filter(|case| case["id"].as_str().unwrap().starts_with("edge-")).collect();
    let flags = |case: &Value| case["note"].as_str().unwrap_or_default().to_owned();
    let passed: Vec<String> = edges.iter().filter(|case| case["expect"] == "ok").map(|case| flags(case)).collect();
    assert_eq!(passed, [""]);
    for case in &edges {
        let key = if flags(case).contains("non-canonical A") {
            "SIG-001"
        } else if flags(case).contains("A") {
            "SIG-002"
        } else if flags(case).is_empty() {
            "ok"
        } else {
            "SIG-003"
        };
        assert_eq!(case["expect"], key, "{}", case["id"]);
    }
    let encodings = |at: usize, to: usize| -> BTreeSet<&str> {
        edges.iter().map(|case| &case["input"][at].as_str().unwrap()[..to]).collect()
    };
    // 14 encodings of small order and 8 points with each of the parts of small order, as key and as commitment.
    assert_eq!((encodings(0, 64).len(), encodings(2, 64).len()), (22, 22));
    let combinations: BTreeSet<String> = edges.iter().map(|case| flags(case)).collect();
    println!("{} edge cases, {} combinations of flags", edges.len(), combinations.len());
    assert!(combinations.len() >= 50, "{combinations:#?}");
}

/// With `CHORALE_PYTHON`: a Python that has cbor2, cryptography and blake3.
#[test]
fn the_other_implementation_still_makes_these_vectors() {
    let Some(python) = std::env::var_os("CHORALE_PYTHON") else {
        println!("skipped: CHORALE_PYTHON not set");
        return;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/vectors/make.py");
    let made = Command::new(python).arg("-B").arg(script).arg("--check").arg(folder()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn cbor_is_strict() {
    run("cbor", |_, input, _| ok(cbor::strict(&input[0], Bounds::RECORD).map_err(|error| error.code())));
}

#[test]
fn only_admissible_keys_are_admitted() {
    run(
        "keys",
        |_, input, _| ok(PublicKey::admit(input[0].as_ref().try_into().unwrap()).map_err(|error| error.code())),
    );
}

#[test]
fn only_strict_signatures_verify() {
    run("signatures", |_, input, _| {
        let signature = Signature(input[2].as_ref().try_into().unwrap());
        let key = PublicKey::admit(input[0].as_ref().try_into().unwrap());
        ok(key.and_then(|key| key.verify(Domain::Record, &input[1], &signature)).map_err(|error| error.code()))
    });
}

#[test]
fn chains_grow_by_votes_alone() {
    run("manifests", |_, input, case| {
        let (last, before) = input.split_last().unwrap();
        if before.is_empty() {
            return ok(chain_of(std::slice::from_ref(last)));
        }
        let mut chain = chain_of(before).unwrap_or_else(|code| panic!("{}: {code} too early", case["id"]));
        let held = chain.signed();
        let result = chain.extend(last.clone()).map_err(|error| error.code());
        assert_eq!(chain.signed().len(), held.len() + usize::from(result.is_ok()), "a refused version changes nothing");
        ok(result)
    });
}

#[test]
fn records_are_checked() {
    run("records", |chain, input, case| {
        let checked = check(input[0].clone(), chain);
        if let Ok(checked) = &checked {
            assert_eq!(checked.id().to_string(), case["record"].as_str().unwrap(), "{}", case["id"]);
            assert_eq!(checked.record().payload(), split(&input[0]), "{}", case["id"]);
        }
        ok(checked.map_err(|error| error.code()))
    });
}

/// The payload in a good envelope, by another decoder.
fn split(envelope: &[u8]) -> Vec<u8> {
    let value: serde_cbor::Value = serde_cbor::from_slice(envelope).unwrap();
    let serde_cbor::Value::Array(parts) = value else { panic!("no array") };
    let serde_cbor::Value::Bytes(payload) = &parts[0] else { panic!("no bytes") };
    payload.clone()
}

#[test]
fn feeds_link_and_forks_are_found() {
    run("feeds", |chain, input, _| {
        let records: Vec<_> = input.iter().map(|bytes| check(bytes.clone(), chain).unwrap()).collect();
        let first = records[0].record();
        let mut feed = Feed::new(first.member, first.incarnation);
        let mut fate = String::new();
        for record in &records {
            let held = |id: &_| records.iter().find(|held| held.id() == *id).cloned();
            fate = match feed.offer(record, held) {
                Ok(Linked::Appended) => "appended".into(),
                Ok(Linked::Duplicate) => "duplicate".into(),
                Ok(Linked::Gap { from }) => format!("gap-{from}"),
                Ok(Linked::Fork(evidence)) => {
                    Evidence::parse(&evidence.to_bytes(), chain).unwrap();
                    format!("fork-{}", evidence.form as u64)
                }
                Err(refusal) => refusal.code().into(),
            };
        }
        fate
    });
}

#[test]
fn evidence_convicts_only_the_guilty() {
    run("evidence", |chain, input, _| {
        let evidence = Evidence::parse(&input[0], chain);
        if let Ok(evidence) = &evidence {
            assert_eq!(evidence.to_bytes(), input[0]);
        }
        ok(evidence.map_err(|error| error.code()))
    });
}

#[test]
fn a_bundle_shows_a_broken_rule_or_nothing() {
    run("faults", |chain, input, _| {
        let proof = FaultProof::parse(&input[0], chain);
        if let Ok(proof) = &proof {
            assert_eq!(proof.to_bytes(), input[0]);
            assert!(matches!(Bundle::parse(&input[0], chain), Ok(Bundle::Fault(_))));
        }
        ok(proof.map_err(|error| error.code()))
    });
}

#[test]
fn presence_is_checked() {
    run("presence", |chain, input, _| ok(Presence::check(&input[0], chain).map_err(|error| error.code())));
}

#[test]
fn sync_questions_are_strict() {
    run("sync", |_, input, _| {
        let question = SyncRequest::parse(&input[0]);
        if let Ok(question) = &question {
            assert_eq!(question.to_bytes(), input[0]);
        }
        ok(question.map_err(|error| error.code()))
    });
}

#[test]
fn sync_answers_come_apart_the_same_however_they_arrive() {
    let outcome = |input: &[u8], step: usize| {
        let mut frames = Frames::new();
        for part in input.chunks(step) {
            if let Err(error) = frames.push(part) {
                return error.code().to_owned();
            }
            loop {
                match frames.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return error.code().to_owned(),
                }
            }
        }
        if frames.is_ended() { "ok".into() } else { "open".into() }
    };
    run("frames", |_, input, case| {
        let whole = outcome(&input[0], usize::MAX);
        for step in [1, 3, 1000] {
            assert_eq!(outcome(&input[0], step), whole, "{} in steps of {step}", case["id"]);
        }
        whole
    });
}

/// 32 bytes each.
fn hashes(bytes: &[u8]) -> Vec<TreeHash> {
    bytes.chunks(32).map(|chunk| TreeHash(chunk.try_into().unwrap())).collect()
}

#[test]
fn logs_are_checked() {
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    let hash = |bytes: &[u8]| hashes(bytes)[0];
    let code = |error: chorale_protocol::log::ProofError| error.code();
    run("log", |chain, input, _| {
        let keyring = Keyring::new(chain);
        let (ask, given) = input.split_first().unwrap();
        match (ask.as_ref(), given) {
            (b"root", leaves) => {
                let tree = Tree::from_leaves(leaves.iter().map(|leaf| TreeHash::leaf(leaf)));
                tree.root(leaves.len() as u64).unwrap().to_string()
            }
            (b"inclusion", [index, size, leaf, root, path]) => {
                let path = hashes(path);
                ok(verify_inclusion(&hash(leaf), number(index), number(size), &hash(root), &path).map_err(code))
            }
            (b"consistency", [old, old_root, new, new_root, path]) => {
                let (roots, path) = ((hash(old_root), hash(new_root)), hashes(path));
                ok(verify_consistency(number(old), &roots.0, number(new), &roots.1, &path).map_err(code))
            }
            (b"note", [note]) => match verify(note, &keyring) {
                Ok(verified) => format!("ok {}", verified.cosigners.len()),
                Err(error) => error.code().into(),
            },
            (b"witness", [me, held, request]) => {
                let me = chorale_protocol::base::MemberId(me.as_ref().try_into().unwrap());
                let held = (!held.is_empty()).then(|| (number(&held[..8]), hash(&held[8..])));
                match Request::parse(request).and_then(|request| judge(&me, held, &request, &keyring)) {
                    Err(WitnessRefusal::Conflict { size }) => format!("conflict {size}"),
                    result => ok(result.map_err(|refusal| refusal.code())),
                }
            }
            (b"tile", [path]) => {
                let tile = Tile::parse(std::str::from_utf8(path).unwrap());
                tile.map_or("no", |_| "ok").into()
            }
            (b"proof", [file]) => {
                let proof = ProofFile::parse(file).and_then(|proof| {
                    let record = proof.record.clone().unwrap();
                    assert_eq!(proof.to_bytes(), file.as_ref());
                    proof.verify(&record, &keyring).map(|_| record)
                });
                let record = proof.map_err(|error| error.code());
                ok(record.and_then(|bytes| check_despite_cut(bytes.into(), chain).map_err(|refusal| refusal.code())))
            }
            (b"record", [envelope]) => ok(check(envelope.clone(), chain).map_err(|refusal| refusal.code())),
            (b"manifest", parts) => ok(chain_of(parts)),
            other => panic!("{other:?}"),
        }
    });
    let asked: BTreeSet<Bytes> = read("log").cases.iter().map(|case| input(&case["input"])[0].clone()).collect();
    assert_eq!(asked.len(), 9, "every question is asked");
}
