//! Whom members merged and whom they left out, and what they published on it.

use std::mem;

use bytes::Bytes;
use chorale_protocol::{
    adapter::encode_q32,
    admit,
    audit::{
        MemoryArchive,
        layout::{Name, frame},
    },
    base::RecordId,
    draw,
    feed::Checked,
    fixture,
    manifest::{LoraRule, Policy, Steps},
};

use crate::{
    Golden,
    plays::{SEED, blaming, golden},
    world::{Draft, World},
};

pub(crate) fn all() -> Vec<Golden> {
    vec![draws(), parent_missing(), left_out(), not_by_reach(), publications(), updates()]
}

/// A publication that follows another policy than the network's, in this alone, and says nothing of it.
fn by_another_policy(world: &mut World, who: usize, change: impl FnOnce(&mut Policy)) -> Checked {
    let agreed = world.chain.clone();
    let mut other = fixture::next(&agreed);
    change(&mut other.policy);
    world.chain.extend(fixture::signed(other, &[0])).unwrap();
    let version = (agreed.current().version, agreed.current_hash());
    let record = world.step_with(who, |draft| (draft.record.manifest_version, draft.record.manifest_hash) = version);
    world.chain = agreed;
    record
}

/// A publication by a member that merges none of these and calls them absent.
pub(crate) fn without(world: &mut World, who: usize, absent: &[usize], change: impl FnOnce(&mut Draft)) -> Checked {
    let hidden: Vec<_> = absent.iter().map(|other| mem::take(&mut world.published[*other])).collect();
    let record = world.step_with(who, change);
    for (other, published) in absent.iter().zip(hidden) {
        world.published[*other] = published;
    }
    record
}

/// Who comes first in a member's next draw.
fn first_drawn(world: &World, who: usize) -> usize {
    let (author, pool) = (&world.authors[who], admit::drawable(world.chain.current()));
    let order = draw::order(&world.chain.network(), &author.id, author.incarnation, &world.seed(who), &pool);
    world.authors.iter().position(|author| author.id == order[0]).unwrap()
}

/// Names a record that is nowhere in the place of one that was merged.
fn lose_a_parent(draft: &mut Draft) {
    let merged = draft.others[0].record;
    let parent = draft.record.parents.iter_mut().find(|parent| parent.record == merged).unwrap();
    parent.record = RecordId([7; 32]);
}

/// Members that do not keep to their draws, each in a way of its own.
fn draws() -> Golden {
    let mut world = World::play(6, 2, Policy { draw: 2, ..fixture::policy() }, SEED);
    // Passes over the first of the draw without a word.
    let first = first_drawn(&world, 0);
    without(&mut world, 0, &[first], |draft| draft.update().skipped.clear());
    // One more than is drawn; one less.
    by_another_policy(&mut world, 1, |policy| policy.draw = 3);
    by_another_policy(&mut world, 2, |policy| policy.draw = 1);
    // Calls the first one absent, on whose updates it builds.
    let first = first_drawn(&world, 3);
    without(&mut world, 3, &[first], |_| {});
    // As the first of these, and a parent of it is not there; the draw is judged all the same.
    let first = first_drawn(&world, 4);
    without(&mut world, 4, &[first], |draft| {
        draft.update().skipped.clear();
        lose_a_parent(draft);
    });
    // Here the draw is in order.
    world.step_with(5, lose_a_parent);
    let found = [
        ("DRW-001", 0),
        ("DRW-002", 1),
        ("DRW-003", 2),
        ("DRW-004", 3),
        ("DAG-001", 4),
        ("DRW-001", 4),
        ("DAG-001", 5),
        ("MRG-003", 5),
    ];
    let heads = world.heads();
    golden("draws", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

/// Takes the newest record of a feed out, its payload with it.
fn take_out(archive: &mut MemoryArchive, record: &Checked) {
    World::withhold(archive, record);
    let name = Name::Feed(record.record().member, record.record().incarnation).to_string();
    let feed = archive.remove(&name).unwrap();
    archive.insert(name, feed.slice(..feed.len() - frame(record.bytes()).len()));
}

/// The newest record of a feed was left out, and another member builds on it.
fn parent_missing() -> Golden {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let mut heads = world.heads();
    let record = world.step(1);
    heads[0] = world.step(0).id();
    let mut archive = world.archive();
    take_out(&mut archive, &record);
    let found = [("DAG-001", 0), ("MRG-003", 0)];
    golden("parent-missing", &world, archive, vec![blaming(&world, &heads, 3, &found)])
}

/// A quarter.
const REACH: u64 = 16_384;

/// One publication with a value that lies by so much from where the merge left it.
fn farther(world: &mut World, who: usize, place: usize, by: i64) -> Checked {
    let (layout, codec) = (world.layout.clone(), world.chain.current().policy.codec);
    world.step_with(who, |draft| {
        let mut values = draft.merged.values.clone();
        values[place] += by;
        draft.payload = encode_q32(&layout, codec, &values).unwrap();
    })
}

/// Of two publications that others left out for their distance one has no payload here, and one is not here at all.
fn left_out() -> Golden {
    let mut world = World::play(4, 1, Policy { reach: REACH, ..fixture::policy() }, SEED);
    let first_of_2 = world.published[2][0].checked.id();
    let without_payload = farther(&mut world, 3, 3, 1 << 31);
    world.step(0);
    let gone = farther(&mut world, 2, 2, 1 << 31);
    world.step(1);
    let mut archive = world.archive();
    World::withhold(&mut archive, &without_payload);
    take_out(&mut archive, &gone);
    let mut heads = world.heads();
    heads[2] = first_of_2;
    // One finding each in a feed: the second of these leaves both out.
    let found = [("MRG-008", 0), ("MRG-008", 1), ("BLB-006", 3)];
    golden("left-out", &world, archive, vec![blaming(&world, &heads, 3, &found)])
}

/// A member that merges one that lies out of reach, and one that leaves those out who do not.
fn not_by_reach() -> Golden {
    let mut world = World::play(4, 1, Policy { reach: REACH, ..fixture::policy() }, SEED);
    farther(&mut world, 3, 3, 1 << 31);
    by_another_policy(&mut world, 1, |policy| policy.reach = 4 * 65_536);
    by_another_policy(&mut world, 2, |policy| policy.reach = 1);
    world.step(0);
    let heads = world.heads();
    let found = [("MRG-002", 1), ("MRG-002", 2)];
    golden("not-by-reach", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

/// Payloads that lie beyond the norm bound, change a factor that does not train, are not canonical, or too short.
fn publications() -> Golden {
    let policy = Policy { lora_rule: LoraRule::Ffa, norm_bound: 6_554, momentum: 0, ..fixture::policy() };
    let mut world = World::play(4, 1, policy, SEED);
    // A tenth is allowed in B, which begins at 16.
    farther(&mut world, 0, 20, (1 << 32) / 9);
    farther(&mut world, 1, 0, 1 << 24);
    world.step_with(2, |draft| {
        let mut bytes = draft.payload.to_vec();
        bytes[0] = 9;
        draft.payload = bytes.into();
    });
    world.step_with(3, |draft| draft.payload = Bytes::from_static(b"short"));
    let heads = world.heads();
    let found = [("MRG-004", 0), ("MRG-005", 1), ("PAY-002", 2), ("PAY-001", 3), ("RULE-010", 3)];
    golden("publications", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

/// Updates that do not go on from their author's last one, or on too few steps.
fn updates() -> Golden {
    let policy = Policy { momentum: 0, steps: Steps { min: 4, max: 32 }, ..fixture::policy() };
    let mut world = World::play(3, 1, policy, SEED);
    let old = world.published[0][0].clone();
    world.rounds(1);
    for who in [1, 2, 1, 2, 1] {
        world.step(who);
    }
    world.step_from(0, Some(old), |_| {});
    world.step_with(1, |draft| draft.update().steps = 3);
    world.step_from(2, None, |_| {});
    let heads = world.heads();
    let found = [("UPD-004", 0), ("UPD-007", 1), ("UPD-009", 2)];
    golden("updates", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}
