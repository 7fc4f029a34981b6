//! The network of the vectors, and its keys: so that what they sign is a place to start from, and bytes that nobody signed
//! can be signed.

use std::sync::LazyLock;

use bytes::Bytes;
use chorale_protocol::{
    code::{AuthorKey, Domain, PublicKey},
    manifest::Chain,
};
use serde_json::Value;

/// The vectors of logs.
const LOGS: &str = include_str!("../../vectors/log.json");
/// The vectors of records.
pub const RECORDS: &str = include_str!("../../vectors/records.json");
/// Who signs: members, one that was cut, one that came later, an observer, a relay, a stranger.
pub const AUTHORS: [&str; 7] = ["anna", "ben", "carl", "dora", "olga", "rita", "eve"];
/// Who votes.
pub const GOVERNORS: [&str; 6] = ["g0", "g1", "g2", "h0", "h1", "h2"];

/// The bytes of a vector: hexadecimal; `00*5` is a byte that comes five times, `+` joins.
#[must_use]
pub fn bytes_of(text: &str) -> Bytes {
    let part = |part: &str| match part.split_once('*') {
        Some((byte, count)) => hex::decode(byte).unwrap().repeat(count.parse().unwrap()),
        None => hex::decode(part).unwrap(),
    };
    text.split('+').flat_map(part).collect()
}

/// The signed manifests of the vectors: the genesis, and version 1, in which carl is cut.
pub fn manifests() -> &'static [Bytes] {
    static MANIFESTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
        let value: Value = serde_json::from_str(RECORDS).unwrap();
        value["chain"].as_array().unwrap().iter().map(|part| bytes_of(part.as_str().unwrap())).collect()
    });
    &MANIFESTS
}

/// The chain of them.
pub fn chain() -> &'static Chain {
    static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
        let mut chain = genesis();
        chain.extend(manifests()[1].clone()).unwrap();
        chain
    });
    &CHAIN
}

/// Chains in which anna's key, and with it her log, was handed over once, and twice.
pub fn handed_over() -> &'static [Chain] {
    static CHAINS: LazyLock<Vec<Chain>> = LazyLock::new(|| {
        let value: Value = serde_json::from_str(LOGS).unwrap();
        let chains = value["cases"].as_array().unwrap().iter().filter_map(|case| case["chain"].as_array());
        let of = |length: usize| {
            let parts = chains.clone().find(|chain| chain.len() == length).unwrap();
            let mut parts = parts.iter().map(|part| bytes_of(part.as_str().unwrap()));
            let mut chain = Chain::genesis(parts.next().unwrap()).unwrap();
            parts.for_each(|part| chain.extend(part).unwrap());
            chain
        };
        vec![of(2), of(3)]
    });
    &CHAINS
}

/// The chain of the genesis alone.
#[must_use]
pub fn genesis() -> Chain {
    Chain::genesis(manifests()[0].clone()).unwrap()
}

/// A key of the vectors, by name.
#[must_use]
pub fn key(name: &str) -> AuthorKey {
    AuthorKey::from_seed(blake3::hash(format!("vector {name}").as_bytes()).as_bytes())
}

/// The envelope of `payload`, whatever it is, signed by `key`.
#[must_use]
pub fn seal(domain: Domain, payload: &[u8], key: &AuthorKey) -> Bytes {
    let signature = key.sign(domain, payload).0;
    [&[0x82][..], &head(2, payload.len()), payload, &[0x58, 0x40], &signature].concat().into()
}

/// A manifest's `payload` with the votes of these governors.
#[must_use]
pub fn voted(payload: &[u8], governors: &[&str]) -> Bytes {
    let mut votes: Vec<(PublicKey, [u8; 64])> = governors
        .iter()
        .map(|name| key(name))
        .map(|key| (key.public(), key.sign(Domain::Manifest, payload).0))
        .collect();
    votes.sort_unstable();
    let vote = |(key, signature): &(PublicKey, [u8; 64])| {
        [&[0x82, 0x58, 0x20][..], &key.to_bytes(), &[0x58, 0x40], signature].concat()
    };
    let votes_bytes = votes.iter().flat_map(vote).collect::<Vec<u8>>();
    [&[0x82][..], &head(2, payload.len()), payload, &head(4, votes.len()), &votes_bytes].concat().into()
}

/// The head of a CBOR item, as short as it can be.
#[must_use]
pub fn head(major: u8, value: usize) -> Vec<u8> {
    let major = major << 5;
    match u32::try_from(value).unwrap().to_be_bytes() {
        [0, 0, 0, small @ 0..24] => vec![major | small],
        [0, 0, 0, short] => vec![major | 24, short],
        [0, 0, high, low] => vec![major | 25, high, low],
        [a, b, c, d] => vec![major | 26, a, b, c, d],
    }
}

/// The payload of an envelope that was signed well.
#[must_use]
pub fn payload_of(envelope: &[u8]) -> Option<Vec<u8>> {
    let value: serde_cbor::Value = serde_cbor::from_slice(envelope).ok()?;
    match value {
        serde_cbor::Value::Array(parts) => match parts.into_iter().next()? {
            serde_cbor::Value::Bytes(payload) => Some(payload),
            _ => None,
        },
        _ => None,
    }
}
