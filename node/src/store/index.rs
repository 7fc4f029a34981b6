//! The redb index: records by place, ids, heads, manifest versions. What is durable when is decided here.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chorale_protocol::{
    base::{Incarnation, MemberId, RecordId, Seq},
    feed::Head,
    log::TreeHash,
    wire::SyncRequest,
};
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    WriteTransaction,
};

use super::{StoreError, answer::Frames};

/// Member, incarnation big-endian, seq big-endian, record id: keys sort as feeds do, and a place holds every record that was
/// signed for it and counted once, or is named by one that counts.
type Place = [u8; 80];

const RECORDS: TableDefinition<'_, &Place, &[u8]> = TableDefinition::new("records");
const IDS: TableDefinition<'_, &[u8; 32], &Place> = TableDefinition::new("ids");
/// Per feed (member, incarnation big-endian): the newest place and its id.
const HEADS: TableDefinition<'_, &[u8; 40], (u64, &[u8; 32])> = TableDefinition::new("heads");
const MANIFESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("manifests");
/// The leaves of our transparency log, in the order in which the records were stored.
const LEAVES: TableDefinition<'_, u64, &[u8; 32]> = TableDefinition::new("leaves");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// The layout that this program writes, and the only one that it reads: 1 held records whose bytes the protocol no longer has.
const LAYOUT: u64 = 2;

/// A record with its place, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place and id.
    pub head: Head,
    /// The envelope.
    pub bytes: Bytes,
}

/// The index of one home.
#[derive(Debug)]
pub(super) struct Index {
    database: Database,
    path: PathBuf,
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let damaged = |why: String| StoreError::Index { path: path.to_owned(), why };
        // A damaged file may trip an assertion inside the database; that must not look like a bug of ours.
        let opened = std::panic::catch_unwind(|| Database::builder().set_cache_size(16 << 20).create(path));
        let database = opened
            .map_err(|_| damaged("its pages contradict each other".into()))?
            .map_err(|error| damaged(error.to_string()))?;
        let index = Self { database, path: path.to_owned() };
        index.prepare()?;
        Ok(index)
    }

    /// Checks who wrote the index, before anything else in it is looked at, and makes the tables of a new one.
    fn prepare(&self) -> Result<(), StoreError> {
        let txn = self.begin(Durability::Immediate)?;
        {
            let mut meta = txn.open_table(META).map_err(|e| self.damaged(e))?;
            let found = meta.get("layout").map_err(|e| self.damaged(e))?.map(|v| v.value().to_vec());
            match found.as_deref().map(<[u8; 8]>::try_from) {
                None => drop(meta.insert("layout", &LAYOUT.to_le_bytes()[..]).map_err(|e| self.damaged(e))?),
                Some(Ok(bytes)) if u64::from_le_bytes(bytes) == LAYOUT => {}
                Some(Ok(bytes)) => {
                    let got = u64::from_le_bytes(bytes);
                    return Err(StoreError::Layout { path: self.path.clone(), got, want: LAYOUT });
                }
                Some(Err(_)) => return Err(self.damaged("no layout version")),
            }
            txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
            txn.open_table(IDS).map_err(|e| self.damaged(e))?;
            txn.open_table(HEADS).map_err(|e| self.damaged(e))?;
            txn.open_table(MANIFESTS).map_err(|e| self.damaged(e))?;
            txn.open_table(LEAVES).map_err(|e| self.damaged(e))?;
        }
        txn.commit().map_err(|e| self.damaged(e))
    }

    /// Stores records in one transaction. `own`: durable when this returns, with everything stored before.
    pub(super) fn put_records(&self, entries: &[Entry], own: bool) -> Result<(), StoreError> {
        let txn = self.begin(if own { Durability::Immediate } else { Durability::None })?;
        {
            let mut records = txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
            let mut ids = txn.open_table(IDS).map_err(|e| self.damaged(e))?;
            let mut heads = txn.open_table(HEADS).map_err(|e| self.damaged(e))?;
            let mut leaves = txn.open_table(LEAVES).map_err(|e| self.damaged(e))?;
            let mut next = leaves.len().map_err(|e| self.damaged(e))?;
            for Entry { head, bytes } in entries {
                let place = place(head);
                if records.get(&place).map_err(|e| self.damaged(e))?.is_some() {
                    continue;
                }
                records.insert(&place, bytes.as_ref()).map_err(|e| self.damaged(e))?;
                ids.insert(head.id.as_bytes(), &place).map_err(|e| self.damaged(e))?;
                leaves.insert(next, &TreeHash::leaf(bytes).0).map_err(|e| self.damaged(e))?;
                next += 1;
                let feed = feed(&head.member, head.incarnation);
                let older = heads.get(&feed).map_err(|e| self.damaged(e))?.map(|v| v.value().0);
                if older.is_none_or(|seq| seq < head.seq.0) {
                    heads.insert(&feed, (head.seq.0, head.id.as_bytes())).map_err(|e| self.damaged(e))?;
                }
            }
        }
        txn.commit().map_err(|e| self.damaged(e))
    }

    pub(super) fn put_manifest(&self, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let txn = self.begin(Durability::Immediate)?;
        {
            let mut table = txn.open_table(MANIFESTS).map_err(|e| self.damaged(e))?;
            table.insert(version, bytes).map_err(|e| self.damaged(e))?;
        }
        txn.commit().map_err(|e| self.damaged(e))
    }

    /// Makes everything stored so far durable.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.begin(Durability::Immediate)?.commit().map_err(|e| self.damaged(e))
    }

    /// Every record, feed after feed, each ascending.
    pub(super) fn records(&self) -> Result<Vec<Bytes>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
        let count = usize::try_from(table.len().map_err(|e| self.damaged(e))?).unwrap_or(0);
        let mut all = Vec::with_capacity(count);
        for row in table.iter().map_err(|e| self.damaged(e))? {
            let (_, bytes) = row.map_err(|e| self.damaged(e))?;
            all.push(Bytes::copy_from_slice(bytes.value()));
        }
        Ok(all)
    }

    /// The leaves of our log from number `from` on.
    pub(super) fn leaves(&self, from: u64) -> Result<Vec<TreeHash>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(LEAVES).map_err(|e| self.damaged(e))?;
        let mut all = Vec::new();
        for row in table.range(from..).map_err(|e| self.damaged(e))? {
            all.push(TreeHash(*row.map_err(|e| self.damaged(e))?.1.value()));
        }
        Ok(all)
    }

    pub(super) fn record(&self, id: &RecordId) -> Result<Option<Bytes>, StoreError> {
        let txn = self.read()?;
        let ids = txn.open_table(IDS).map_err(|e| self.damaged(e))?;
        let Some(place) = ids.get(id.as_bytes()).map_err(|e| self.damaged(e))? else { return Ok(None) };
        let table = txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
        let found = table.get(place.value()).map_err(|e| self.damaged(e))?;
        Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    /// The newest record of every feed, ascending by member and incarnation.
    pub(super) fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(HEADS).map_err(|e| self.damaged(e))?;
        let mut all = Vec::new();
        for row in table.iter().map_err(|e| self.damaged(e))? {
            let (key, value) = row.map_err(|e| self.damaged(e))?;
            let (member, incarnation) = parse_feed(key.value());
            let (seq, id) = value.value();
            all.push(Head { member, incarnation, seq: Seq(seq), id: RecordId(*id) });
        }
        Ok(all)
    }

    /// The records of one feed up to the place of `head`, ascending; those that share a place by id.
    pub(super) fn feed_of(&self, head: &Head) -> Result<Vec<Bytes>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
        let (from, to) = span(head, Seq(0));
        let mut all = Vec::new();
        for row in table.range::<&Place>(&from..=&to).map_err(|e| self.damaged(e))? {
            let (_, bytes) = row.map_err(|e| self.damaged(e))?;
            all.push(Bytes::copy_from_slice(bytes.value()));
        }
        Ok(all)
    }

    /// Every manifest version, genesis first.
    pub(super) fn manifests(&self) -> Result<Vec<Bytes>, StoreError> {
        let txn = self.read()?;
        let table = txn.open_table(MANIFESTS).map_err(|e| self.damaged(e))?;
        let mut all = Vec::new();
        for row in table.iter().map_err(|e| self.damaged(e))? {
            let (_, bytes) = row.map_err(|e| self.damaged(e))?;
            all.push(Bytes::copy_from_slice(bytes.value()));
        }
        Ok(all)
    }

    /// What the asker lacks, as far as one answer goes: newer manifests, then each feed from where it ends there.
    pub(super) fn answer(&self, request: &SyncRequest) -> Result<Vec<u8>, StoreError> {
        let mut frames = Frames::new(SyncRequest::ANSWER_BYTES);
        let txn = self.read()?;
        let manifests = txn.open_table(MANIFESTS).map_err(|e| self.damaged(e))?;
        let newer = request.manifest_version.saturating_add(1);
        for row in manifests.range(newer..).map_err(|e| self.damaged(e))? {
            let (_, bytes) = row.map_err(|e| self.damaged(e))?;
            if !frames.manifest(bytes.value()) {
                return Ok(frames.end());
            }
        }
        let records = txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
        if !self.answer_wanted(&txn, &request.wants, &mut frames)? {
            return Ok(frames.end());
        }
        for head in self.heads()? {
            let wanted = (head.member, head.incarnation);
            let held = request.have.binary_search_by_key(&wanted, |have| (have.member, have.incarnation));
            let next = held.ok().and_then(|at| request.have.get(at)).map_or(Seq(0), |have| have.next);
            if next > head.seq {
                continue;
            }
            let (from, to) = span(&head, next);
            for row in records.range::<&Place>(&from..=&to).map_err(|e| self.damaged(e))? {
                let (_, bytes) = row.map_err(|e| self.damaged(e))?;
                if !frames.record(bytes.value()) {
                    return Ok(frames.end());
                }
            }
        }
        Ok(frames.end())
    }

    /// Adds the records that were asked for by id, each with all of its feed in its place and in those before it, so many as go
    /// with one: the asker may have another branch. `false` if they no longer fit.
    fn answer_wanted(
        &self,
        txn: &ReadTransaction,
        wants: &[RecordId],
        frames: &mut Frames,
    ) -> Result<bool, StoreError> {
        let ids = txn.open_table(IDS).map_err(|e| self.damaged(e))?;
        let records = txn.open_table(RECORDS).map_err(|e| self.damaged(e))?;
        let mut found: BTreeMap<Place, Vec<u8>> = BTreeMap::new();
        for id in wants {
            let Some(place) = ids.get(id.as_bytes()).map_err(|e| self.damaged(e))?.map(|v| *v.value()) else {
                continue;
            };
            let head = parse_place(&place);
            let (from, to) = span(&head, Seq(head.seq.0.saturating_sub(SyncRequest::WITH_WANTED)));
            for row in records.range::<&Place>(&from..=&to).map_err(|e| self.damaged(e))? {
                let (key, bytes) = row.map_err(|e| self.damaged(e))?;
                found.insert(*key.value(), bytes.value().to_vec());
            }
        }
        Ok(found.values().all(|bytes| frames.record(bytes)))
    }

    fn begin(&self, durability: Durability) -> Result<WriteTransaction, StoreError> {
        let mut txn = self.database.begin_write().map_err(|e| self.damaged(e))?;
        txn.set_durability(durability).map_err(|e| self.damaged(e))?;
        Ok(txn)
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.database.begin_read().map_err(|e| self.damaged(e))
    }

    fn damaged(&self, why: impl fmt::Display) -> StoreError {
        StoreError::Index { path: self.path.clone(), why: why.to_string() }
    }
}

fn feed(member: &MemberId, incarnation: Incarnation) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(member.as_bytes());
    key[32..].copy_from_slice(&incarnation.0.to_be_bytes());
    key
}

fn parse_feed(key: &[u8; 40]) -> (MemberId, Incarnation) {
    let (mut member, mut incarnation) = ([0; 32], [0; 8]);
    member.copy_from_slice(&key[..32]);
    incarnation.copy_from_slice(&key[32..]);
    (MemberId(member), Incarnation(u64::from_be_bytes(incarnation)))
}

fn place(head: &Head) -> Place {
    let mut key = [0; 80];
    key[..40].copy_from_slice(&feed(&head.member, head.incarnation));
    key[40..48].copy_from_slice(&head.seq.0.to_be_bytes());
    key[48..].copy_from_slice(head.id.as_bytes());
    key
}

fn parse_place(key: &Place) -> Head {
    let (mut feed, mut seq, mut id) = ([0; 40], [0; 8], [0; 32]);
    feed.copy_from_slice(&key[..40]);
    seq.copy_from_slice(&key[40..48]);
    id.copy_from_slice(&key[48..]);
    let (member, incarnation) = parse_feed(&feed);
    Head { member, incarnation, seq: Seq(u64::from_be_bytes(seq)), id: RecordId(id) }
}

/// The first and the last key that a record from seq `from` up to the head's can have.
fn span(head: &Head, from: Seq) -> (Place, Place) {
    let (first, last) = (RecordId([0; 32]), RecordId([0xff; 32]));
    (place(&Head { seq: from, id: first, ..*head }), place(&Head { id: last, ..*head }))
}
