//! One feed file: frames, signatures, links.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use bytes::Bytes;

use super::{
    contradictions::Contradictions,
    finding::{Notes, Place},
    frames::{Piece, pieces},
    layout::{FEED_FILE_BYTES, Name},
    light::{Light, Stand},
    report::{Counts, Tally},
    rules::Rules,
    source::Source,
};
use crate::{
    base::{BlobHash, Incarnation, MemberId, RecordId, Seq},
    code::blob_hash,
    feed::{Checked, Evidence, Feed, Head, Linked, Refusal, check, check_despite_cut},
};

/// What a feed file holds.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) lights: Vec<Light>,
    pub(super) head: Option<Head>,
    pub(super) notes: Notes,
    pub(super) counts: Counts,
    /// Where its author contradicts itself, and where that was seen.
    pub(super) forks: Contradictions,
    pub(super) digest: Option<BlobHash>,
    /// The other histories that its author signed, by the record that each of them has reached.
    pub(super) branches: BTreeMap<RecordId, Branch>,
    /// Histories beyond [`BRANCHES`].
    pub(super) more_branches: u64,
    /// The records of `lights`, one for one, if they were to be kept.
    pub(super) kept: Vec<Checked>,
}

/// Other histories of one feed that are told apart; of more, the number is known.
const BRANCHES: usize = 64;

/// A history of a feed beside the one that was linked.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Its first record, and the linked one that it contradicts.
    pub evidence: Evidence,
    /// Where it ends.
    pub last: Seq,
    /// How many records it has.
    pub records: u64,
}

/// What is kept of a feed's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// A short form.
    Short,
    /// The records.
    Whole,
}

/// Reads and checks a feed file. `seen` is told of bytes as they are done.
pub(super) fn scan(
    source: &Source<'_>,
    rules: &Rules,
    feed: (MemberId, Incarnation),
    keep: Keep,
    seen: &dyn Fn(u64),
) -> io::Result<Scan> {
    let mut notes = Notes::default();
    let name = Name::Feed(feed.0, feed.1);
    let file = source.read(name, FEED_FILE_BYTES, &mut notes)?;
    let digest = file.as_ref().map(|file| blob_hash(file));
    let mut scanner = Scanner {
        rules,
        file: file.unwrap_or_default(),
        place: Place { file: name.to_string(), feed: Some(feed), ..Place::default() },
        feed: Feed::new(feed.0, feed.1),
        behind_gap: None,
        found: BTreeMap::new(),
        scan: Scan { notes, digest, ..Scan::default() },
        keep,
    };
    let mut items = Vec::new();
    for piece in pieces(&scanner.file.clone()) {
        match piece {
            Piece::Frame { offset, envelope } => {
                seen(envelope.len() as u64 + 4);
                items.extend(scanner.frame(offset, envelope));
            }
            Piece::Damage { offset, length } => {
                seen(length);
                let place = Place { offset: Some(offset), ..scanner.place.clone() };
                scanner.scan.notes.add("FRM-001", &place, format!("{length} bytes are no frame"));
                scanner.scan.counts.records.failed += 1;
            }
        }
    }
    for item in ranked(items, rules, feed) {
        scanner.place_in_feed(item);
    }
    scanner.scan.head = scanner.feed.head();
    Ok(scanner.scan)
}

/// A genuine record of the feed.
struct Item {
    checked: Checked,
    offset: u64,
    /// Why it no longer counts, if so.
    void: Option<String>,
}

/// The order in which records are linked: if a cut or a handover says which history stands, that one first; what is void last.
fn ranked(mut items: Vec<Item>, rules: &Rules, feed: (MemberId, Incarnation)) -> Vec<Item> {
    let chain = rules.chain();
    let cut = chain.current().cut(&feed.0).filter(|cut| cut.incarnation == feed.1).and_then(|cut| cut.last);
    let handed = || {
        let here = chain.handovers(&feed.0).iter().rev().filter(|(_, handover)| handover.incarnation == feed.1);
        here.filter_map(|(_, handover)| handover.last).next()
    };
    let mut stands = BTreeSet::new();
    if let Some((_, last)) = cut.or_else(handed) {
        let prev: BTreeMap<_, _> = items.iter().map(|item| (item.checked.id(), item.checked.record().prev)).collect();
        let mut at = Some(last);
        while let Some(id) = at.filter(|id| stands.insert(*id)) {
            at = prev.get(&id).copied().flatten();
        }
    }
    items.sort_by_key(|item| match &item.void {
        None if stands.is_empty() || stands.contains(&item.checked.id()) => 0,
        None => 1,
        Some(_) => 2,
    });
    items
}

/// A genuine record behind a gap: what the next one is checked against.
struct Loose {
    seq: Seq,
    id: RecordId,
}

struct Scanner<'a> {
    rules: &'a Rules,
    file: Bytes,
    place: Place,
    feed: Feed,
    behind_gap: Option<Loose>,
    /// Offsets of the genuine records.
    found: BTreeMap<RecordId, (u64, usize)>,
    scan: Scan,
    keep: Keep,
}

impl Scanner<'_> {
    /// Checks one envelope by itself.
    fn frame(&mut self, offset: u64, envelope: Bytes) -> Option<Item> {
        let place = Place { offset: Some(offset), ..self.place.clone() };
        let (checked, void) = match genuine(self.rules, envelope) {
            Ok(genuine) => genuine,
            Err(refusal) => {
                self.scan.notes.add(refusal.code(), &place, refusal.to_string());
                let records = &mut self.scan.counts.records;
                match refusal {
                    Refusal::Unsupported { .. } | Refusal::NeedsManifest { .. } => records.missing += 1,
                    _ => records.failed += 1,
                }
                return None;
            }
        };
        let record = checked.record();
        if Some((record.member, record.incarnation)) != self.place.feed {
            let place = Place { seq: Some(record.seq), record: Some(checked.id()), ..place };
            let found = format!("a record of {}.{}", record.member, record.incarnation);
            self.scan.notes.add("FRM-002", &place, found);
            self.scan.counts.records.failed += 1;
            return None;
        }
        Some(Item { checked, offset, void })
    }

    /// Links a genuine record.
    fn place_in_feed(&mut self, item: Item) {
        let Item { checked, offset, void } = item;
        let place = Place {
            offset: Some(offset),
            seq: Some(checked.record().seq),
            record: Some(checked.id()),
            ..self.place.clone()
        };
        let Some(stand) = self.link(&checked, &place) else { return };
        let stand = match void {
            Some(why) => {
                self.scan.notes.run("CUT-001", &place, why);
                Stand::Void
            }
            None => stand,
        };
        match stand {
            Stand::Linked | Stand::Void => self.scan.counts.records.ok += 1,
            Stand::Loose => self.scan.counts.records.failed += 1,
        }
        self.found.insert(checked.id(), (offset, checked.bytes().len()));
        self.scan.lights.push(Light::new(&checked, stand, offset));
        if self.keep == Keep::Whole {
            self.scan.kept.push(checked);
        }
    }

    /// Its place in the feed; `None` if it was there before.
    fn link(&mut self, checked: &Checked, place: &Place) -> Option<Stand> {
        if self.found.contains_key(&checked.id()) {
            self.scan.notes.add("LNK-002", place, "the same record stands earlier in this file");
            return None;
        }
        if let Some(last) = self.behind_gap.take() {
            return Some(self.link_behind_gap(&last, checked, place));
        }
        let (rules, file, found) = (self.rules, &self.file, &self.found);
        let stored = |id: &RecordId| {
            let (offset, length) = *found.get(id)?;
            let start = usize::try_from(offset).ok()?.checked_add(4)?;
            let envelope = file.get(start..start.checked_add(length)?)?;
            genuine(rules, Bytes::copy_from_slice(envelope)).ok().map(|(checked, _)| checked)
        };
        match self.feed.offer(checked, stored) {
            Ok(Linked::Appended) => Some(Stand::Linked),
            Ok(Linked::Duplicate) => None,
            Ok(Linked::Gap { from }) => {
                let record = checked.record();
                let missing = record.seq.0.saturating_sub(from.0);
                self.scan.notes.add("LNK-001", place, format!("{missing} records are missing, from seq {from} on"));
                self.scan.counts.records.missing += missing;
                self.behind_gap = Some(Loose { seq: record.seq, id: checked.id() });
                Some(Stand::Linked)
            }
            Ok(Linked::Fork(evidence)) => {
                self.scan.forks.note(&evidence, place, self.rules.chain());
                self.branch(checked, *evidence);
                Some(Stand::Loose)
            }
            Err(refusal) => {
                self.scan.notes.add(refusal.code(), place, refusal.to_string());
                Some(Stand::Loose)
            }
        }
    }

    /// Adds a contradicting record to the history that it goes on from, or begins one.
    fn branch(&mut self, checked: &Checked, evidence: Evidence) {
        let (branches, seq) = (&mut self.scan.branches, checked.record().seq);
        let before = checked.record().prev.and_then(|prev| branches.remove(&prev));
        match before {
            Some(branch) => {
                let longer = Branch { last: seq, records: branch.records + 1, ..branch };
                branches.insert(checked.id(), longer);
            }
            None if branches.len() < BRANCHES => {
                branches.insert(checked.id(), Branch { evidence, last: seq, records: 1 });
            }
            None => self.scan.more_branches += 1,
        }
    }

    /// Behind a gap the feed's own rules cannot follow; what can be compared is compared.
    fn link_behind_gap(&mut self, last: &Loose, checked: &Checked, place: &Place) -> Stand {
        let record = checked.record();
        let next = Loose { seq: record.seq, id: checked.id() };
        let missing = record.seq.0.checked_sub(last.seq.next().0);
        let standing = match missing {
            Some(0) if record.prev == Some(last.id) => Stand::Linked,
            Some(0) => {
                let text = format!("it names {:?} as the record before, which is {}", record.prev, last.id);
                self.scan.notes.add("LNK-003", place, text);
                Stand::Loose
            }
            Some(missing) => {
                let from = last.seq.next();
                self.scan.notes.add("LNK-001", place, format!("{missing} records are missing, from seq {from} on"));
                self.scan.counts.records.missing += missing;
                Stand::Linked
            }
            None => {
                self.scan.notes.add("LNK-003", place, format!("it stands behind seq {}", last.seq));
                Stand::Loose
            }
        };
        self.behind_gap = Some(next);
        standing
    }
}

/// Checks an envelope; a record that only a cut or a handover refuses is genuine, and void: why.
fn genuine(rules: &Rules, envelope: Bytes) -> Result<(Checked, Option<String>), Refusal> {
    match check(envelope.clone(), rules.chain()) {
        Ok(checked) => Ok((checked, None)),
        Err(cut @ (Refusal::Cut { .. } | Refusal::HandedOver { .. })) => {
            Ok((check_despite_cut(envelope, rules.chain())?, Some(cut.to_string())))
        }
        Err(refusal) => Err(refusal),
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
