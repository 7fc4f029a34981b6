//! Payloads taken apart, changed and signed again.

use std::collections::BTreeMap;

use bytes::Bytes;
use chorale_protocol::code::{AuthorKey, Domain};
use serde_cbor::Value;

/// A payload's map.
pub(crate) type Map = BTreeMap<Value, Value>;

pub(crate) fn int(value: u64) -> Value {
    Value::Integer(value.into())
}

pub(crate) fn bytes(value: &[u8]) -> Value {
    Value::Bytes(value.to_vec())
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// The map of an encoded payload.
pub(crate) fn open(payload: &[u8]) -> Map {
    match serde_cbor::from_slice(payload) {
        Ok(Value::Map(map)) => map,
        other => panic!("a payload is a map: {other:?}"),
    }
}

/// The map within a map.
pub(crate) fn inner(map: &mut Map, key: u64) -> &mut Map {
    match map.get_mut(&int(key)) {
        Some(Value::Map(inner)) => inner,
        other => panic!("key {key} is a map: {other:?}"),
    }
}

/// The encoding of a changed map.
pub(crate) fn close(map: Map) -> Vec<u8> {
    serde_cbor::to_vec(&Value::Map(map)).expect("values encode")
}

/// The envelope of a payload, signed by `key` under `domain`.
pub(crate) fn sign(payload: &[u8], key: &AuthorKey, domain: Domain) -> Bytes {
    seal(payload, &key.sign(domain, payload).0)
}

/// An envelope of any payload and signature bytes.
pub(crate) fn seal(payload: &[u8], signature: &[u8]) -> Bytes {
    let envelope = Value::Array(vec![bytes(payload), bytes(signature)]);
    Bytes::from(serde_cbor::to_vec(&envelope).expect("values encode"))
}
