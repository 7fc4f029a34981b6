//! What an archive holds, short of a verdict: its chain, and every genuine record, a feed at a time.
//!
//! Signatures, membership and links are checked as in a replay, by the same functions; what does not check is left out and
//! becomes a finding. Rules that need other feeds, draws and merges are the replay's.

use std::{
    collections::BTreeSet,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use super::{
    Archive, Branch, Contents, Finding, LogBook, Severity, Stand,
    blob::{self, Lack},
    bundles, conflicts,
    finding::Notes,
    layout::Name,
    link::Scan,
    report::Tally,
    rules::Rules,
    scan::{Keep, Reading, scan_each},
    source::Source,
};
use crate::{
    admit::Bundle,
    base::{BlobHash, Incarnation, MemberId, NetworkId, limit},
    feed::{Body, Checked, Head},
    log::Keyring,
    manifest::{Chain, DoubleVote},
};

/// An archive whose manifest chain verifies.
pub struct Survey<'a> {
    source: Source<'a>,
    rules: Rules,
    findings: Vec<Finding>,
    threads: usize,
    progress: Box<dyn Fn(u64, u64) + Sync + 'a>,
}

/// Why an archive cannot be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The medium.
    #[error("the archive cannot be read")]
    Medium(#[from] io::Error),
    /// There is no genesis, or not the one wanted. The findings say so, the gravest first.
    #[error("{}", .0.first().map_or("the archive shows nothing", |finding| finding.text.as_str()))]
    Refused(Vec<Finding>),
}

/// Whether the bytes that an author signed are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// They are.
    Here,
    /// There is no such file.
    Missing,
    /// The file has other bytes.
    Damaged,
}

/// One feed.
#[derive(Debug, Clone)]
pub struct FeedSurvey {
    /// Its genuine records and how each stands, by place; those of other histories among them.
    pub records: Vec<(Stand, Checked)>,
    /// The newest record of the history that was linked.
    pub head: Option<Head>,
    /// Other histories, by the place where they begin.
    pub branches: Vec<Branch>,
    /// Further ones, whose records are here but which are not told apart.
    pub more_branches: u64,
    /// What does not check, or is missing.
    pub findings: Vec<Finding>,
}

impl FeedSurvey {
    fn of(scan: Scan) -> Self {
        let mut branches: Vec<Branch> = scan.branches.into_values().collect();
        branches.sort_by_key(|branch| {
            (branch.evidence.accused().2, branch.evidence.first.id(), branch.evidence.second.id())
        });
        let mut records: Vec<_> = scan.lights.records.iter().map(|light| light.stand).zip(scan.kept).collect();
        records.sort_by_key(|(_, checked)| (checked.record().seq, checked.id()));
        let findings = scan.notes.into_findings();
        Self { records, head: scan.head, branches, more_branches: scan.more_branches, findings }
    }
}

impl<'a> Survey<'a> {
    /// Verifies the manifest chain. `network` is the one that the archive must be of; without it the genesis is believed.
    ///
    /// # Errors
    /// The medium; no genesis that verifies, or that of another network.
    pub fn open(archive: &'a dyn Archive, network: Option<NetworkId>) -> Result<Self, SurveyError> {
        let mut notes = Notes::default();
        let source = Source::new(archive, &mut notes)?;
        let network = match network {
            Some(network) => network,
            None => own_network(&source, &mut notes)?.unwrap_or(NetworkId([0; 32])),
        };
        let rules = Rules::load(&source, network, &mut Tally::default(), &mut notes)?;
        let findings = notes.into_findings();
        match rules {
            Some(rules) => Ok(Self { source, rules, findings, threads: 1, progress: Box::new(|_, _| {}) }),
            None => Err(SurveyError::Refused(findings)),
        }
    }

    /// The network's rules, as far as they verify.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        self.rules.chain()
    }

    /// A member's label in the newest version that names it; empty for a stranger.
    #[must_use]
    pub fn label(&self, member: &MemberId) -> String {
        self.rules.label(member)
    }

    /// What is wrong with names and manifests.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Every feed file, by member and incarnation.
    #[must_use]
    pub fn feeds(&self) -> Vec<(MemberId, Incarnation)> {
        self.source.feeds()
    }

    /// Every blob file, by hash; whether the bytes are right is not known.
    pub fn blobs(&self) -> impl Iterator<Item = BlobHash> {
        self.source.blobs()
    }

    /// Every evidence file, by hash.
    pub fn evidence(&self) -> impl Iterator<Item = BlobHash> {
        self.source.evidence()
    }

    /// Everyone of whose log something is here.
    #[must_use]
    pub fn logs(&self) -> BTreeSet<MemberId> {
        self.source.logs()
    }

    /// Reads and checks a log, by the keys that a chain gives.
    ///
    /// # Errors
    /// The medium.
    pub(super) fn log(&self, member: MemberId, keyring: &Keyring, notes: &mut Notes) -> io::Result<LogBook> {
        LogBook::read(&self.source, keyring, member, notes)
    }

    /// A log, and what of it does not check or is missing.
    ///
    /// # Errors
    /// The medium.
    pub fn log_book(&self, member: MemberId) -> io::Result<(LogBook, Vec<Finding>)> {
        let mut notes = Notes::default();
        let book = self.log(member, &Keyring::new(self.chain()), &mut notes)?;
        Ok((book, notes.into_findings()))
    }

    /// Reads feeds on so many threads, and tells `progress` of bytes read and bytes in all; what comes of it is the same.
    #[must_use]
    pub fn reading(self, threads: usize, progress: impl Fn(u64, u64) + Sync + 'a) -> Self {
        Self { threads, progress: Box::new(progress), ..self }
    }

    /// Reads and checks a feed.
    ///
    /// # Errors
    /// The medium.
    pub fn feed(&self, feed: (MemberId, Incarnation)) -> io::Result<FeedSurvey> {
        let all = self.scan(&[feed], &|_, _| {}, |_, survey| survey)?;
        all.into_iter().next().ok_or_else(|| io::Error::other("one feed was read, and none came of it"))
    }

    /// Reads and checks every feed and makes of each what `finish` makes of it, in the order of [`feeds`](Self::feeds). Feeds are
    /// read a few at a time, and not held any longer.
    ///
    /// # Errors
    /// The medium.
    pub fn each_feed<T: Send>(
        &self,
        finish: impl Fn((MemberId, Incarnation), FeedSurvey) -> T + Sync,
    ) -> io::Result<Vec<T>> {
        self.scan(&self.feeds(), &self.progress, finish)
    }

    fn scan<T: Send>(
        &self,
        feeds: &[(MemberId, Incarnation)],
        progress: &(dyn Fn(u64, u64) + Sync),
        finish: impl Fn((MemberId, Incarnation), FeedSurvey) -> T + Sync,
    ) -> io::Result<Vec<T>> {
        let (source, rules, threads) = (&self.source, &self.rules, self.threads);
        let reading = Reading { source, rules, keep: Keep::Whole, heads_only: false, threads };
        let lengths = feeds.iter().filter_map(|feed| source.length(Name::Feed(feed.0, feed.1)));
        let (total, done) = (lengths.fold(0_u64, u64::saturating_add), AtomicU64::new(0));
        let seen = |bytes| progress(done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes).min(total), total);
        scan_each(&reading, feeds, &seen, |scan| finish(scan.lights.feed, FeedSurvey::of(scan)))
    }

    /// The bundle of this name, or why it proves nothing.
    ///
    /// # Errors
    /// The medium.
    pub fn bundle(&self, hash: BlobHash) -> io::Result<Result<Bundle, Vec<Finding>>> {
        let mut notes = Notes::default();
        let bundle = bundles::read(&self.source, &self.rules, hash, &mut notes)?;
        Ok(bundle.ok_or_else(|| notes.into_findings()))
    }

    /// Every file of a contradicting manifest, by hash.
    pub fn conflicts(&self) -> impl Iterator<Item = BlobHash> {
        self.source.conflicts()
    }

    /// The double vote of this name, or why it proves none.
    ///
    /// # Errors
    /// The medium.
    pub fn conflict(&self, hash: BlobHash) -> io::Result<Result<DoubleVote, Vec<Finding>>> {
        let mut notes = Notes::default();
        let double = conflicts::read(&self.source, &self.rules, hash, &mut notes)?;
        Ok(double.ok_or_else(|| notes.into_findings()))
    }

    /// Every file, hashed.
    ///
    /// # Errors
    /// The medium.
    pub fn contents(&self) -> io::Result<Contents> {
        Contents::read(&self.source, self.threads, &self.progress)
    }

    /// Whether the bytes that an author signed are here and right.
    ///
    /// # Errors
    /// The medium.
    pub fn presence(&self, body: Body) -> io::Result<Presence> {
        Ok(match blob::read(&self.source, Name::Blob(body.hash), body)? {
            Ok(_) => Presence::Here,
            Err(Lack::Missing) => Presence::Missing,
            Err(Lack::Wrong(..)) => Presence::Damaged,
        })
    }

    /// The bytes that an author signed, if they are here and right.
    ///
    /// # Errors
    /// The medium.
    pub fn blob(&self, body: Body) -> io::Result<Option<Bytes>> {
        Ok(blob::read(&self.source, Name::Blob(body.hash), body)?.ok())
    }
}

/// Whether something could not be checked, or failed.
pub(super) fn grave(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.severity > Severity::Warning)
}

fn own_network(source: &Source<'_>, notes: &mut Notes) -> io::Result<Option<NetworkId>> {
    let genesis = source.read(Name::Genesis, limit::MANIFEST_BYTES as u64, notes)?;
    Ok(genesis.and_then(|bytes| Chain::genesis(bytes).ok()).map(|chain| chain.network()))
}
