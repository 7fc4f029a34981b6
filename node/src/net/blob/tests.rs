//! The encoding against bao-tree's own, and what the verifier finds.

use bao_tree::{
    ByteRanges,
    io::{self, outboard::PreOrderMemOutboard, sync},
};
use chorale_protocol::{base::BlobHash, code::blob_hash};

use super::{
    plan::{BLOCK, GROUP, PAIR, Plan},
    verify::Verifier,
    wire::{Question, Status},
};

fn blob(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap()).collect()
}

fn encoding(data: &[u8], start: u64) -> Vec<u8> {
    let outboard = PreOrderMemOutboard::create(data, BLOCK);
    let chunks = io::round_up_to_chunks(&ByteRanges::from(start..data.len() as u64));
    let mut encoded = Vec::new();
    sync::encode_ranges_validated(data, outboard, &chunks, &mut encoded).unwrap();
    encoded
}

/// Decodes as a fetch does; the bytes that were right, and whether all were.
fn decode(root: &BlobHash, length: u64, start: u64, mut encoded: &[u8]) -> (Vec<u8>, bool) {
    let (mut verifier, mut data) = (Verifier::new(root), Vec::new());
    for section in Plan::new(length, start, length) {
        let whole = encoded.len() >= section.encoded;
        let (now, later) = encoded.split_at(section.encoded.min(encoded.len()));
        let mut bytes = now.to_vec();
        let (n, right) = verifier.extract(&section.parts, &mut bytes);
        data.extend_from_slice(&bytes[..n]);
        if right.is_err() || !whole {
            return (data, false);
        }
        encoded = later;
    }
    (data, encoded.is_empty())
}

const LENGTHS: [usize; 12] =
    [1, 1023, 1024, 1025, 16_383, 16_384, 16_385, 32_768, 100_000, 1 << 20, (1 << 20) + 1, 3_000_017];

#[test]
fn any_range_decodes_from_bao_trees_own_encoding() {
    for length in LENGTHS {
        let data = blob(length);
        let root = blob_hash(&data);
        for start in (0..length as u64).step_by(usize::try_from(GROUP).unwrap() * 7) {
            let (got, right) = decode(&root, length as u64, start, &encoding(&data, start));
            assert!(right, "length {length}, start {start}");
            assert_eq!(got, &data[usize::try_from(start).unwrap()..], "length {length}, start {start}");
        }
    }
}

#[test]
fn a_flipped_bit_is_found_in_its_own_group() {
    let data = blob(200_000);
    let root = blob_hash(&data);
    let encoded = encoding(&data, 0);
    for at in (0..encoded.len()).step_by(1009) {
        let mut bent = encoded.clone();
        bent[at] ^= 1;
        let (got, right) = decode(&root, 200_000, 0, &bent);
        assert!(!right, "bit at {at}");
        assert_eq!(got, &data[..got.len()], "only verified bytes come out, bit at {at}");
        let slack = usize::try_from(GROUP).unwrap() + 16 * PAIR;
        assert!(got.len() + slack > at.min(data.len()), "found at once: bit at {at}, {} bytes came out", got.len());
    }
}

#[test]
fn half_a_stream_gives_the_groups_that_came() {
    let data = blob(100_000);
    let encoded = encoding(&data, 0);
    let (got, right) = decode(&blob_hash(&data), 100_000, 0, &encoded[..60_000]);
    assert!(!right);
    assert_eq!(got, &data[..3 * usize::try_from(GROUP).unwrap()]);
}

#[test]
fn a_lie_about_the_length_does_not_verify() {
    let data = blob(100_000);
    let encoded = encoding(&data, 0);
    assert!(!decode(&blob_hash(&data), 100_001, 0, &encoded).1);
    assert!(!decode(&blob_hash(&data), 50_000, 0, &encoded).1);
}

#[test]
fn a_question_survives_the_wire_and_its_range_is_checked() {
    let question = Question { hash: BlobHash([7; 32]), start: GROUP, wanted: 5 };
    assert_eq!(Question::parse(&question.to_bytes()), question);
    assert_eq!(question.end(GROUP + 5), Some(GROUP + 5));
    for (start, wanted) in [(GROUP, 4), (GROUP, 6), (GROUP, 0), (1, GROUP + 4), (u64::MAX - GROUP + 1, GROUP), (0, 1)] {
        assert_eq!(Question { start, wanted, ..question }.end(GROUP + 5), None, "{start} {wanted}");
    }
    assert_eq!(Status::parse(3), Some(Status::Range));
    assert_eq!(Status::parse(4), None);
}
