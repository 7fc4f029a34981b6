//! Files that are damaged or missing, feeds that go on from elsewhere, and logs that are wrong.

use bytes::Bytes;
use chorale_protocol::{
    audit::layout::{Name, frame},
    base::{Incarnation, RecordId, UnixSeconds},
    code::blob_hash,
    feed::Checked,
    fixture::{self, Author},
    log::{Note, NoteSignature, TreeHash},
    manifest::Policy,
};

use crate::{
    Golden,
    ledger::Ledger,
    plays::{SEED, anchored, golden},
    world::World,
};

pub(crate) fn all() -> Vec<Golden> {
    vec![damaged(), version_missing(), incarnations(), logs()]
}

/// One publication that nobody merges.
fn unused(world: &mut World, who: usize) -> Checked {
    let record = world.step(who);
    world.published[who].pop();
    record
}

/// Blobs that are other than signed, feeds with bytes between records, with a record twice and with a gap, and files beside that are nothing.
fn damaged() -> Golden {
    let mut world = World::play(4, 1, Policy { momentum: 0, ..fixture::policy() }, SEED);
    let blob = |record: &Checked| Name::Blob(record.record().body.unwrap().hash).to_string();
    let feed = |record: &Checked| Name::Feed(record.record().member, Incarnation(0)).to_string();
    let (changed, short, twice) = (unused(&mut world, 0), unused(&mut world, 1), unused(&mut world, 2));
    let gone = world.step(3);
    let behind = world.step(3);
    let first = world.published[3][0].checked.clone();
    world.builder.evidence(Bytes::from_static(b"no evidence"));
    world.builder.conflict(Bytes::from_static(b"no votes"));
    let mut archive = world.archive();
    let mut bytes = archive.remove(&blob(&changed)).unwrap().to_vec();
    bytes[5] ^= 1;
    archive.insert(blob(&changed), bytes.into());
    let bytes = archive.remove(&blob(&short)).unwrap();
    archive.insert(blob(&short), bytes.slice(1..));
    let bytes = archive.remove(&feed(&twice)).unwrap();
    archive.insert(feed(&twice), [&bytes[..], b"between", &frame(twice.bytes())].concat().into());
    archive.insert(feed(&behind), [frame(first.bytes()), frame(behind.bytes())].concat().into());
    World::withhold(&mut archive, &gone);
    archive.insert(Name::Evidence(blob_hash(b"something")).to_string(), Bytes::from_static(b"something else"));
    archive.insert("evidence/none".into(), Bytes::new());
    let heads = world.heads();
    let codes = [
        "ARC-001", "BLB-003", "BLB-004", "DAG-001", "EVD-001", "EVD-002", "FRM-001", "GOV-002", "LNK-001", "LNK-002",
        "MRG-003",
    ];
    golden("damaged", &world, archive, vec![anchored(&heads, 1, &codes)])
}

/// A manifest version is not there: the one behind it and the records that name these two are not judged.
fn version_missing() -> Golden {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    let heads = world.heads();
    let mut unjudged = Vec::new();
    for who in 0..2 {
        world.amend(|manifest| manifest.policy.draw = 2 - who as u64);
        unjudged.push(world.step(who));
    }
    let mut archive = world.archive();
    archive.remove(&Name::Manifest(1).to_string()).unwrap();
    unjudged.iter().for_each(|record| World::withhold(&mut archive, record));
    golden("version-missing", &world, archive, vec![anchored(&heads, 3, &["ARC-005", "REC-003", "REC-003"])])
}

/// A member whose key is bound anew, which it had not chosen; one that goes on from another's record, and one from a record that is not here.
fn incarnations() -> Golden {
    let mut world = World::play(3, 1, Policy { momentum: 0, ..fixture::policy() }, SEED);
    let mut heads = world.heads();
    world.rotate(2, 72);
    heads.push(world.step(2).id());
    let others = world.published[1][0].checked.id();
    for (who, prev) in [(0, others), (1, RecordId([7; 32]))] {
        world.authors[who] = Author::new(who as u64);
        world.authors[who].incarnation = Incarnation(1);
        heads.push(after(&mut world, who, prev));
    }
    let codes = ["INC-001", "INC-001", "INC-001", "INC-002", "INC-003", "KEY-001"];
    golden("incarnations", &world, world.archive(), vec![anchored(&heads, 1, &codes)])
}

/// A publication behind this record, that nobody merges.
fn after(world: &mut World, who: usize, prev: RecordId) -> RecordId {
    let record = world.step_with(who, |draft| draft.record.prev = Some(prev)).id();
    world.published[who].pop();
    record
}

/// When heads were cosigned, in seconds since 1970.
const COSIGNED: u64 = 1_700_000_200;

/// Logs, each wrong in a way of its own; a record that claims a time at which it had long been cosigned, and one that no log has.
fn logs() -> Golden {
    let mut world = World::play(5, 1, Policy { witnesses: Some(1), ..fixture::policy() }, SEED);
    world.step_with(0, |draft| draft.record.claimed_time = UnixSeconds(1_700_000_640));
    let mut ledgers: Vec<Ledger> = (0..5).map(|who| Ledger::of(who, &world)).collect();
    ledgers[2].tree.push(TreeHash::leaf(b"a record that was left out"));
    for ledger in &mut ledgers {
        ledger.publish(&world, &[((ledger.who + 1) % 5, COSIGNED)]);
        ledger.put(&mut world);
    }
    world.step(1);
    let mut archive = world.archive();
    // Another root than its tree's; another leaf than its root is of; no newest head; a note that is none, and an unknown witness.
    let odd = ledgers[0].note_of(&world, 3, TreeHash([7; 32]), &[]);
    archive.insert(ledgers[0].file("notes/00000000000000000003"), odd);
    let tile = ledgers[1].file("tile/0/000.p/6");
    let mut bytes = archive.remove(&tile).unwrap().to_vec();
    bytes[40] ^= 1;
    archive.insert(tile, bytes.into());
    archive.remove(&ledgers[3].file("checkpoint")).unwrap();
    archive.remove(&ledgers[3].file("tile/0/000.p/6")).unwrap();
    archive.insert(ledgers[4].file("notes/00000000000000000003"), Bytes::from_static(b"no note\n"));
    let mut note = Note::parse(&ledgers[4].notes[0].1).unwrap();
    note.add(NoteSignature { name: "witness.example".into(), id: [1; 4], bytes: vec![2; 72] }).unwrap();
    archive.insert(ledgers[4].file("checkpoint"), note.to_bytes().into());
    let heads = world.heads();
    let codes = ["LOG-001", "LOG-002", "LOG-003", "LOG-004", "LOG-005", "LOG-006", "TIME-001", "WIT-001"];
    golden("logs", &world, archive, vec![anchored(&heads, 1, &codes)])
}
