//! The momentum checkpoint that an update names.

use super::{Parent, RuleError};
use crate::{
    base::{BlobHash, MemberId, MergeHash},
    feed::{Body, Record, Update},
    manifest::Policy,
    merge,
};

/// A checkpoint stands only where the policy wants one, and it is the state that the merge hash covers.
pub(super) fn check(
    record: &Record,
    update: &Update,
    parents: &[Option<Parent>],
    policy: &Policy,
) -> Result<(), RuleError> {
    let Some(Body { hash, length: got }) = update.state else { return Ok(()) };
    let values = policy.adapter.values();
    if !policy.wants_checkpoint(update.round) || !merge::State::can_take(values, got) {
        let want = policy.wants_checkpoint(update.round).then(|| values.saturating_mul(8));
        return Err(RuleError::State { got, round: update.round, want });
    }
    match covering(record, update, parents, policy, &hash) {
        Some(want) if want != update.merge => Err(RuleError::Covered { got: update.merge, want }),
        _ => Ok(()),
    }
}

/// The merge hash of an update that leaves the state of this hash; `None` while a parent is missing.
#[must_use]
pub fn covering(
    record: &Record,
    update: &Update,
    parents: &[Option<Parent>],
    policy: &Policy,
    state: &BlobHash,
) -> Option<MergeHash> {
    let members: Vec<MemberId> = parents.iter().flatten().map(|parent| parent.member).collect();
    if members.len() != record.parents.len() || update.weights.len() != record.parents.len() {
        return None;
    }
    let used = members.iter().zip(&record.parents).zip(&update.weights);
    let used = used.map(|((member, parent), weight)| (*member, parent.record, *weight));
    Some(merge::merge_hash(record.network, update.round, policy.merge, used, state))
}
