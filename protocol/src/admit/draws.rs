//! The draw of an update that comes: whom it fetched, whom it passed over, and whom it calls absent.

use std::collections::BTreeSet;

use super::Parent;
use crate::{
    base::{MemberId, NetworkId, RecordId, Round},
    draw::{self, Account, DrawError, Seed},
    feed::{Record, SkipReason, Spec},
    manifest::Manifest,
    merge,
};

/// Checks that an update merged and skipped those whom the draw names. `seed`: what the draw is made from; where it is not known,
/// the number of those fetched is checked alone. `drawable`: whom draws under `manifest` are made from, ascending.
///
/// # Errors
/// The first way in which it differs.
pub fn check_draw(
    network: &NetworkId,
    record: &Record,
    seed: Option<&Seed>,
    (manifest, drawable): (&Manifest, &[MemberId]),
) -> Result<(), DrawError> {
    let account = Account::of(record, manifest);
    let draw = manifest.policy.draw;
    let Some(seed) = seed else { return account.check_count(draw) };
    account.check(&draw::order(network, &record.member, record.incarnation, seed, drawable), draw)
}

/// Whom an update calls absent, and from which round it counts the ages of others' updates.
#[derive(Debug)]
pub struct Called<'a> {
    ages: &'a [u64],
    absent: BTreeSet<MemberId>,
    base: Round,
}

impl<'a> Called<'a> {
    /// What an update says; `parents` are those of its parents that are known. `None` if it calls nobody absent, is no update, or
    /// its base round is not known.
    #[must_use]
    pub fn of(record: &Record, manifest: &'a Manifest, parents: &[Parent]) -> Option<Self> {
        let Spec::Update(update) = &record.spec else { return None };
        let absent = update.skipped.iter().filter(|skip| skip.reason == SkipReason::Absent);
        let absent: BTreeSet<MemberId> = absent.filter_map(|skip| manifest.member_at(skip.member)).collect();
        let own = parents.iter().find(|parent| parent.member == record.member).and_then(|parent| parent.round);
        let newest = parents.iter().filter_map(|parent| parent.round).max();
        let whole = parents.len() == record.parents.len();
        let base = own.or_else(|| newest.filter(|_| whole))?;
        (!absent.is_empty()).then_some(Self { ages: &manifest.policy.ages, absent, base })
    }

    /// Whether this is an update, within the window, of somebody called absent.
    #[must_use]
    pub fn speaks_of(&self, known: &Parent) -> bool {
        let in_window = |round| merge::weight(self.ages, self.base, round).is_some();
        self.absent.contains(&known.member) && known.round.is_some_and(in_window)
    }

    /// Those called absent.
    pub fn members(&self) -> impl Iterator<Item = &MemberId> {
        self.absent.iter()
    }
}

/// A member is called absent whose update the author, or whom it merged, had merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} is called absent; what it builds on merged that one's record {record} of round {round}")]
pub struct Present {
    /// who
    pub member: MemberId,
    /// its update
    pub record: RecordId,
    /// of which round
    pub round: Round,
}

impl Present {
    /// A stable code.
    pub const CODE: &'static str = "DRW-004";
}
