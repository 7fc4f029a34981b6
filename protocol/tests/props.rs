//! Promises about any record, presence, question or bytes. proptest prints the failing input and keeps its seed.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

use std::sync::LazyLock;

use bytes::Bytes;
use chorale_protocol::{
    base::{BlobHash, Incarnation, Lamport, MemberId, MergeHash, RecordId, Round, Seq, UnixSeconds},
    code::cbor::{self, Bounds},
    feed::{
        Body, Close, Evidence, EvidenceSpec, Feed, Linked, Other, Privacy, Record, Reference, Release, Skip,
        SkipReason, Spec, Update, check, check_stored, sign,
    },
    fixture::{self, Author},
    manifest::{Chain, SignedManifest},
    wire::{Frames, Have, Presence, SyncRequest},
};
use proptest::{collection::vec, option, prelude::*};

const UINT: std::ops::Range<u64> = 0..1 << 53;

fn chain() -> Chain {
    static CHAIN: LazyLock<Chain> = LazyLock::new(|| fixture::chain(5, fixture::policy()));
    CHAIN.clone()
}

fn hash() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn body() -> impl Strategy<Value = Body> {
    (hash(), 1_u64..=2 << 30).prop_map(|(hash, length)| Body { hash: BlobHash(hash), length })
}

fn skipped() -> impl Strategy<Value = Vec<Skip>> {
    let reasons = [
        SkipReason::Absent,
        SkipReason::Stale,
        SkipReason::Unreachable,
        SkipReason::Distance,
        SkipReason::Refused,
        SkipReason::Banned,
    ];
    let skip = move |((member, reason), record): ((usize, usize), [u8; 32])| {
        let reason = reasons[reason];
        Skip { member: member as u64, reason, record: reason.is_of_record().then_some(RecordId(record)) }
    };
    (proptest::sample::subsequence((0..5_usize).collect::<Vec<_>>(), 0..=5), vec(0..6_usize, 5), vec(hash(), 5))
        .prop_map(move |(members, reasons, records)| members.into_iter().zip(reasons).zip(records).map(skip).collect())
}

fn privacy() -> impl Strategy<Value = Privacy> {
    (1..1_u64 << 53, 1..1_u64 << 53, 1..=1_000_000_u64, 1..1_u64 << 53, 50_000..1_u64 << 53, 1..1_u64 << 53).prop_map(
        |(sigma_milli, clip_milli, rate_micro, steps, epsilon_milli, delta_log10_milli)| Privacy {
            sigma_milli,
            clip_milli,
            rate_micro,
            steps,
            epsilon_milli,
            delta_log10_milli,
        },
    )
}

fn update(parents: usize) -> impl Strategy<Value = Spec> {
    let round = if parents == 0 { 1..2_u64 } else { 1..1 << 53 };
    let first = (round, vec(1_u64..=1024, parents), hash(), skipped(), 1_u64..=32, 0_u32..53);
    let second = (option::of(UINT), option::of(UINT), option::of(privacy()), option::of(hash()), option::of(body()));
    let checked = proptest::collection::btree_set(hash(), 0..=64);
    (first, second, checked).prop_map(
        |((round, weights, merge, skipped, steps, examples), (before, after, privacy, dataset, state), checked)| {
            let checked = checked.into_iter().map(RecordId).collect();
            Spec::Update(Update {
                round: Round(round),
                phase: fixture::policy().lora_rule.phase(Round(round)),
                weights,
                merge: MergeHash(merge),
                skipped,
                steps,
                examples: (1 << examples) & !1,
                loss_before_micro: before,
                loss_after_micro: after,
                privacy,
                dataset,
                state,
                checked,
            })
        },
    )
}

/// Some members of five, in their order, and a record of each.
fn parents(count: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Reference>> {
    let members = proptest::sample::subsequence((0..5_u64).collect::<Vec<_>>(), count);
    let reference = |(member, record)| Reference { member, record: RecordId(record) };
    (members, vec(hash(), 5))
        .prop_map(move |(members, records)| members.into_iter().zip(records).map(reference).collect())
}

fn spec_and_parents() -> impl Strategy<Value = (Spec, Vec<Reference>)> {
    let updates = parents(0..=5).prop_flat_map(|parents| (update(parents.len()), Just(parents)));
    let release = (1..1_u64 << 53, "[a-z0-9._-]{1,64}", parents(1..=1))
        .prop_map(|(round, label, parents)| (Spec::Release(Release { round: Round(round), label }), parents));
    let evidence = (hash(), UINT, UINT).prop_map(|(accused, incarnation, seq)| {
        let (accused, incarnation, seq) = (MemberId(accused), Incarnation(incarnation), Seq(seq));
        (Spec::Evidence(EvidenceSpec { accused, incarnation, seq }), Vec::new())
    });
    let close = any::<bool>().prop_map(|left| (Spec::Close(if left { Close::Left } else { Close::Finished }), vec![]));
    let items = [vec![0x00], vec![0xa0], vec![0x82, 0x41, 0xff, 0xa1, 0x03, 0x80], vec![0x61, b'a']];
    let other = (4..1_u64 << 53, prop::sample::select(items.to_vec()), parents(0..=5))
        .prop_map(|(kind, item, parents)| (Spec::Other(Other { kind, item }), parents));
    prop_oneof![4 => updates, 1 => release, 1 => evidence, 1 => close, 1 => other]
}

/// Any well-formed record of member 0 under the fixture's genesis.
fn record() -> impl Strategy<Value = Record> {
    let rest = (0..4_u64, UINT, hash(), UINT, 0..(1_u64 << 53) / 60, body());
    (spec_and_parents(), rest, option::of(hash())).prop_map(|((spec, parents), rest, seen)| {
        let (incarnation, seq, prev, clock, minutes, mut body) = rest;
        let chain = chain();
        let first = incarnation == 0 && seq == 0;
        let has_body = matches!(spec, Spec::Update(_) | Spec::Evidence(_));
        if matches!(spec, Spec::Evidence(_)) {
            body.length = body.length % 8000 + 1;
        }
        Record {
            network: chain.network(),
            member: fixture::member(0).id,
            key: fixture::author(0).public(),
            incarnation: Incarnation(incarnation),
            seq: Seq(seq),
            prev: (!first).then_some(RecordId(prev)),
            manifest_version: 0,
            manifest_hash: chain.current_hash(),
            clock: Lamport(clock),
            claimed_time: UnixSeconds(minutes * 60),
            body: has_body.then_some(body),
            codec: matches!(spec, Spec::Update(_)).then_some(chain.current().policy.codec),
            parents,
            spec,
            seen: seen.map(BlobHash),
        }
    })
}

fn flip(bytes: &[u8], bit: prop::sample::Index) -> Bytes {
    let bit = bit.index(bytes.len() * 8);
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_a_record_says_is_what_is_read(record in record()) {
        let chain = chain();
        let signed = sign(record.clone(), &fixture::author(0)).unwrap();
        let checked = check(signed.bytes().clone(), &chain).unwrap();
        prop_assert_eq!(checked.record(), &record);
        prop_assert_eq!(checked.id(), signed.id());
        prop_assert_eq!(checked.bytes(), signed.bytes());
        prop_assert_eq!(check_stored(signed.bytes().clone(), &chain).unwrap().id(), signed.id());
    }

    #[test]
    fn one_flipped_bit_spoils_a_record(record in record(), bits in vec(any::<prop::sample::Index>(), 16)) {
        let chain = chain();
        let signed = sign(record, &fixture::author(0)).unwrap();
        for bit in bits {
            let spoiled = flip(signed.bytes(), bit);
            let refusal = check(spoiled.clone(), &chain).unwrap_err();
            prop_assert!(!refusal.code().is_empty() && !refusal.to_string().is_empty());
        }
    }

    #[test]
    fn one_flipped_bit_spoils_a_manifest_a_presence_and_evidence(bit in any::<prop::sample::Index>()) {
        let chain = chain();
        prop_assert!(Chain::genesis(flip(&chain.signed()[0], bit)).is_err());
        let presence = presence(&chain, vec![vec![4; 8]], 9).sign(&fixture::author(0));
        prop_assert!(Presence::check(&presence, &chain).is_ok());
        prop_assert!(Presence::check(&flip(&presence, bit), &chain).is_err());
        let (mut one, mut two) = (Author::new(0), Author::new(0));
        let first = one.update(&chain, 1, &[]);
        let mut other = first.record().clone();
        other.claimed_time = UnixSeconds(60);
        let evidence = Evidence::of(&first, &two.write(other)).unwrap().to_bytes();
        prop_assert!(Evidence::parse(&flip(&evidence, bit), &chain).is_err());
    }

    #[test]
    fn a_truncated_record_is_refused(record in record(), cut in any::<prop::sample::Index>()) {
        let signed = sign(record, &fixture::author(0)).unwrap();
        let length = cut.index(signed.bytes().len());
        prop_assert!(check(signed.bytes().slice(..length), &chain()).is_err());
    }

    #[test]
    fn a_presence_says_what_it_said(addresses in vec(vec(any::<u8>(), 1..=200), 0..=16), counter in UINT) {
        let chain = chain();
        let said = presence(&chain, addresses, counter);
        prop_assert_eq!(Presence::check(&said.sign(&fixture::author(0)), &chain), Ok(said));
    }

    #[test]
    fn a_sync_question_says_what_it_said(
        feeds in vec((hash(), 0..9_u64, UINT), 0..40),
        wanted in vec(hash(), 0..20),
        version in UINT,
    ) {
        let mut have: Vec<Have> = feeds.into_iter().map(|(member, incarnation, next)| {
            Have { member: MemberId(member), incarnation: Incarnation(incarnation), next: Seq(next) }
        }).collect();
        have.sort_unstable();
        let mut wants: Vec<RecordId> = wanted.into_iter().map(RecordId).collect();
        wants.sort_unstable();
        wants.dedup();
        let said = SyncRequest { network: chain().network(), manifest_version: version, have, wants };
        prop_assert_eq!(SyncRequest::parse(&said.to_bytes()), Ok(said));
    }

    #[test]
    fn a_feed_ends_the_same_in_whatever_order_records_come(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let chain = chain();
        let mut author = Author::new(0);
        let mut records = vec![author.update(&chain, 1, &[])];
        for round in 2..=6 {
            let before = records[records.len() - 1].clone();
            records.push(author.update(&chain, round, &[&before]));
        }
        let mut feed = Feed::new(author.id, Incarnation(0));
        // Whoever hears of a gap asks again: as many times as there are records is enough.
        for _ in 0..records.len() {
            for &place in &order {
                let linked = feed.offer(&records[place], |_| None).unwrap();
                prop_assert!(!matches!(linked, Linked::Fork(_)));
            }
        }
        prop_assert_eq!(feed.head().map(|head| head.id), records.last().map(|last| last.id()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_refused_or_are_their_own_encoding(bytes in vec(any::<u8>(), 0..200)) {
        any_bytes(&bytes)?;
    }

    #[test]
    fn bytes_near_a_record_are_refused_or_are_their_own_encoding(
        places in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let chain = chain();
        let mut payload = Author::new(0).update(&chain, 1, &[]).record().payload();
        for (place, byte) in places {
            let place = place.index(payload.len());
            payload[place] = byte;
        }
        any_bytes(&payload)?;
    }
}

/// No decoder panics, and what passes the strict walk is what a decoder of the general format writes again.
fn any_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let chain = chain();
    if cbor::strict(bytes, Bounds::RECORD).is_ok() {
        let value: serde_cbor::Value = serde_cbor::from_slice(bytes).unwrap();
        prop_assert_eq!(serde_cbor::to_vec(&value).unwrap(), bytes);
    }
    let shared = Bytes::copy_from_slice(bytes);
    prop_assert!(check(shared.clone(), &chain).is_err());
    prop_assert!(SignedManifest::parse(bytes).is_err());
    prop_assert!(Chain::genesis(shared).is_err());
    prop_assert!(Presence::check(bytes, &chain).is_err());
    prop_assert!(Evidence::parse(bytes, &chain).is_err());
    let _ = SyncRequest::parse(bytes);
    let mut frames = Frames::new();
    if frames.push(bytes).is_ok() {
        while let Ok(Some(_)) = frames.next() {}
    }
    Ok(())
}

fn presence(chain: &Chain, addresses: Vec<Vec<u8>>, counter: u64) -> Presence {
    Presence {
        network: chain.network(),
        member: fixture::member(0).id,
        peer: fixture::transport(0),
        addresses,
        head: Some((Incarnation(0), Seq(3), RecordId([7; 32]))),
        manifest_version: 0,
        counter,
    }
}
