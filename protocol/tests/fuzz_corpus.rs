//! What the fuzz targets found worth keeping, and mutants of it, through the targets' own functions: without the fuzzer, and
//! without the compiler that it needs.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use all of it")]
mod fuzz;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::catch_unwind,
    path::PathBuf,
};

use fuzz::TARGETS;

const SEED: u64 = 20_261_122;
/// Of the corpus: files of a target, bytes of a file, bytes in all.
const FILES: usize = 64;
const FILE_BYTES: usize = 2048;
const BYTES: usize = 1 << 20;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// A target's inputs, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder().join(target)).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// SplitMix64.
fn number(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn below(state: &mut u64, count: usize) -> usize {
    usize::try_from(number(state) % count.max(1) as u64).unwrap()
}

/// One to three changes: a bit, a byte, a cut, bytes put in, a stretch of another input.
fn mutant(input: &[u8], other: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=below(state, 3) {
        let at = below(state, bytes.len());
        match (below(state, 5), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << below(state, 8),
            (1, Some(byte)) => *byte = number(state).to_le_bytes()[0],
            (2, Some(_)) => drop(bytes.drain(at..(at + 1 + below(state, 8)).min(input.len().max(at)).min(bytes.len()))),
            (3, _) => drop(bytes.splice(at..at, number(state).to_le_bytes().into_iter().take(1 + below(state, 8)))),
            _ => {
                let from = below(state, other.len());
                let part = &other[from..(from + below(state, 64)).min(other.len())];
                drop(bytes.splice(at..at, part.iter().copied()));
            }
        }
    }
    bytes
}

/// Runs the corpus and about so many mutants of it. Some of the corpus is accepted and some is refused.
fn holds(target: &str, mutants: usize) {
    let run = TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
    let corpus = corpus(target);
    let tried = |name: &str, bytes: &[u8]| {
        let bytes_to_run = bytes.to_vec();
        catch_unwind(move || run(&bytes_to_run))
            .unwrap_or_else(|_| panic!("seed {SEED}: {target} {name}: {}", hex::encode(bytes)))
    };
    let accepted: BTreeSet<bool> = corpus.iter().map(|(name, bytes)| tried(name, bytes)).collect();
    assert_eq!(accepted.len(), 2, "{target}: nothing is refused, or nothing is accepted");
    let inputs: Vec<&Vec<u8>> = corpus.values().collect();
    let mut state = SEED;
    for (at, (name, input)) in corpus.iter().enumerate() {
        for mutant_number in 0..mutants.div_ceil(corpus.len()) {
            let other = inputs[(at + 1 + below(&mut state, inputs.len())) % inputs.len()];
            tried(&format!("{name}, mutant {mutant_number}"), &mutant(input, other, &mut state));
        }
    }
    println!("seed {SEED}: {target}: {} inputs, {mutants} mutants", corpus.len());
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), names);
    let manifest = include_str!("../fuzz/Cargo.toml");
    for name in &names {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} is no target of the fuzzer");
    }
}

#[test]
fn the_corpus_is_small() {
    let mut bytes = 0;
    for (target, _) in TARGETS {
        let corpus = corpus(target);
        assert!(corpus.len() <= FILES, "{target}: {} files", corpus.len());
        for (name, input) in corpus {
            assert!(input.len() <= FILE_BYTES, "{target} {name}: {} bytes", input.len());
            bytes += input.len();
        }
    }
    assert!(bytes <= BYTES, "{bytes} bytes");
}

#[test]
fn strict_cbor_is_what_a_plain_reading_of_the_rules_accepts() {
    holds("strict", 20_000);
}

#[test]
fn every_type_of_the_wire_is_written_as_it_was_read() {
    holds("roundtrip", 20_000);
}

#[test]
fn any_record_is_what_was_signed_or_is_refused() {
    holds("record", 3_000);
}

#[test]
fn any_manifest_is_what_was_voted_for_or_is_refused() {
    holds("manifest", 600);
}

#[test]
fn any_payload_is_the_one_encoding_of_its_values_or_is_refused() {
    holds("payload", 20_000);
}

#[test]
fn any_evidence_convicts_whom_it_says_or_is_refused() {
    holds("evidence", 1_500);
}

#[test]
fn a_proof_holds_whatever_else_is_shown_and_none_is_found_against_an_honest_record() {
    holds("fault", 400);
}

#[test]
fn any_archive_is_audited_twice_alike_and_passes_only_with_what_its_anchors_promise() {
    holds("archive", 400);
}

#[test]
fn no_byte_of_any_tar_goes_unseen() {
    holds("tar", 3_000);
}

#[test]
fn any_answer_comes_apart_alike_however_it_arrives() {
    holds("frames", 3_000);
}

#[test]
fn any_note_proof_file_or_question_is_written_as_it_was_read() {
    holds("note", 5_000);
}

#[test]
fn only_a_trees_own_proof_holds() {
    holds("proof", 20_000);
}
