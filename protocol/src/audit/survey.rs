//! What an archive holds, short of a verdict: its chain, and every genuine record, a feed at a time.
//!
//! Signatures, membership and links are checked as in a replay, by the same functions; what does not check is left out and
//! becomes a finding. Rules that need other feeds, draws and merges are the replay's.

use std::{collections::BTreeSet, io};

use bytes::Bytes;

use super::{
    Archive, Branch, Finding, LogBook, Severity, Stand, blob, bundles,
    finding::Notes,
    layout::Name,
    report::Tally,
    rules::Rules,
    scan::{Keep, scan},
    source::Source,
};
use crate::{
    base::{BlobHash, Incarnation, MemberId, NetworkId, limit},
    feed::{Body, Checked, Evidence, Head},
    log::Keyring,
    manifest::Chain,
};

/// An archive whose manifest chain verifies.
pub struct Survey<'a> {
    source: Source<'a>,
    rules: Rules,
    findings: Vec<Finding>,
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
            Some(rules) => Ok(Self { source, rules, findings }),
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

    /// Whether the newest version says which of a member's histories in this incarnation stands.
    #[must_use]
    pub fn settles(&self, member: &MemberId, incarnation: Incarnation) -> bool {
        self.rules.settles(member, incarnation)
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

    /// Reads and checks a log.
    ///
    /// # Errors
    /// The medium.
    pub(super) fn log(&self, member: MemberId, notes: &mut Notes) -> io::Result<LogBook> {
        LogBook::read(&self.source, &Keyring::new(self.chain()), member, notes)
    }

    /// A log, and what of it does not check or is missing.
    ///
    /// # Errors
    /// The medium.
    pub fn log_book(&self, member: MemberId) -> io::Result<(LogBook, Vec<Finding>)> {
        let mut notes = Notes::default();
        let book = self.log(member, &mut notes)?;
        Ok((book, notes.into_findings()))
    }

    /// Reads and checks a feed.
    ///
    /// # Errors
    /// The medium.
    pub fn feed(&self, feed: (MemberId, Incarnation)) -> io::Result<FeedSurvey> {
        let scan = scan(&self.source, &self.rules, feed, Keep::Whole, &|_| {})?;
        let mut branches: Vec<Branch> = scan.branches.into_values().collect();
        branches.sort_by_key(|branch| {
            (branch.evidence.accused().2, branch.evidence.first.id(), branch.evidence.second.id())
        });
        let mut records: Vec<_> = scan.lights.iter().map(|light| light.stand).zip(scan.kept).collect();
        records.sort_by_key(|(_, checked)| (checked.record().seq, checked.id()));
        let findings = scan.notes.into_findings();
        Ok(FeedSurvey { records, head: scan.head, branches, more_branches: scan.more_branches, findings })
    }

    /// The bundle of this name, or why it convicts nobody.
    ///
    /// # Errors
    /// The medium.
    pub fn bundle(&self, hash: BlobHash) -> io::Result<Result<Evidence, Vec<Finding>>> {
        let mut notes = Notes::default();
        let evidence = bundles::read(&self.source, &self.rules, hash, &mut notes)?;
        Ok(evidence.ok_or_else(|| notes.into_findings()))
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
