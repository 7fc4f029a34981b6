//! Archives surveyed short of a verdict: damage of any kind is said, and stops nothing.

use chorale_protocol::{
    audit::{Ancestry, Comparison, Forks, MemoryArchive, Stand, Survey, layout::Name},
    base::{Incarnation, Seq},
    feed::Evidence,
    fixture,
};

use crate::{SEED, world::World};

fn survey(archive: &MemoryArchive) -> Survey<'_> {
    Survey::open(archive, None).unwrap()
}

#[test]
fn a_changed_byte_anywhere_in_a_feed_is_said_and_the_other_records_are_still_shown() {
    let world = World::play(3, 3, fixture::policy(), SEED);
    let (whole, name) = (world.archive(), Name::Feed(world.authors[1].id, Incarnation(0)).to_string());
    let honest = survey(&whole);
    let all = Ancestry::of(&honest).unwrap();
    let bytes = whole.clone().remove(&name).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x21;
        let mut archive = whole.clone();
        archive.insert(name.clone(), changed.into());
        let damaged = survey(&archive);
        let forks = Forks::of(&damaged).unwrap();
        assert!(!forks.findings.is_empty() && forks.found.is_empty(), "byte {at}");
        let left = Ancestry::of(&damaged).unwrap();
        let standing = world.records.iter().filter(|record| left.node(&record.id()).is_some()).count();
        assert!((6..9).contains(&standing), "byte {at}: {standing} of 9 records");
        assert!(world.records.iter().all(|record| all.node(&record.id()).is_some()));
        let comparison = Comparison::of(&honest, &damaged).unwrap();
        assert!(!comparison.is_split() && !comparison.records.is_empty(), "byte {at}: damage convicts nobody");
    }
}

#[test]
fn a_branch_is_followed_to_its_end_and_every_other_history_is_told_apart() {
    let mut world = World::play(3, 4, fixture::policy(), SEED);
    let first = world.published[2][1].checked.clone();
    // A second history from place 1 on, of two records; and a third of one.
    let other = world.fork(2, &first);
    let mut next = world.published[2][2].checked.record().clone();
    next.prev = Some(other.id());
    let own = next.parents.iter_mut().find(|parent| parent.record == first.id()).unwrap();
    own.record = other.id();
    let next = chorale_protocol::feed::sign(next, &fixture::author(2)).unwrap();
    let third = world.fork(2, &other);
    [&other, &next, &third].into_iter().for_each(|record| world.keep(record));
    let archive = world.archive();
    let found = Forks::of(&survey(&archive)).unwrap();
    assert_eq!(found.found.len(), 2, "{:#?}", found.found);
    let records: u64 = found.found.iter().filter_map(|fork| fork.other).map(|(_, records)| records).sum();
    let linked: Vec<_> = found.found.iter().filter_map(|fork| fork.linked).map(|(seq, _)| seq).collect();
    // Whichever history is linked, it and the other two have all the records.
    let feed = survey(&archive).feed((world.authors[2].id, Incarnation(0))).unwrap();
    let in_chain = feed.records.iter().filter(|(stand, _)| *stand == Stand::Linked).count() as u64;
    assert_eq!((in_chain + records, linked.len()), (7, 2));
    assert!(found.found.iter().all(|fork| fork.evidence.accused().2 == Seq(1)));
    assert!(found.found.iter().all(|fork| Evidence::parse(&fork.evidence.to_bytes(), &world.chain).is_ok()));
}

#[test]
fn a_flood_of_histories_is_counted_and_only_so_many_are_told_apart() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let mut last = world.published[2][1].checked.clone();
    for _ in 0..100 {
        last = world.fork(2, &last);
        world.keep(&last);
    }
    let archive = world.archive();
    let forks = Forks::of(&survey(&archive)).unwrap();
    assert_eq!((forks.found.len(), forks.more, forks.unsettled()), (64, 36, true));
    assert_eq!(forks.records, 106);
}
