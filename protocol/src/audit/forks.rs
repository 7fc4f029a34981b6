//! Every member that signed two histories, with both of them, and whether the manifests settled which one stands; and every
//! governor that voted twice.

use std::{collections::BTreeSet, io};

use super::{FeedSurvey, Finding, Survey, layout::Name, survey::grave};
use crate::{
    admit::Bundle,
    base::{RecordId, Seq},
    feed::Evidence,
    manifest::DoubleVote,
};

/// Two histories of one feed.
#[derive(Debug, Clone)]
pub struct Fork {
    /// The two records where they part.
    pub evidence: Evidence,
    /// Their author's label.
    pub label: String,
    /// Whether the newest manifest says which one stands.
    pub settled: bool,
    /// The archive's file that shows it.
    pub file: String,
    /// Where the history in the archive's chain ends; `None` if only a bundle shows the fork.
    pub linked: Option<(Seq, RecordId)>,
    /// Where the other one ends, and how many records it has.
    pub other: Option<(Seq, u64)>,
}

/// All forks of an archive.
#[derive(Debug, Clone, Default)]
pub struct Forks {
    /// By member, incarnation and place; at most 64 of a feed.
    pub found: Vec<Fork>,
    /// Manifests that governors voted for against the chain, by file.
    pub double_votes: Vec<(String, DoubleVote)>,
    /// Whether one of those governors governs still.
    pub governs: bool,
    /// Further histories that are not told apart.
    pub more: u64,
    /// What could not be checked, and may hide forks.
    pub findings: Vec<Finding>,
    /// Genuine records looked at.
    pub records: u64,
}

impl Forks {
    /// Searches every feed, and the evidence bundles for what the feeds do not show.
    ///
    /// # Errors
    /// The medium.
    pub fn of(survey: &Survey<'_>) -> io::Result<Self> {
        let mut forks = Self { findings: grave(survey.findings()).cloned().collect(), ..Self::default() };
        let mut known = BTreeSet::new();
        let feeds = survey.each_feed(|feed, survey| {
            let records = survey.records.len() as u64;
            (feed, records, FeedSurvey { records: Vec::new(), ..survey })
        })?;
        for ((member, incarnation), records, feed) in feeds {
            forks.records += records;
            forks.more += feed.more_branches;
            forks.findings.extend(grave(&feed.findings).cloned());
            for branch in feed.branches {
                known.insert(pair(&branch.evidence));
                forks.found.push(Fork {
                    label: survey.label(&member),
                    settled: branch.evidence.is_settled(survey.chain()),
                    file: Name::Feed(member, incarnation).to_string(),
                    linked: feed.head.map(|head| (head.seq, head.id)),
                    other: Some((branch.last, branch.records)),
                    evidence: branch.evidence,
                });
            }
        }
        for hash in survey.evidence() {
            let evidence = match survey.bundle(hash)? {
                Ok(Bundle::Evidence(evidence)) => *evidence,
                Ok(Bundle::Fault(_)) => continue,
                Err(findings) => {
                    forks.findings.extend(findings);
                    continue;
                }
            };
            let (member, ..) = evidence.accused();
            if known.insert(pair(&evidence)) {
                forks.found.push(Fork {
                    label: survey.label(&member),
                    settled: evidence.is_settled(survey.chain()),
                    file: Name::Evidence(hash).to_string(),
                    linked: None,
                    other: None,
                    evidence,
                });
            }
        }
        for hash in survey.conflicts() {
            match survey.conflict(hash)? {
                Ok(double) => {
                    forks.governs |= double.governs(survey.chain());
                    forks.double_votes.push((Name::Conflict(hash).to_string(), double));
                }
                Err(findings) => forks.findings.extend(findings),
            }
        }
        forks.found.sort_by_key(|fork| (fork.evidence.accused(), pair(&fork.evidence)));
        Ok(forks)
    }

    /// Whether a member signed two histories and no manifest version says which one stands, or a governor that voted twice
    /// governs still.
    #[must_use]
    pub fn unsettled(&self) -> bool {
        self.governs || self.found.iter().any(|fork| !fork.settled)
    }
}

fn pair(evidence: &Evidence) -> (RecordId, RecordId) {
    (evidence.first.id(), evidence.second.id())
}
