//! What a draw depends on beside network, member and incarnation.

use crate::{
    base::{RecordId, Round},
    feed::{Record, Spec},
    manifest::Manifest,
};

/// What a member's next draw is made from: the last update of its incarnation, as far as the member could not choose it alone.
/// Only another update makes another draw, and nobody knows it before the others signed what that update merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// The update's round; 0 before the first one of the incarnation.
    pub round: Round,
    /// Others' publications that it merged, ascending by their authors.
    pub merged: Vec<RecordId>,
}

impl Seed {
    /// The seed after a record of the manifest version that it names; `None`: it is no update.
    #[must_use]
    pub fn after(record: &Record, manifest: &Manifest) -> Option<Self> {
        let Spec::Update(update) = &record.spec else { return None };
        let own = manifest.place_of(&record.member);
        let others = record.parents.iter().filter(|parent| Some(parent.member) != own);
        Some(Self { round: update.round, merged: others.map(|parent| parent.record).collect() })
    }
}
