//! The weaker verification: the newest signature of each run of records.

use chorale_protocol::{
    audit::{MemoryArchive, Options, Piece, Report, Verdict, layout::feed_name, pieces},
    base::Incarnation,
    fixture,
};

use crate::{
    SEED, codes, find,
    world::{World, audit},
};

fn heads_only(world: &World, archive: &MemoryArchive) -> Report {
    audit(archive, &Options { heads_only: true, ..world.options() })
}

/// Where each record of member 1 begins and ends in its feed file, and the file.
fn feed(world: &World) -> (String, Vec<u8>, Vec<(usize, usize)>) {
    let name = feed_name(world.authors[1].id, Incarnation(0));
    let file = world.archive().remove(&name).unwrap();
    let frames = pieces(&file).map(|piece| match piece {
        Piece::Frame { offset, envelope } => {
            let start = usize::try_from(offset).unwrap();
            (start, start + 4 + envelope.len())
        }
        Piece::Damage { .. } => panic!("an honest feed"),
    });
    let frames = frames.collect();
    (name, file.to_vec(), frames)
}

/// What the full and the weaker verification say when a byte of member 1's feed is changed.
fn changed(world: &World, name: &str, file: &[u8], at: usize) -> (Report, Report) {
    let (mut archive, mut file) = (world.archive(), file.to_vec());
    file[at] ^= 1;
    archive.insert(name.to_owned(), file.into());
    (audit(&archive, &world.options()), heads_only(world, &archive))
}

#[test]
fn heads_only_is_named_and_incomplete_and_says_the_same_otherwise() {
    let world = World::play(3, 4, fixture::policy(), SEED);
    let (full, heads) = (world.audit(), heads_only(&world, &world.archive()));
    assert_eq!((full.verdict(), full.heads_only), (Verdict::Passed, false));
    assert_eq!((heads.verdict(), codes(&heads), heads.heads_only), (Verdict::Incomplete, vec!["SIG-004"], true));
    assert_eq!((heads.counts, heads.members), (full.counts, full.members));
}

#[test]
fn heads_only_overlooks_a_signature_before_the_newest_and_nothing_else_of_a_record() {
    let world = World::play(3, 4, fixture::policy(), SEED);
    let (name, file, frames) = feed(&world);
    for (place, (start, end)) in frames.iter().enumerate() {
        for at in *start..*end {
            let (full, heads) = changed(&world, &name, &file, at);
            assert_ne!(full.verdict(), Verdict::Passed, "byte {at}");
            let overlooked = at >= end - 64 && place + 1 < frames.len();
            assert_eq!(codes(&heads) == ["SIG-004"], overlooked, "byte {at} of {frames:?}: {:?}", codes(&heads));
        }
    }
}

#[test]
fn heads_only_checks_the_last_signature_under_each_manifest_version() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy.draw = 2);
    world.rounds(2);
    let (name, file, frames) = feed(&world);
    let found: Vec<bool> =
        frames.iter().map(|(_, end)| codes(&changed(&world, &name, &file, end - 1).1).contains(&"SIG-003")).collect();
    assert_eq!(found, [false, true, false, true], "two records under each version");
}

#[test]
fn heads_only_convicts_nobody_by_a_signature_that_does_not_verify() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let forked = world.fork(2, &world.published[2][1].checked.clone());
    world.keep(&forked);
    let (full, heads) = (world.audit(), heads_only(&world, &world.archive()));
    assert_eq!(find(&full, "FORK-001").seq, find(&heads, "FORK-001").seq);
    // The same fork under a signature of nobody.
    let (mut archive, name) = (world.archive(), feed_name(world.authors[2].id, Incarnation(0)));
    let mut file = archive.remove(&name).unwrap().to_vec();
    let at = file.windows(forked.bytes().len()).position(|window| window == &forked.bytes()[..]).unwrap();
    file[at + forked.bytes().len() - 1] ^= 1;
    archive.insert(name, file.into());
    for report in [audit(&archive, &world.options()), heads_only(&world, &archive)] {
        assert!(codes(&report).contains(&"SIG-003") && !codes(&report).contains(&"FORK-001"), "{:?}", codes(&report));
    }
}
