//! Bounds of the protocol that more than one module needs.

/// The largest integer in signed bytes: what a JSON number holds exactly.
pub const UINT_MAX: u64 = (1 << 53) - 1;
/// Bytes of a record's payload.
pub const RECORD_PAYLOAD_BYTES: usize = 4096;
/// Bytes of a record's envelope: payload, signature and their heads.
pub const RECORD_BYTES: usize = RECORD_PAYLOAD_BYTES + 72;
/// Bytes of a manifest with its votes.
pub const MANIFEST_BYTES: usize = 4 << 20;
/// Bytes of a presence message.
pub const PRESENCE_BYTES: usize = 4096;
/// Bytes of an evidence bundle: two whole records and their frame.
pub const EVIDENCE_BYTES: usize = 2 * RECORD_BYTES + 64;
/// Records in a bundle that proves a broken rule, beside the one that breaks it: those that it names and, back to the last update,
/// those before it.
pub const FAULT_RECORDS: usize = 192;
/// Bytes of such a bundle.
pub const FAULT_BYTES: usize = (FAULT_RECORDS + 1) * (RECORD_BYTES + 3) + 16;
/// Bytes of one gossip message of any kind.
pub const GOSSIP_BYTES: usize = 8192;
/// Nesting of arrays and maps in signed bytes.
pub const CBOR_DEPTH: usize = 6;
/// CBOR items in a record.
pub const CBOR_ITEMS: usize = 1024;
/// CBOR items in a manifest.
pub const MANIFEST_CBOR_ITEMS: usize = 262_144;
/// Characters of a text.
pub const TEXT_CHARS: usize = 128;
/// Parents of a record.
pub const PARENTS: usize = 64;
/// Parents of an update, its own one included, and members that it names as skipped, together.
pub const NAMED: usize = 64;
/// Updates that one update names whose merges its author recomputed.
pub const CHECKED: usize = 64;
/// Ages that a policy gives weights to.
pub const AGES: usize = 16;
/// Releases, and records of evidence, that a feed has between two updates: so many of either kind.
pub const BETWEEN_UPDATES: u64 = 16;
/// Incarnations under one key of a member.
pub const INCARNATIONS: u64 = 64;
/// Members of a network.
pub const MEMBERS: usize = 4096;
/// Addresses in a presence message.
pub const ADDRESSES: usize = 16;
/// Bytes of a blob: 2 GiB.
pub const BLOB_BYTES: u64 = 2 << 30;
/// Values of an adapter.
pub const ADAPTER_VALUES: u64 = 1 << 30;
/// Magnitude of a decoded value in Q.32, exclusive: 2^14 as a real.
pub const VALUE_Q32: i64 = 1 << 46;
/// The weight of a fresh publication; 64 of them make the largest sum.
pub const WEIGHT: u64 = 1024;
/// The sum of the weights of one merge, inclusive.
pub const WEIGHT_SUM: u64 = 65_536;
/// Seconds to which a claimed time is rounded down.
pub const CLAIMED_TIME_STEP_S: u64 = 60;
