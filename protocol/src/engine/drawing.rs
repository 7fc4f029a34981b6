//! The draw for our next publication.

use std::sync::Arc;

use super::{Engine, Stage};
use crate::{
    admit,
    base::{Incarnation, MemberId, RecordId},
    draw::{self, Seed},
    feed::read_again,
};

/// What a draw follows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Basis {
    /// The newest update of our feed, if it has one.
    Update(Option<RecordId>),
    /// An update that is under way.
    Planned(Seed),
}

/// The draw made last, and what it follows: incarnation, manifest version, update.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    key: Option<(Incarnation, u64, Basis)>,
    order: Option<Arc<[MemberId]>>,
}

impl Drawn {
    /// Its order, if there was a draw.
    pub(super) fn order(&self) -> Option<&Arc<[MemberId]>> {
        self.order.as_ref()
    }
}

impl Engine {
    /// The draw for our next publication.
    pub(super) fn draw(&mut self) -> Arc<[MemberId]> {
        let basis = Basis::Update(self.newest_in_feed());
        self.draw_by(basis)
    }

    /// The draw that payloads are gathered for now: while a round runs, the one after it, if that merges all of its plan.
    pub(super) fn draw_to_gather_for(&mut self) -> Arc<[MemberId]> {
        let written = || self.own.writing_update().map(crate::feed::Checked::record);
        let planned = match &self.stage {
            Stage::Working(ordered) => Some(ordered.seed.clone()),
            _ => written().and_then(|record| Seed::after(record, self.chain.at(record.manifest_version)?.0)),
        };
        let basis = planned.map_or_else(|| Basis::Update(self.newest_in_feed()), Basis::Planned);
        self.draw_by(basis)
    }

    fn newest_in_feed(&self) -> Option<RecordId> {
        let newest = self.index.newest(&self.config.me)?;
        (newest.incarnation == self.own.incarnation()).then_some(newest.record)
    }

    fn draw_by(&mut self, basis: Basis) -> Arc<[MemberId]> {
        let key = (self.own.incarnation(), self.chain.current().version, basis);
        if let Some(order) = &self.drawn.order
            && self.drawn.key.as_ref() == Some(&key)
        {
            return Arc::clone(order);
        }
        let seed = match &key.2 {
            Basis::Update(last) => last.and_then(|id| self.seed_after(&id)).unwrap_or_default(),
            Basis::Planned(seed) => seed.clone(),
        };
        let members = admit::drawable(self.chain.current());
        let order: Arc<[MemberId]> = draw::order(&self.chain.network(), &self.config.me, key.0, &seed, &members).into();
        self.drawn = Drawn { key: Some(key), order: Some(Arc::clone(&order)) };
        order
    }

    /// The seed of the draw after an admitted update.
    fn seed_after(&self, id: &RecordId) -> Option<Seed> {
        let record = read_again(self.index.bytes(id)?, *id, &self.chain)?;
        Seed::after(&record, self.chain.at(record.manifest_version)?.0)
    }

    /// How many members a merge takes at most.
    pub(super) fn draw_size(&self) -> u64 {
        self.chain.current().policy.draw
    }
}
