//! Records that are named as some member's.

use chorale_protocol::{
    feed::{Skip, SkipReason},
    fixture,
};

use crate::{
    SEED, blames,
    world::{Draft, World},
};

/// Leaves one out that was to be merged, and says so.
pub(crate) fn leave_out(draft: &mut Draft, at: usize, skip: Skip) {
    draft.record.parents.remove(at);
    let update = draft.update();
    update.weights.remove(at);
    update.skipped.push(skip);
}

#[test]
fn a_record_that_is_named_as_another_members_is_found() {
    let mut world = World::play(4, 3, fixture::policy(), SEED);
    world.step_with(1, |draft| {
        let (one, other) = (draft.record.parents[0].record, draft.record.parents[1].record);
        (draft.record.parents[0].record, draft.record.parents[1].record) = (other, one);
    });
    blames(&world.audit(), "RULE-015", world.authors[1].id);
}

#[test]
fn a_member_is_skipped_for_an_update_of_its_own_alone() {
    for reason in [SkipReason::Stale, SkipReason::Unreachable, SkipReason::Refused] {
        let mut world = World::play(4, 3, fixture::policy(), SEED);
        let me = world.authors[1].id;
        let own = world.published[1].last().unwrap().checked.id();
        world.step_with(1, |draft| {
            let last = draft.others.last().unwrap().record;
            let at = draft.record.parents.iter().position(|parent| parent.record == last).unwrap();
            let member = draft.record.parents[at].member;
            leave_out(draft, at, Skip { member, reason, record: Some(own) });
        });
        blames(&world.audit(), "RULE-015", me);
    }
}
