//! The draws of one member's updates, one after the other, and whom they call absent.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
};

use super::{
    light::{Light, Stand},
    shared::Audit,
};
use crate::{
    base::{Incarnation, MemberId, NetworkId, RecordId, Seq, limit},
    draw::{self, Account, DrawError, Seed},
    feed::{Kind, Record, SkipReason, Spec},
    manifest::Manifest,
    merge,
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
        let account = Account::of(record, manifest);
        let draw = manifest.policy.draw;
        let Some(seed) = &self.seed else { return account.check_count(draw) };
        account.check(&draw::order(network, &record.member, record.incarnation, seed, drawable), draw)
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
    let Spec::Update(update) = &record.spec else { return Ok(None) };
    let absent = update.skipped.iter().filter(|skip| skip.reason == SkipReason::Absent);
    let absent: BTreeSet<MemberId> = absent.filter_map(|skip| manifest.member_at(skip.member)).collect();
    let own = parents.iter().find(|parent| parent.member == record.member).and_then(|parent| parent.round);
    let newest = parents.iter().filter_map(|parent| parent.round).max();
    let whole = parents.len() == record.parents.len();
    let Some(base) = own.or_else(|| newest.filter(|_| whole)) else { return Ok(None) };
    let ages = &manifest.policy.ages;
    let speaks_against = |light: &Light| {
        let counts = light.kind == Kind::Update && light.stand == Stand::Linked && absent.contains(&light.member);
        counts && light.round.is_some_and(|round| merge::weight(ages, base, round).is_some())
    };
    // Mostly there is no such update at all, and nothing need be read.
    if !absent.iter().any(|member| audit.index.of(member).any(|light| speaks_against(&light))) {
        return Ok(None);
    }
    let mut ids: Vec<RecordId> = record.parent_ids().chain(draws.lately(ages.len())).collect();
    for parent in parents {
        ids.extend(audit.record(parent)?.iter().flat_map(Record::parent_ids));
    }
    Ok(ids.iter().filter_map(|id| audit.index.by_id(id)).find(speaks_against))
}
