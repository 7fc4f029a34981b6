//! Malformed records: one change each to a record that would be admitted.

use bytes::Bytes;
use chorale_protocol::{
    code::Domain,
    feed::{Close, Record, Spec},
};
use serde_cbor::Value;

use crate::{
    envelope::{Map, bytes, close, inner, int, open, seal, sign, text},
    world::Evil,
};

/// How a case travels.
pub(crate) enum Way {
    /// On the records topic.
    Record(Bytes),
    /// On the presence topic.
    Presence(Bytes),
    /// A well-formed record, whose body is this blob.
    Blob(Bytes, Vec<u8>),
}

/// Something malformed, and the code it must be refused with.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) code: &'static str,
    pub(crate) way: Way,
}

fn record(name: &'static str, code: &'static str, bytes: Bytes) -> Case {
    Case { name, code, way: Way::Record(bytes) }
}

/// All malformed records, as `evil` would sign them in its next place.
pub(crate) fn records(evil: &Evil) -> Vec<Case> {
    let update = evil.update();
    let mut cases = encodings(evil, &update);
    cases.extend(fields(evil, &update));
    cases.extend(specs(evil, &update));
    cases.extend(signatures(evil, &update));
    cases
}

/// Bytes that are not the one strict encoding of anything.
fn encodings(evil: &Evil, update: &Record) -> Vec<Case> {
    let payload = update.payload();
    let good = sign(&payload, &evil.author, Domain::Record);
    let with = |tail: &[u8]| Bytes::from([good.as_ref(), tail].concat());
    let odd = |payload: Vec<u8>| sign(&payload, &evil.author, Domain::Record);
    let replaced = |from: usize, to: &[u8]| {
        let mut changed = payload.clone();
        changed.splice(from..=from, to.iter().copied());
        odd(changed)
    };
    let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
    vec![
        record("empty array", "CBOR-018", Bytes::from_static(&[0x80])),
        record("one byte", "CBOR-018", Bytes::from_static(&[0x00])),
        record("half an envelope", "CBOR-002", good.slice(..good.len() / 2)),
        record("a byte too few", "CBOR-002", good.slice(..good.len() - 1)),
        record("a byte too many", "CBOR-003", with(&[0])),
        record("two envelopes", "CBOR-003", with(&good)),
        record("map of indefinite length", "CBOR-005", replaced(0, &[0xbf])),
        record("payload is an array", "CBOR-018", odd(vec![0x81, 0x01])),
        record("payload with a tag", "CBOR-007", odd([&[0xc0], payload.as_slice()].concat())),
        record("payload with a byte behind", "CBOR-003", odd([payload.as_slice(), &[0]].concat())),
        record("first key not minimal", "CBOR-011", replaced(1, &[0x18, 0x00])),
        record("first value not minimal", "CBOR-004", replaced(2, &[0x18, 0x01])),
        record("first key a negative", "CBOR-011", replaced(1, &[0x20])),
        record("first key a text", "CBOR-011", replaced(1, &[0x61, 0x30])),
        record("first value a float", "CBOR-008", replaced(2, &[0xf9, 0x3c, 0x00])),
        record("first value null", "CBOR-008", replaced(2, &[0xf6])),
        record("first key twice", "CBOR-012", replaced(3, &[0x00])),
        record("reserved head", "CBOR-006", replaced(2, &[0x1c])),
        record("depth bomb", "CBOR-014", odd(nested(1000))),
        record("length bomb", "CBOR-002", odd(vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        record("a payload of 4 KiB and a byte", "CBOR-001", odd(vec![0; 4097])),
    ]
}

/// One edit of the record's own fields.
fn fields(evil: &Evil, update: &Record) -> Vec<Case> {
    let edit = |name, code, change: &dyn Fn(&mut Map)| {
        let mut map = open(&update.payload());
        change(&mut map);
        record(name, code, sign(&close(map), &evil.author, Domain::Record))
    };
    let set = |key: u64, value: Value| move |map: &mut Map| drop(map.insert(int(key), value.clone()));
    let without = |key: u64| move |map: &mut Map| drop(map.remove(&int(key)));
    let parent = |place| Value::Map([(int(0), int(place)), (int(1), bytes(&[9; 32]))].into());
    vec![
        edit("unknown version", "REC-001", &set(0, int(2))),
        edit("unknown kind, an empty body", "REC-012", &|map| {
            map.insert(int(2), int(9));
            map.insert(int(13), int(0));
        }),
        edit("another network", "REC-002", &set(1, bytes(&[7; 32]))),
        edit("a hash of 31 bytes", "CBOR-018", &set(1, bytes(&[7; 31]))),
        edit("another manifest of this version", "REC-004", &set(9, bytes(&[7; 32]))),
        edit("by nobody", "REC-005", &set(3, bytes(&[7; 32]))),
        edit("under another's key", "REC-007", &set(4, bytes(&evil.other_key().to_bytes()))),
        edit("a missing field", "CBOR-016", &without(10)),
        edit("an unknown field", "CBOR-016", &set(17, int(0))),
        edit("a first record with a predecessor", "REC-010", &set(7, bytes(&[7; 32]))),
        edit("a 65th incarnation", "REC-028", &set(5, int(64))),
        edit("a clock that leaps", "RULE-004", &set(10, int((1 << 53) - 2))),
        edit("an integer of 2^53", "CBOR-010", &set(10, int(1 << 53))),
        edit("a text where bytes are wanted", "CBOR-016", &set(9, text("hash"))),
        edit("a time that is not a whole minute", "REC-024", &set(11, int(61))),
        edit("a body without a length", "REC-011", &without(13)),
        edit("a body of no bytes", "REC-012", &set(13, int(0))),
        edit("a body of 3 GiB", "REC-012", &set(13, int(3 << 30))),
        edit("an update without a codec", "REC-013", &without(14)),
        edit("another codec than the policy's", "REC-013", &set(14, int(1))),
        edit("parents out of order", "REC-015", &set(15, Value::Array(vec![parent(1), parent(0)]))),
        edit("a parent twice", "REC-015", &set(15, Value::Array(vec![parent(0), parent(0)]))),
        edit("65 parents", "REC-014", &set(15, Value::Array((0..65).map(parent).collect()))),
        edit("a payload that is not the adapter's size", "RULE-010", &set(13, int(7))),
    ]
}

/// One edit of what the update says.
fn specs(evil: &Evil, update: &Record) -> Vec<Case> {
    let edit = |name, code, key: u64, value: Value| {
        let mut map = open(&update.payload());
        inner(&mut map, 16).insert(int(key), value);
        record(name, code, sign(&close(map), &evil.author, Domain::Record))
    };
    let mut closing = update.clone();
    closing.spec = Spec::Close(Close::Left);
    let skip = |member| Value::Map([(int(0), int(member)), (int(1), int(0))].into());
    let far = Value::Map([(int(0), int(0)), (int(1), int(3))].into());
    vec![
        edit("round 0", "REC-019", 0, int(0)),
        edit("round 2 of nothing", "REC-019", 0, int(2)),
        edit("the wrong phase", "REC-020", 1, int(1)),
        edit("a weight for no parent", "REC-016", 2, Value::Array(vec![int(1024)])),
        edit("no steps", "REC-021", 5, int(0)),
        edit("more steps than the policy's most", "REC-021", 5, int(1_000_000)),
        edit("3 examples", "REC-022", 6, int(3)),
        edit("a member skipped twice", "REC-023", 4, Value::Array(vec![skip(0), skip(0)])),
        edit("a skip for distance that names no record", "REC-023", 4, Value::Array(vec![far])),
        edit("skips someone who is not there", "REC-023", 4, Value::Array(vec![skip(4000)])),
        edit(
            "an unknown reason to skip",
            "CBOR-016",
            4,
            Value::Array(vec![Value::Map([(int(0), int(0)), (int(1), int(99))].into())]),
        ),
        record("a close with a body", "REC-011", sign(&closing.payload(), &evil.author, Domain::Record)),
    ]
}

fn signatures(evil: &Evil, update: &Record) -> Vec<Case> {
    let payload = update.payload();
    let good = evil.author.sign(Domain::Record, &payload).0;
    let flipped = |at: usize| {
        let mut signature = good;
        signature[at] ^= 1;
        seal(&payload, &signature)
    };
    vec![
        record("a flipped R", "SIG-003", flipped(3)),
        record("a flipped S", "SIG-003", flipped(40)),
        record("S with a high bit", "SIG-003", {
            let mut signature = good;
            signature[63] |= 0x80;
            seal(&payload, &signature)
        }),
        record("of another domain", "SIG-003", sign(&payload, &evil.author, Domain::Presence)),
        record("by another key", "SIG-003", sign(&payload, &evil.other, Domain::Record)),
        record("a signature of 63 bytes", "CBOR-018", seal(&payload, &good[..63])),
        record("a signature of zeros", "SIG-003", seal(&payload, &[0; 64])),
    ]
}
