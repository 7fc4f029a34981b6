//! Malformed payloads: the record is fine and the hash is right, so the fault is the author's alone.

use chorale_protocol::{
    adapter::Layout,
    code::{Domain, blob_hash},
    feed::Body,
    manifest::Codec,
};

use crate::{
    cases::{Case, Way},
    envelope::sign,
    world::Evil,
};

/// All malformed payloads, each named by the first record of `evil`'s feed.
pub(crate) fn cases(evil: &Evil) -> Vec<Case> {
    let policy = &evil.chain.current().policy;
    let layout = Layout::new(&policy.adapter).expect("a layout");
    assert_eq!(policy.codec, Codec::Bfp16);
    // A payload of zeros: every exponent is −32, every mantissa 0.
    let mut good = vec![0; usize::try_from(layout.payload_len(policy.codec)).expect("it fits")];
    let blocks = layout.slots()[0].values.len().div_ceil(64);
    let mut at = 0;
    for slot in layout.slots() {
        let blocks = slot.values.len().div_ceil(64);
        good[at..at + blocks].fill(0xe0);
        at += blocks + 2 * slot.values.len();
    }
    let case = |name, code, change: &dyn Fn(&mut Vec<u8>)| {
        let mut payload = good.clone();
        change(&mut payload);
        let mut record = evil.update();
        record.body = Some(Body { hash: blob_hash(&payload), length: payload.len() as u64 });
        let envelope = sign(&record.payload(), &evil.author, Domain::Record);
        Case { name, code, way: Way::Blob(envelope, payload) }
    };
    vec![
        case("payload: an exponent above the range", "PAY-002", &|bytes| bytes[0] = 5),
        case("payload: an exponent below the range", "PAY-002", &|bytes| bytes[0] = 0xdf),
        case("payload: the mantissa without a negative", "PAY-003", &|bytes| {
            bytes[blocks..blocks + 2].copy_from_slice(&i16::MIN.to_le_bytes());
        }),
        case("payload: a block that is not canonical", "PAY-004", &|bytes| {
            bytes[0] = 0xf0;
            bytes[blocks] = 1;
        }),
        case("payload: a zero block with an exponent", "PAY-004", &|bytes| bytes[0] = 0xf0),
        case("payload: the same bits everywhere", "PAY-002", &|bytes| bytes.fill(0x80)),
    ]
}
