//! Where members contradict themselves, as feeds and bundles show it.

use std::collections::BTreeMap;

use super::finding::Place;
use crate::{
    base::{Incarnation, MemberId, Seq},
    feed::Evidence,
    manifest::Chain,
};

/// A place of a feed that holds more than one record.
#[derive(Debug)]
pub(super) struct Contradiction {
    /// Where it was seen first.
    pub(super) place: Place,
    /// Whether manifests say of all that was seen which history stands.
    pub(super) settled: bool,
    /// Whether two of the records are of a key that was the member's own.
    pub(super) own: bool,
}

/// By member, incarnation and place.
#[derive(Debug, Default)]
pub(super) struct Contradictions(BTreeMap<(MemberId, Incarnation, Seq), Contradiction>);

impl Contradictions {
    /// Adds what `evidence`, seen at `place`, proves.
    pub(super) fn note(&mut self, evidence: &Evidence, place: &Place, chain: &Chain) {
        let new = Contradiction {
            place: place.clone(),
            settled: evidence.is_settled(chain),
            own: !evidence.is_behind_handover(chain),
        };
        self.add(evidence.accused(), new);
    }

    fn add(&mut self, at: (MemberId, Incarnation, Seq), new: Contradiction) {
        if let Some(seen) = self.0.get_mut(&at) {
            (seen.settled, seen.own) = (seen.settled && new.settled, seen.own || new.own);
        } else {
            self.0.insert(at, new);
        }
    }

    /// Takes another's over; what was seen first keeps its place.
    pub(super) fn absorb(&mut self, other: Self) {
        other.0.into_iter().for_each(|(at, new)| self.add(at, new));
    }

    /// By member, incarnation and place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&(MemberId, Incarnation, Seq), &Contradiction)> {
        self.0.iter()
    }
}
