//! Any one byte changed: the verdict changes, or the byte lies in a file that is reported as unreferenced.

use std::{collections::BTreeSet, thread};

use bytes::Bytes;
use chorale_protocol::{
    audit::{MemoryArchive, Options, Verdict},
    base::{Incarnation, Seq},
    feed::{Evidence, EvidenceSpec, Release, Spec},
    fixture,
    manifest::{Cut, Policy},
};

use crate::{
    SEED, codes,
    world::{World, audit},
};

/// A small archive with a file of every kind but those of logs, which `logs.rs` changes: two manifest versions, a settled fork with its evidence, a release, a
/// checkpoint, a blob that nobody names.
fn golden() -> (World, Options) {
    let mut world = World::play(3, 2, Policy { checkpoint_every: 2, ..fixture::policy() }, SEED);
    let last = world.step(2);
    let bundle = Evidence::of(&last, &world.fork(2, &last)).unwrap();
    world.builder.evidence(bundle.to_bytes());
    let (accused, incarnation, seq) = bundle.accused();
    let spec = Spec::Evidence(EvidenceSpec { accused, incarnation, seq });
    world.write(0, &[], spec, Some(fixture::body(&bundle.to_bytes())));
    let cut = Cut {
        member: accused,
        incarnation: Incarnation(0),
        last: last.record().prev.map(|prev| (Seq(seq.0 - 1), prev)),
    };
    world.amend(|manifest| manifest.cuts = vec![cut]);
    world.step(0);
    world.step(1);
    let newest = world.published[1].last().unwrap().checked.clone();
    let Spec::Update(update) = &newest.record().spec else { panic!("no update") };
    let round = update.round;
    world.write(1, &[&newest], Spec::Release(Release { round, label: "v1".into() }), None);
    world.builder.blob(Bytes::from_static(b"nobody names this"));
    let mut options = world.options();
    options.anchors = (0..2)
        .map(|who| world.authors[who].id)
        .map(|id| world.records.iter().rfind(|record| record.record().member == id).unwrap().id().into())
        .collect();
    (world, options)
}

#[test]
fn every_changed_byte_changes_the_verdict_or_lies_in_a_file_reported_as_unreferenced() {
    let (mut world, options) = golden();
    let archive = world.archive();
    let report = audit(&archive, &options);
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    assert!(codes(&report).contains(&"FORK-002"));

    let kinds: BTreeSet<_> = archive.iter().map(|(name, _)| name.split('/').next()).collect();
    assert_eq!(kinds.len(), 5, "a file of every kind");
    every_byte_must_show(&mut world, &archive, &options);
}

/// Every byte of every file, each changed in its own way.
pub(crate) fn every_byte_must_show(world: &mut World, archive: &MemoryArchive, options: &Options) {
    let mut places: Vec<(&str, usize, u8)> = Vec::new();
    for (name, bytes) in archive.iter() {
        places.extend((0..bytes.len()).map(|at| (name, at, u8::try_from(world.number() % 255 + 1).unwrap())));
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for places in places.chunks(places.len().div_ceil(threads)) {
            scope.spawn(|| places.iter().for_each(|place| must_show(archive, options, *place)));
        }
    });
}

/// Changes one byte and looks whether an audit says so.
fn must_show(archive: &MemoryArchive, options: &Options, (name, at, flip): (&str, usize, u8)) {
    let mut mutant = archive.clone();
    let mut bytes = mutant.remove(name).unwrap().to_vec();
    bytes[at] ^= flip;
    mutant.insert(name.to_owned(), bytes.into());
    let report = audit(&mutant, options);
    let unreferenced = report.findings.iter().any(|finding| finding.code == "ARC-002" && finding.file == name);
    assert!(
        report.verdict() != Verdict::Passed || unreferenced,
        "seed {SEED}: byte {at} of {name} ^ {flip:#04x} passes"
    );
}

#[test]
fn every_file_left_out_or_cut_short_changes_the_verdict_unless_nothing_that_counts_rests_on_it() {
    let (world, options) = golden();
    let archive = world.archive();
    for (name, bytes) in archive.iter() {
        let mut without = archive.clone();
        without.remove(name);
        let mut short = archive.clone();
        short.insert(name.to_owned(), bytes.slice(..bytes.len() - 1));
        let unnamed = codes(&audit(&archive, &options)).contains(&"ARC-002") && bytes == "nobody names this";
        for changed in [without, short] {
            let report = audit(&changed, &options);
            let uncounted = !changed.iter().any(|(other, _)| other == name)
                && ["BLB-005", "BLB-006", "EVD-004"].iter().any(|idle| codes(&report).contains(idle));
            assert_eq!(report.verdict() == Verdict::Passed, unnamed || uncounted, "{name}: {:#?}", report.findings);
        }
    }
}
