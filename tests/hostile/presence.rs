//! Malformed presence messages.

use chorale_protocol::{base::TransportId, code::Domain, wire::Presence};

use crate::{
    cases::{Case, Way},
    envelope::{Map, bytes, close, int, open, seal, sign},
    world::Evil,
};

/// All malformed presence messages, as `evil` would sign them.
pub(crate) fn cases(evil: &Evil) -> Vec<Case> {
    let good = Presence {
        network: evil.network,
        member: evil.member,
        peer: evil.peer.clone(),
        addresses: Vec::new(),
        head: None,
        manifest_version: 0,
        counter: 1,
    };
    let envelope = good.sign(&evil.author);
    let case = |name, code, bytes| Case { name, code, way: Way::Presence(bytes) };
    let (payload, signature) = match serde_cbor::from_slice(&envelope) {
        Ok(serde_cbor::Value::Array(parts)) => match <[serde_cbor::Value; 2]>::try_from(parts) {
            Ok([serde_cbor::Value::Bytes(payload), serde_cbor::Value::Bytes(signature)]) => (payload, signature),
            other => panic!("two byte strings: {other:?}"),
        },
        other => panic!("an envelope is an array: {other:?}"),
    };
    let edit = |name, code, change: &dyn Fn(&mut Map)| {
        let mut map = open(&payload);
        change(&mut map);
        case(name, code, sign(&close(map), &evil.author, Domain::Presence))
    };
    let many = Presence { addresses: vec![vec![4; 8]; 17], ..good.clone() };
    let long = Presence { addresses: vec![vec![4; 257]], ..good.clone() };
    let elsewhere = Presence { peer: TransportId(vec![0, 1, 2]), ..good.clone() };
    vec![
        case("presence: half", "CBOR-002", envelope.slice(..envelope.len() / 2)),
        case("presence: a byte too many", "CBOR-003", [envelope.as_ref(), &[0]].concat().into()),
        case("presence: 17 addresses", "PRES-002", many.sign(&evil.author)),
        case("presence: a long address", "PRES-002", long.sign(&evil.author)),
        case("presence: a transport key of nobody", "PRES-001", elsewhere.sign(&evil.author)),
        case("presence: by another key", "SIG-003", good.sign(&evil.other)),
        case("presence: of another domain", "SIG-003", sign(&payload, &evil.author, Domain::Record)),
        case("presence: a short signature", "CBOR-018", seal(&payload, &signature[..60])),
        edit("presence: another network", "REC-002", &|map| drop(map.insert(int(1), bytes(&[7; 32])))),
        edit("presence: by nobody", "PRES-003", &|map| drop(map.insert(int(2), bytes(&[7; 32])))),
        edit("presence: no counter", "CBOR-016", &|map| drop(map.remove(&int(7)))),
        edit("presence: an unknown field", "CBOR-016", &|map| drop(map.insert(int(9), int(0)))),
        edit("presence: unknown version", "REC-001", &|map| drop(map.insert(int(0), int(2)))),
    ]
}
