//! The draws of one member's updates, one after the other, and whom they call absent.

use std::{collections::VecDeque, io};

use super::{
    light::{Light, Stand},
    shared::Audit,
};
use crate::{
    admit::{self, Called, Parent},
    base::{Incarnation, MemberId, NetworkId, RecordId, Seq, limit},
    draw::{DrawError, Seed},
    feed::Record,
    manifest::Manifest,
};

/// What a member's records so far say about its next draw.
#[derive(Default)]
pub(super) struct Draws {
    /// The place of the last linked record.
    place: Option<(Incarnation, Seq)>,
    /// What the next draw is made from; `None` behind a gap.
    seed: Option<Seed>,
    /// What the last updates of the incarnation merged, the newest last.
    recent: VecDeque<Vec<RecordId>>,
}

impl Draws {
    /// A linked record follows: the draw is known if all before it in its feed are.
    pub(super) fn follow(&mut self, light: &Light) {
        let Light { incarnation, seq, .. } = *light;
        if self.place.is_none_or(|(before, _)| before != incarnation) {
            self.recent.clear();
        }
        if seq == Seq(0) {
            self.seed = Some(Seed::default());
        } else if self.place.is_none_or(|(before, last)| (before, last.next()) != (incarnation, seq)) {
            self.seed = None;
        }
        self.place = Some((incarnation, seq));
    }

    /// The record was an update: the next draw is another.
    pub(super) fn advance(&mut self, record: &Record, manifest: &Manifest) {
        self.seed = Seed::after(record, manifest);
        if self.recent.len() == limit::AGES {
            self.recent.pop_front();
        }
        self.recent.push_back(record.parent_ids().collect());
    }

    /// Checks that an update merged and skipped those whom the draw names. Where the draw is not known, their number.
    pub(super) fn check(
        &self,
        network: &NetworkId,
        record: &Record,
        (manifest, drawable): (&Manifest, &[MemberId]),
    ) -> Result<(), DrawError> {
        admit::check_draw(network, record, self.seed.as_ref(), (manifest, drawable))
    }

    /// What the last updates merged, as many as there are ages.
    fn lately(&self, ages: usize) -> impl Iterator<Item = RecordId> {
        self.recent.iter().rev().take(ages).flatten().copied()
    }
}

/// An update of a member called absent that the record's parents, or they or the author's updates before it, build on. `parents`
/// are those at hand.
pub(super) fn contradicted(
    audit: &Audit<'_>,
    record: &Record,
    manifest: &Manifest,
    parents: &[Light],
    draws: &Draws,
) -> io::Result<Option<Light>> {
    let facts: Vec<Parent> = parents.iter().map(Light::parent).collect();
    let Some(called) = Called::of(record, manifest, &facts) else { return Ok(None) };
    let speaks_against = |light: &Light| light.stand == Stand::Linked && called.speaks_of(&light.parent());
    // Mostly there is no such update at all, and nothing need be read.
    if !called.members().any(|member| audit.index.of(member).any(|light| speaks_against(&light))) {
        return Ok(None);
    }
    let mut ids: Vec<RecordId> = record.parent_ids().chain(draws.lately(manifest.policy.ages.len())).collect();
    for parent in parents {
        ids.extend(audit.record(parent)?.iter().flat_map(Record::parent_ids));
    }
    Ok(ids.iter().filter_map(|id| audit.index.by_id(id)).find(speaks_against))
}
