//! What each member put in, as far as an archive shows: what it claims, what was measured, and what the others made of it.

use std::collections::BTreeMap;

use crate::{
    base::{MemberId, Round},
    feed::{Privacy, Record, SkipReason, Spec},
};

/// One publication, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// Its round.
    pub round: Round,
    /// Training examples, as claimed: rounded up to a power of two.
    pub examples: u64,
    /// Loss on own held-out data after training, in millionths of a nat per token, as claimed.
    pub loss_after_micro: Option<u64>,
    /// ‖P − M‖² in units of 2⁻⁶⁴: how far local training moved the merge. Measured; `None` if a payload was not there.
    pub moved2: Option<u128>,
}

/// What one member put in. Records that a cut voids, and those outside a feed's chain, do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contribution {
    /// Its publications, by incarnation and place.
    pub publications: Vec<Publication>,
    /// Bytes of the blobs that its records name: payloads, checkpoints, evidence.
    pub bytes: u64,
    /// Publications with a differential-privacy claim.
    pub private: u64,
    /// The newest such claim.
    pub privacy: Option<Privacy>,
    /// How often others merged a publication of its.
    pub merged_by_others: u64,
    /// How often others that drew it passed it over, and why.
    pub skipped_by_others: BTreeMap<SkipReason, u64>,
}

impl Contribution {
    /// Takes a record of the member into account.
    pub(super) fn add(&mut self, record: &Record, moved2: Option<u128>) {
        let body = record.body.map_or(0, |body| body.length);
        self.bytes = self.bytes.saturating_add(body);
        let Spec::Update(update) = &record.spec else { return };
        self.bytes = self.bytes.saturating_add(update.state.map_or(0, |state| state.length));
        self.publications.push(Publication {
            round: update.round,
            examples: update.examples,
            loss_after_micro: update.loss_after_micro,
            moved2,
        });
        if update.privacy.is_some() {
            self.private += 1;
            self.privacy = update.privacy;
        }
    }

    /// Of all publications together: an upper bound, since each is rounded up.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.publications.iter().fold(0, |sum, publication| sum.saturating_add(publication.examples))
    }

    /// The different rounds that it published.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        let mut rounds: Vec<Round> = self.publications.iter().map(|publication| publication.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        rounds.len() as u64
    }

    /// How often others passed it over, for any reason.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped_by_others.values().sum()
    }
}

/// What one member did to the others: whom it merged, and whom it passed over and why.
#[derive(Debug, Default)]
pub(super) struct Choices {
    pub(super) merged: BTreeMap<MemberId, u64>,
    pub(super) skipped: BTreeMap<(MemberId, SkipReason), u64>,
}

/// Each member's own part of the walks, and what the others' choices add to it.
pub(super) fn gather(
    named: BTreeMap<MemberId, String>,
    walks: impl Iterator<Item = (MemberId, Contribution, Choices)>,
) -> Vec<(MemberId, String, Contribution)> {
    let mut all: BTreeMap<MemberId, (String, Contribution)> =
        named.into_iter().map(|(member, label)| (member, (label, Contribution::default()))).collect();
    for (member, own, choices) in walks {
        let entry = &mut all.entry(member).or_default().1;
        let Contribution { publications, bytes, private, privacy, .. } = own;
        *entry = Contribution { publications, bytes, private, privacy, ..std::mem::take(entry) };
        for (other, times) in choices.merged {
            all.entry(other).or_default().1.merged_by_others += times;
        }
        for ((other, reason), times) in choices.skipped {
            *all.entry(other).or_default().1.skipped_by_others.entry(reason).or_default() += times;
        }
    }
    all.into_iter().map(|(member, (label, contribution))| (member, label, contribution)).collect()
}
