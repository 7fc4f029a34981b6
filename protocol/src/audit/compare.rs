//! Two archives of one network against each other: what one holds and the other lacks, and who showed them different histories.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    ArchiveDigest, Contents, FeedSurvey, Finding, LogHead, LogSplit, Survey,
    finding::{Notes, Place},
    layout::Name,
    log_split,
    survey::grave,
};
use crate::{
    base::{BlobHash, Incarnation, ManifestHash, MemberId, RecordId, Seq},
    feed::{Checked, Evidence},
};

/// What one archive holds and the other lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides<T> {
    /// Only the first has it.
    pub a: Vec<T>,
    /// Only the second has it.
    pub b: Vec<T>,
}

impl<T> Default for Sides<T> {
    fn default() -> Self {
        Self { a: Vec::new(), b: Vec::new() }
    }
}

impl<T: Ord + Copy> Sides<T> {
    pub(super) fn of(a: &BTreeSet<T>, b: &BTreeSet<T>) -> Self {
        Self { a: a.difference(b).copied().collect(), b: b.difference(a).copied().collect() }
    }

    /// Whether both hold the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.a.is_empty() && self.b.is_empty()
    }
}

/// A member showed one history of a feed to one archive's source and another to the other's.
#[derive(Debug, Clone)]
pub struct Split {
    /// The first place where the two contradict each other.
    pub evidence: Evidence,
    /// Whether the evidence's first record is the first archive's.
    pub first_in_a: bool,
    /// The author's label.
    pub label: String,
}

/// What differs between two archives.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Manifest versions, with their hashes.
    pub manifests: Sides<(u64, ManifestHash)>,
    /// The first version that is there twice, with two hashes: governors contradicted themselves.
    pub conflict: Option<u64>,
    /// Records, of those feeds that differ.
    pub records: BTreeMap<(MemberId, Incarnation), Sides<(Seq, RecordId)>>,
    /// Blobs that have the hash that names them.
    pub blobs: Sides<BlobHash>,
    /// Evidence bundles that have the hash that names them.
    pub evidence: Sides<BlobHash>,
    /// Feeds of which the two show different histories.
    pub splits: Vec<Split>,
    /// Log heads, by note.
    pub logs: Sides<LogHead>,
    /// Logs of which the two show different heads of one size.
    pub log_splits: Vec<LogSplit>,
    /// The digests of both, byte for byte.
    pub digests: Option<(ArchiveDigest, ArchiveDigest)>,
    /// The names of the files that the two do not hold alike.
    pub differing: Vec<String>,
    /// What could not be checked in either, and may hide more.
    pub findings: Vec<Finding>,
    /// Genuine records in both together, each counted once.
    pub all_records: u64,
}

impl Comparison {
    /// Compares two archives of one network.
    ///
    /// # Errors
    /// A medium.
    pub fn of(a: &Survey<'_>, b: &Survey<'_>) -> io::Result<Self> {
        let versions = |survey: &Survey<'_>| -> BTreeSet<(u64, ManifestHash)> {
            let chain = survey.chain();
            (0..=chain.current().version).filter_map(|version| Some((version, chain.at(version)?.1))).collect()
        };
        let manifests = Sides::of(&versions(a), &versions(b));
        let (files_a, files_b) = (a.contents()?, b.contents()?);
        let mut notes = Notes::default();
        let sound = |all: &mut dyn Iterator<Item = BlobHash>, files: &Contents, name: fn(BlobHash) -> Name| {
            all.filter(|hash| !files.is_misnamed(name(*hash))).collect::<BTreeSet<BlobHash>>()
        };
        misnamed(&files_a, "A", &mut notes);
        misnamed(&files_b, "B", &mut notes);
        let of_b: BTreeSet<u64> = manifests.b.iter().map(|(version, _)| *version).collect();
        let mut comparison = Self {
            conflict: manifests.a.iter().map(|(version, _)| *version).find(|version| of_b.contains(version)),
            manifests,
            blobs: Sides::of(
                &sound(&mut a.blobs(), &files_a, Name::Blob),
                &sound(&mut b.blobs(), &files_b, Name::Blob),
            ),
            evidence: Sides::of(
                &sound(&mut a.evidence(), &files_a, Name::Evidence),
                &sound(&mut b.evidence(), &files_b, Name::Evidence),
            ),
            digests: Some((files_a.digest(), files_b.digest())),
            differing: files_a.differing(&files_b),
            findings: grave(a.findings()).chain(grave(b.findings())).cloned().collect(),
            ..Self::default()
        };
        let feeds: BTreeSet<(MemberId, Incarnation)> = a.feeds().into_iter().chain(b.feeds()).collect();
        for feed in feeds {
            let label = [a, b].into_iter().map(|survey| survey.label(&feed.0)).find(|label| !label.is_empty());
            comparison.feed(feed, (a.feed(feed)?, b.feed(feed)?), label.unwrap_or_default());
        }
        (comparison.logs, comparison.log_splits) = log_split::compare(a, b, &mut notes)?;
        comparison.findings.extend(grave(&notes.into_findings()).cloned());
        Ok(comparison)
    }

    /// Whether there is no difference at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { manifests, records, blobs, evidence, logs, .. } = self;
        manifests.is_empty() && records.is_empty() && blobs.is_empty() && evidence.is_empty() && logs.is_empty()
    }

    /// Whether a member, or the governors, showed the two different things.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.conflict.is_some() || !self.splits.is_empty() || !self.log_splits.is_empty()
    }

    fn feed(&mut self, feed: (MemberId, Incarnation), (a, b): (FeedSurvey, FeedSurvey), label: String) {
        self.findings.extend(grave(&a.findings).chain(grave(&b.findings)).cloned());
        let places = |survey: &FeedSurvey| -> BTreeSet<(Seq, RecordId)> {
            survey.records.iter().map(|(_, checked)| (checked.record().seq, checked.id())).collect()
        };
        let (in_a, in_b) = (places(&a), places(&b));
        self.all_records += in_a.union(&in_b).count() as u64;
        let sides = Sides::of(&in_a, &in_b);
        if sides.is_empty() {
            return;
        }
        let only = |survey: FeedSurvey, places: &[(Seq, RecordId)]| -> Vec<Checked> {
            let alone: BTreeSet<(Seq, RecordId)> = places.iter().copied().collect();
            let records = survey.records.into_iter().map(|(_, checked)| checked);
            records.filter(|checked| alone.contains(&(checked.record().seq, checked.id()))).collect()
        };
        let (only_a, only_b) = (only(a, &sides.a), only(b, &sides.b));
        self.splits.extend(contradiction(&only_a, &only_b).map(|evidence| Split {
            first_in_a: in_a.contains(&(evidence.first.record().seq, evidence.first.id())),
            evidence,
            label,
        }));
        self.records.insert(feed, sides);
    }
}

/// Files whose name is the hash of other bytes.
fn misnamed(files: &Contents, side: &str, notes: &mut Notes) {
    for file in files.files().iter().filter(|file| file.misnamed) {
        let Some(name) = Name::parse(&file.name) else { continue };
        let code = if matches!(name, Name::Blob(_)) { "BLB-003" } else { "EVD-002" };
        notes.add(code, &Place::file(name), format!("the file of {side} does not have the hash that names it"));
    }
}

/// The first contradiction between a record of one list and one of the other, both by place: in one place, or one place apart.
fn contradiction(a: &[Checked], b: &[Checked]) -> Option<Evidence> {
    let mut by_place: BTreeMap<Seq, &Checked> = BTreeMap::new();
    for checked in b {
        by_place.entry(checked.record().seq).or_insert(checked);
    }
    for one in a {
        let seq = one.record().seq;
        let near = [Some(seq), seq.0.checked_sub(1).map(Seq), Some(seq.next())];
        let others = near.into_iter().flatten().filter_map(|seq| by_place.get(&seq));
        if let Some(evidence) = others.filter_map(|other| Evidence::of(one, other)).next() {
            return Some(evidence);
        }
    }
    None
}
