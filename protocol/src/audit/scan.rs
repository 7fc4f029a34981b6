//! Feed files taken apart and checked record by record, on a few threads: each thread takes the next part of the first file
//! that is not done, so that one large feed keeps all of them busy. Files are never held whole.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    finding::{Notes, Place, Where},
    frames::{Cutter, Piece},
    layout::{FEED_FILE_BYTES, Name},
    light::{Extra, Packed},
    link::{Scan, link},
    report::{Counts, Tally},
    rules::Rules,
    source::Source,
    window::PART,
    work::each,
};
use crate::{
    base::{Incarnation, MemberId, RecordId},
    feed::{Checked, Refusal, Spec, check_despite_cut, check_unsigned, stands},
};

/// What is kept of a feed's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// A short form.
    Short,
    /// The records.
    Whole,
}

/// How feeds are read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) rules: &'a Rules,
    pub(super) keep: Keep,
    /// Leave out the signatures of records that a later one vouches for.
    pub(super) heads_only: bool,
    pub(super) threads: usize,
}

/// A genuine record, before it is linked.
pub(super) struct Found {
    pub(super) packed: Packed,
    pub(super) prev: Option<RecordId>,
    /// A cut voids it.
    pub(super) void: bool,
}

/// What was found in a feed file, by the order of its frames.
pub(super) struct Gathered {
    pub(super) feed: (MemberId, Incarnation),
    pub(super) found: Vec<Found>,
    pub(super) extras: BTreeMap<u32, Extra>,
    pub(super) checked: Vec<(u32, RecordId)>,
    /// The records of `found`, one for one, if they were to be kept.
    pub(super) kept: Vec<Checked>,
    pub(super) notes: Notes,
    pub(super) counts: Counts,
}

impl Gathered {
    /// The file as a place of findings.
    pub(super) fn place(&self) -> Place {
        let name = Name::Feed(self.feed.0, self.feed.1);
        Place { file: Where::File(name), feed: Some(self.feed), ..Place::default() }
    }
}

/// Reads, checks and links feeds; `finish` makes of each what is wanted, and its results come in the order of `feeds`. `seen` is
/// told of bytes as they are done.
pub(super) fn scan_each<T: Send>(
    reading: &Reading<'_>,
    feeds: &[(MemberId, Incarnation)],
    seen: &(dyn Fn(u64) + Sync),
    finish: impl Fn(Scan) -> T + Sync,
) -> io::Result<Vec<T>> {
    let files: Vec<_> = feeds.iter().map(|feed| Mutex::new(File::new(reading.source, *feed))).collect();
    let done: Vec<_> = feeds.iter().map(|_| Mutex::new(None)).collect();
    let worker = || -> io::Result<()> {
        for (file, done) in files.iter().zip(&done) {
            loop {
                // A statement of its own: the lock is not held while the part is checked.
                let part = lock(file).next(reading.source)?;
                let Some(part) = part else { break };
                let batch = check(reading, part, seen);
                let whole = lock(file).put(batch);
                if let Some(gathered) = whole {
                    *lock(done) = Some(finish(link(reading, gathered)?));
                }
            }
        }
        Ok(())
    };
    each(reading.threads.max(1), reading.threads, |_| worker()).into_iter().collect::<io::Result<()>>()?;
    let results = done.into_iter().map(|done| done.into_inner().unwrap_or_else(PoisonError::into_inner));
    results.map(|done| done.ok_or_else(|| io::Error::other("a feed was not read to its end"))).collect()
}

/// A panic elsewhere is passed on by the thread it happened in.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A feed file that is being taken apart.
struct File {
    name: Name,
    length: u64,
    cutter: Cutter,
    /// Parts handed out, and parts taken in again, in their order.
    out: usize,
    taken: usize,
    early: BTreeMap<usize, Batch>,
    ended: bool,
    gathered: Option<Gathered>,
}

/// Some pieces of a file, to be checked.
struct Part {
    number: usize,
    feed: (MemberId, Incarnation),
    pieces: Vec<Piece>,
}

/// Some pieces, checked.
#[derive(Default)]
struct Batch {
    number: usize,
    found: Vec<Found>,
    extras: Vec<(u32, Extra)>,
    checked: Vec<(u32, RecordId)>,
    kept: Vec<Checked>,
    problems: Vec<(&'static str, Place, String)>,
    records: Tally,
}

impl File {
    fn new(source: &Source<'_>, feed: (MemberId, Incarnation)) -> Self {
        let name = Name::Feed(feed.0, feed.1);
        let mut notes = Notes::default();
        let length = source.bounded(name, FEED_FILE_BYTES, &mut notes);
        let gathered = Gathered {
            feed,
            found: Vec::new(),
            extras: BTreeMap::new(),
            checked: Vec::new(),
            kept: Vec::new(),
            notes,
            counts: Counts::default(),
        };
        Self {
            name,
            length: length.unwrap_or_default(),
            cutter: Cutter::default(),
            out: 0,
            taken: 0,
            early: BTreeMap::new(),
            ended: false,
            gathered: Some(gathered),
        }
    }

    /// The next part; `None` behind the last one. Even an empty file has one.
    fn next(&mut self, source: &Source<'_>) -> io::Result<Option<Part>> {
        let Some(gathered) = self.gathered.as_ref().filter(|_| !self.ended) else { return Ok(None) };
        let start = self.cutter.at();
        let left = self.length.saturating_sub(start);
        let length = usize::try_from(left).map_or(PART, |left| left.min(PART));
        let bytes = if length == 0 { Default::default() } else { source.read_at(self.name, start, length)? };
        self.ended = bytes.len() as u64 == left;
        let pieces = std::iter::from_fn(|| self.cutter.next(&bytes, start, self.ended)).collect();
        self.out += 1;
        Ok(Some(Part { number: self.out - 1, feed: gathered.feed, pieces }))
    }

    /// Takes in what was checked; gives everything once it is whole.
    fn put(&mut self, batch: Batch) -> Option<Gathered> {
        let gathered = self.gathered.as_mut()?;
        self.early.insert(batch.number, batch);
        while let Some(batch) = self.early.remove(&self.taken) {
            self.taken += 1;
            gathered.found.extend(batch.found);
            gathered.extras.extend(batch.extras);
            gathered.checked.extend(batch.checked);
            gathered.kept.extend(batch.kept);
            gathered.counts.records.add(batch.records);
            for (code, place, text) in batch.problems {
                gathered.notes.add(code, &place, text);
            }
        }
        if self.ended && self.taken == self.out { self.gathered.take() } else { None }
    }
}

/// Checks each record of a part by itself.
fn check(reading: &Reading<'_>, part: Part, seen: &(dyn Fn(u64) + Sync)) -> Batch {
    let mut batch = Batch { number: part.number, ..Batch::default() };
    let (member, incarnation) = part.feed;
    let name = Name::Feed(member, incarnation);
    let mut bytes = 0;
    for piece in part.pieces {
        let place =
            |offset| Place { file: Where::File(name), offset: Some(offset), feed: Some(part.feed), ..Place::default() };
        match piece {
            Piece::Frame { offset, envelope } => {
                bytes += envelope.len() as u64 + 4;
                batch.frame(reading, offset, envelope, part.feed, place);
            }
            Piece::Damage { offset, length } => {
                bytes += length;
                batch.problems.push(("FRM-001", place(offset), format!("{length} bytes are no frame")));
                batch.records.failed += 1;
            }
        }
    }
    seen(bytes);
    batch
}

impl Batch {
    fn frame(
        &mut self,
        reading: &Reading<'_>,
        offset: u64,
        envelope: bytes::Bytes,
        feed: (MemberId, Incarnation),
        place: impl Fn(u64) -> Place,
    ) {
        let chain = reading.rules.chain();
        let checked =
            if reading.heads_only { check_unsigned(envelope, chain) } else { check_despite_cut(envelope, chain) };
        let checked = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.problems.push((refusal.code(), place(offset), refusal.to_string()));
                return refused(&mut self.records, &refusal);
            }
        };
        let record = checked.record();
        let (seq, id) = (record.seq, checked.id());
        if (record.member, record.incarnation) != feed {
            let place = Place { seq: Some(seq), record: Some(id), ..place(offset) };
            let found = format!("a record of {}.{}", record.member, record.incarnation);
            self.problems.push(("FRM-002", place, found));
            self.records.failed += 1;
            return;
        }
        if let Spec::Other(other) = &record.spec {
            let place = Place { seq: Some(seq), record: Some(id), ..place(offset) };
            let text = format!("record kind {} is unknown to this program: update it", other.kind);
            self.problems.push(("REC-001", place, text));
            self.records.missing += 1;
        }
        // No feed file is longer.
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        let (packed, extra) = Packed::new(&checked, offset);
        self.extras.extend(extra.map(|extra| (offset, extra)));
        if let Spec::Update(update) = &record.spec {
            self.checked.extend(update.checked.iter().map(|update| (offset, *update)));
        }
        self.found.push(Found { packed, prev: record.prev, void: stands(chain, record.standpoint(), || id).is_err() });
        if reading.keep == Keep::Whole {
            self.kept.push(checked);
        }
    }
}

/// Counts a record that was refused.
pub(super) fn refused(records: &mut Tally, refusal: &Refusal) {
    match refusal {
        Refusal::Unsupported { .. } | Refusal::NeedsManifest { .. } => records.missing += 1,
        _ => records.failed += 1,
    }
}

/// One feed's part in the count: it failed, is incomplete, or is whole.
pub(super) fn tally(records: &Tally) -> Tally {
    match (records.failed, records.missing) {
        (0, 0) if records.ok > 0 => Tally { ok: 1, ..Tally::default() },
        (0, _) => Tally { missing: 1, ..Tally::default() },
        _ => Tally { failed: 1, ..Tally::default() },
    }
}
