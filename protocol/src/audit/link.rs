//! The genuine records of one feed file, linked: which history stands, what is missing, and who signed two of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    contradictions::Contradictions,
    finding::{Notes, Place},
    layout::Name,
    light::{Lights, Stand},
    report::Counts,
    scan::{Found, Gathered, Reading, refused},
    window::Window,
};
use crate::{
    base::{Incarnation, MemberId, RecordId, Seq},
    feed::{Checked, Evidence, Feed, Head, Link, Linked, Standpoint, check_despite_cut, stands},
};

/// What a feed file holds.
pub(super) struct Scan {
    pub(super) lights: Lights,
    pub(super) head: Option<Head>,
    pub(super) notes: Notes,
    pub(super) counts: Counts,
    /// Where its author contradicts itself, and where that was seen.
    pub(super) forks: Contradictions,
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

/// Links what was gathered from a feed file.
pub(super) fn link(reading: &Reading<'_>, mut gathered: Gathered) -> io::Result<Scan> {
    if reading.heads_only {
        vouch(reading, &mut gathered)?;
    }
    let order = ranked(&gathered.found, reading, gathered.feed);
    let place = gathered.place();
    let Gathered { feed, found, extras, checked, kept, notes, counts } = gathered;
    let mut linker = Linker {
        reading,
        window: Window::new(Name::Feed(feed.0, feed.1)),
        place,
        feed: Feed::new(feed.0, feed.1),
        chain: Vec::new(),
        apart: BTreeSet::new(),
        behind_gap: None,
        found: &found,
        scan: Scan {
            lights: Lights { feed, records: Vec::new(), extras, checked },
            head: None,
            notes,
            counts,
            forks: Contradictions::default(),
            branches: BTreeMap::new(),
            more_branches: 0,
            kept: Vec::new(),
        },
    };
    let mut placed = vec![None; found.len()];
    for at in order {
        if let (Some(one), Some(stand)) = (found.get(at), placed.get_mut(at)) {
            *stand = linker.place_in_feed(at, one)?;
        }
    }
    let Linker { feed, mut scan, .. } = linker;
    scan.head = feed.head();
    let stood = |(one, stand): (Found, &Option<Stand>)| stand.map(|stand| one.packed.standing(stand));
    scan.lights.records = found.into_iter().zip(&placed).filter_map(stood).collect();
    scan.kept =
        kept.into_iter().zip(&placed).filter(|(_, stand)| stand.is_some()).map(|(checked, _)| checked).collect();
    Ok(scan)
}

/// Checks the signatures that no later record makes superfluous: of a record that the next one names as the one before it, under
/// the same manifest version, the next one's signature is enough, if that was checked or is vouched for in turn. What does not
/// verify is left out.
fn vouch(reading: &Reading<'_>, gathered: &mut Gathered) -> io::Result<()> {
    let mut window = Window::new(Name::Feed(gathered.feed.0, gathered.feed.1));
    let place = gathered.place();
    let mut genuine = vec![true; gathered.found.len()];
    let mut next: Option<&Found> = None;
    for (one, genuine) in gathered.found.iter().zip(&mut genuine).rev() {
        let vouches = |next: &Found| {
            (next.prev, next.packed.seq) == (Some(one.packed.id), one.packed.seq.next())
                && next.packed.manifest_version == one.packed.manifest_version
        };
        if !next.is_some_and(vouches) {
            let envelope = window.envelope(reading.source, one.packed.offset.into(), one.packed.length.into())?;
            if let Err(refusal) = check_despite_cut(envelope, reading.rules.chain()) {
                *genuine = false;
                let place = Place { offset: Some(one.packed.offset.into()), ..place.clone() };
                gathered.notes.add(refusal.code(), &place, refusal.to_string());
                refused(&mut gathered.counts.records, &refusal);
            }
        }
        next = genuine.then_some(one);
    }
    let mut flags = genuine.iter();
    gathered.found.retain(|_| flags.next().is_none_or(|genuine| *genuine));
    let mut flags = genuine.iter();
    gathered.kept.retain(|_| flags.next().is_none_or(|genuine| *genuine));
    Ok(())
}

/// The order in which records are linked: if a cut or a handover says which history stands, that one first; what is void last.
fn ranked(found: &[Found], reading: &Reading<'_>, feed: (MemberId, Incarnation)) -> Vec<usize> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    let mut stands = BTreeSet::new();
    if let Some((_, last)) = reading.rules.chain().last_of(&feed.0, feed.1) {
        let prev: BTreeMap<_, _> = found.iter().map(|one| (one.packed.id, one.prev)).collect();
        let mut at = Some(last);
        while let Some(id) = at.filter(|id| stands.insert(*id)) {
            at = prev.get(&id).copied().flatten();
        }
    }
    let rank = |at: &usize| match found.get(*at) {
        Some(one) if one.void => 2,
        Some(one) if stands.is_empty() || stands.contains(&one.packed.id) => 0,
        _ => 1,
    };
    order.sort_by_key(rank);
    order
}

/// A genuine record behind a gap: what the next one is checked against.
struct Loose {
    seq: Seq,
    id: RecordId,
}

struct Linker<'a> {
    reading: &'a Reading<'a>,
    window: Window,
    place: Place,
    feed: Feed,
    /// Where the feed's records are in `found`, by seq.
    chain: Vec<usize>,
    /// The ids of those placed that the feed does not hold.
    apart: BTreeSet<RecordId>,
    behind_gap: Option<Loose>,
    found: &'a [Found],
    scan: Scan,
}

impl Linker<'_> {
    /// Links a genuine record and says how it stands; `None` if it was there before.
    fn place_in_feed(&mut self, at: usize, one: &Found) -> io::Result<Option<Stand>> {
        let (id, seq) = (one.packed.id, one.packed.seq);
        let place =
            Place { offset: Some(one.packed.offset.into()), seq: Some(seq), record: Some(id), ..self.place.clone() };
        let Some(mut stand) = self.link(at, one, &place)? else { return Ok(None) };
        if one.void {
            let (member, incarnation) = self.scan.lights.feed;
            let at = Standpoint { member, incarnation, seq, manifest_version: one.packed.manifest_version.into() };
            let why = stands(self.reading.rules.chain(), at, || id);
            self.scan.notes.run("CUT-001", &place, why.err().map(|why| why.to_string()).unwrap_or_default());
            stand = Stand::Void;
        }
        match stand {
            Stand::Linked | Stand::Void => self.scan.counts.records.ok += 1,
            Stand::Loose => self.scan.counts.records.failed += 1,
        }
        Ok(Some(stand))
    }

    fn link(&mut self, at: usize, one: &Found, place: &Place) -> io::Result<Option<Stand>> {
        let (id, seq) = (one.packed.id, one.packed.seq);
        if self.feed.id_at(seq) == Some(id) || self.apart.contains(&id) {
            self.scan.notes.add("LNK-002", place, "the same record stands earlier in this file");
            return Ok(None);
        }
        if let Some(last) = self.behind_gap.take() {
            self.apart.insert(id);
            return Ok(Some(self.link_behind_gap(&last, one, place)));
        }
        let link = Link {
            id,
            seq,
            prev: one.prev,
            clock: one.packed.clock,
            manifest_version: one.packed.manifest_version.into(),
            step: one.packed.step(self.scan.lights.extras.get(&one.packed.offset)),
        };
        let (window, reading, chain, found) = (&mut self.window, self.reading, &self.chain, self.found);
        let mut trouble = None;
        let linked = self.feed.link(&link, |held| {
            let held = [Some(seq), seq.0.checked_sub(1).map(Seq)].into_iter().flatten().find_map(|seq| {
                let held_at = found.get(*chain.get(usize::try_from(seq.0).ok()?)?)?;
                (held_at.packed.id == *held).then_some(held_at)
            })?;
            match (again(window, reading, held), again(window, reading, one)) {
                (Ok(held), Ok(one)) => Evidence::of(&held?, &one?),
                (Err(error), _) | (_, Err(error)) => {
                    trouble = Some(error);
                    None
                }
            }
        });
        if let Some(error) = trouble {
            return Err(error);
        }
        if matches!(linked, Ok(Linked::Appended)) {
            self.chain.push(at);
        } else {
            self.apart.insert(id);
        }
        Ok(Some(match linked {
            Ok(Linked::Appended) => Stand::Linked,
            Ok(Linked::Duplicate) => return Ok(None),
            Ok(Linked::Gap { from }) => {
                let missing = seq.0.saturating_sub(from.0);
                self.scan.notes.add("LNK-001", place, format!("{missing} records are missing, from seq {from} on"));
                self.scan.counts.records.missing += missing;
                self.behind_gap = Some(Loose { seq, id });
                Stand::Linked
            }
            Ok(Linked::Fork(evidence)) => {
                self.scan.forks.note(&evidence, place, self.reading.rules.chain());
                self.branch(one, *evidence);
                Stand::Loose
            }
            Err(refusal) => {
                self.scan.notes.add(refusal.code(), place, refusal.to_string());
                Stand::Loose
            }
        }))
    }

    /// Adds a contradicting record to the history that it goes on from, or begins one.
    fn branch(&mut self, one: &Found, evidence: Evidence) {
        let (branches, seq, id) = (&mut self.scan.branches, one.packed.seq, one.packed.id);
        match one.prev.and_then(|prev| branches.remove(&prev)) {
            Some(branch) => {
                let longer = Branch { last: seq, records: branch.records + 1, ..branch };
                branches.insert(id, longer);
            }
            None if branches.len() < BRANCHES => {
                branches.insert(id, Branch { evidence, last: seq, records: 1 });
            }
            None => self.scan.more_branches += 1,
        }
    }

    /// Behind a gap the feed's own rules cannot follow; what can be compared is compared.
    fn link_behind_gap(&mut self, last: &Loose, one: &Found, place: &Place) -> Stand {
        let next = Loose { seq: one.packed.seq, id: one.packed.id };
        let missing = next.seq.0.checked_sub(last.seq.next().0);
        let standing = match missing {
            Some(0) if one.prev == Some(last.id) => Stand::Linked,
            Some(0) => {
                let text = format!("it names {:?} as the record before, which is {}", one.prev, last.id);
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

/// A record as it stands in the file, its signature checked whatever was left out before.
fn again(window: &mut Window, reading: &Reading<'_>, one: &Found) -> io::Result<Option<Checked>> {
    let envelope = window.envelope(reading.source, one.packed.offset.into(), one.packed.length.into())?;
    Ok(check_despite_cut(envelope, reading.rules.chain()).ok())
}
