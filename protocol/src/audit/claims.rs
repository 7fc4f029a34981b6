//! One member's privacy claims, as far as its linked records carry them on.

use super::light::{Light, Stand};
use crate::{
    admit::Parent,
    base::{Incarnation, Seq},
    feed::{Privacy, Record, Spec},
};

type At = (Incarnation, Seq);

/// The newest claim up to each linked record of one member.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// From each of these places on, ascending.
    from: Vec<(At, Option<Privacy>)>,
    /// The linked record before.
    last: Option<At>,
}

impl Claims {
    /// Goes on to the next linked record; gives the one that it names as the one before it, with the claim that is known there.
    pub(super) fn pass(&mut self, record: &Record, prev: Option<Light>) -> Option<Parent> {
        let claim = self.before(record, prev.as_ref());
        self.follow(record, claim);
        prev.map(|prev| Parent { claim, ..prev.parent() })
    }

    /// The claim before a record: along `prev`, in its feed and in the earlier one that its first record names. Behind a gap, or
    /// where that record is not linked, it is not known.
    fn before(&self, record: &Record, prev: Option<&Light>) -> Option<Privacy> {
        let prev = prev.filter(|prev| prev.stand == Stand::Linked && prev.member == record.member)?;
        let at = (prev.incarnation, prev.seq);
        if record.seq.0 > 0 && self.last != Some(at) {
            return None;
        }
        let known = self.from.partition_point(|(from, _)| *from <= at).checked_sub(1)?;
        self.from.get(known).filter(|((incarnation, _), _)| *incarnation == at.0).and_then(|(_, claim)| *claim)
    }

    /// Remembers what a linked record claims, or carries on.
    fn follow(&mut self, record: &Record, before: Option<Privacy>) {
        let own = if let Spec::Update(update) = &record.spec { update.privacy } else { None };
        let (at, now) = ((record.incarnation, record.seq), own.or(before));
        let behind = self.last.is_some_and(|last| last == (at.0, Seq(at.1.0.wrapping_sub(1))));
        if !behind || self.from.last().is_none_or(|(_, claim)| *claim != now) {
            self.from.push((at, now));
        }
        self.last = Some(at);
    }
}
