//! What is not there of a member's updates, told apart by whether anybody else rests on it.
//!
//! A member may keep the payload of its own newest updates from everybody. That is nobody else's fault and harms nobody, as long
//! as no other member's record builds on such an update or on a later one of its author: it is said, and takes no archive its
//! pass.

use std::{collections::BTreeMap, fmt};

use super::{
    finding::{Notes, Place},
    light::Light,
    remerge::Unchecked,
    shared::Audit,
};
use crate::base::{Incarnation, MemberId, Round, Seq};

/// Where a record stands among its author's.
type At = (Incarnation, Seq);

/// Up to where each member's records are named as parents by others.
#[derive(Debug, Default)]
pub(super) struct Used(BTreeMap<MemberId, At>);

impl Used {
    /// A record of `author` builds on these.
    pub(super) fn note(&mut self, author: &MemberId, parents: &[Light]) {
        for parent in parents.iter().filter(|parent| parent.member != *author) {
            let last = self.0.entry(parent.member).or_default();
            *last = (*last).max((parent.incarnation, parent.seq));
        }
    }

    pub(super) fn absorb(&mut self, other: Self) {
        for (member, at) in other.0 {
            let last = self.0.entry(member).or_default();
            *last = (*last).max(at);
        }
    }

    fn rests_on(&self, member: &MemberId, at: At) -> bool {
        self.0.get(member).is_some_and(|last| at <= *last)
    }
}

impl Audit<'_> {
    /// Whether the policy no longer keeps the blobs of this round.
    pub(super) fn is_pruned(&self, round: Round) -> bool {
        let keep = self.rules.chain().current().policy.keep_rounds;
        keep > 0 && round.0.saturating_add(keep) < self.newest.0
    }

    /// Whether a merge cannot be recomputed for nothing but what the policy no longer keeps, and that is allowed. `lost`: so was
    /// the one before it, and with it the momentum state.
    pub(super) fn is_by_pruning(&self, why: Unchecked, lost: bool) -> bool {
        let by_pruning = match why {
            Unchecked::Payload(_, round) | Unchecked::Distant(_, Some(round)) => self.is_pruned(round),
            Unchecked::Momentum => lost,
            Unchecked::Parent | Unchecked::Distant(_, None) | Unchecked::Unverified(_) => false,
        };
        self.allow_pruned && by_pruning
    }
}

/// Of an update on which nobody rests.
const NOBODY: &str = "; no other member's record builds on it or on what its author published later";

/// What a record lacks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lacking {
    /// A blob of an update of this round.
    Blob(Round),
    /// What its merge takes; and whether what its author made of it keeps the bound of one that misses payloads.
    Merge(Unchecked, bool),
}

impl Lacking {
    /// If others rest on it, and if nobody does.
    const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Blob(_) => ("BLB-001", "BLB-006"),
            // A record that is not there may be anybody's.
            Self::Merge(Unchecked::Parent, _) => ("MRG-003", "MRG-003"),
            Self::Merge(Unchecked::Unverified(_), _) => ("MRG-012", "MRG-010"),
            Self::Merge(..) => ("MRG-003", "MRG-010"),
        }
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blob(round) => write!(f, "a blob of round {round} is not in the archive"),
            Self::Merge(why, _) => why.fmt(f),
        }
    }
}

/// What a member's updates lack, in their order.
#[derive(Debug, Default)]
pub(super) struct Withheld(Vec<(Place, Lacking)>);

impl Withheld {
    pub(super) fn add(&mut self, place: Place, lacking: Lacking) {
        self.0.push((place, lacking));
    }

    /// Says all of it, now that it is known who rests on what.
    pub(super) fn tell(self, audit: &Audit<'_>, used: &Used, notes: &mut Notes) {
        for (place, lacking) in self.0 {
            let (rested, idle) = lacking.codes();
            let at = place.feed.zip(place.seq).map(|((member, incarnation), seq)| (member, (incarnation, seq)));
            let is_idle = at.is_some_and(|(member, at)| !used.rests_on(&member, at));
            let (code, nobody) = if is_idle { (idle, NOBODY) } else { (rested, "") };
            match (lacking, place.record.zip(place.feed)) {
                (Lacking::Merge(why, bounded), Some((update, (author, _)))) => {
                    let attesters = || audit.attesters(&update, &author);
                    notes.run_merge(code, &place, format_args!("{why}{nobody}"), bounded, attesters);
                }
                _ => notes.run(code, &place, format_args!("{lacking}{nobody}")),
            }
        }
    }
}
