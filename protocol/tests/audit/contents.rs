//! What an archive is, byte for byte; and counts that are those of what is counted.

use chorale_protocol::{
    audit::{Comparison, Contents, MemoryArchive, Survey, Verdict, layout::Name},
    fixture,
    manifest::Policy,
};
use sha2::{Digest, Sha256};

use crate::{
    SEED, find,
    ledger::Ledger,
    world::{World, audit},
};

fn contents(archive: &MemoryArchive) -> Contents {
    Contents::of(archive, 2, &|_, _| {}).unwrap()
}

/// A file with one bit changed.
fn flipped(archive: &MemoryArchive, name: &str) -> MemoryArchive {
    let mut changed = archive.clone();
    let mut bytes = changed.remove(name).unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    changed.insert(name.to_owned(), bytes.into());
    changed
}

#[test]
fn the_digest_is_over_the_bytes_of_every_file_as_sha256sum_lists_them() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let archive = world.archive();
    let whole = contents(&archive);
    let mut lines: Vec<(&str, String)> = archive
        .iter()
        .map(|(name, bytes)| (name, format!("{}  {name}\n", hex::encode(Sha256::digest(bytes)))))
        .collect();
    lines.sort_unstable();
    let listing: String = lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!((whole.listing(), whole.digest().0), (listing.clone(), <[u8; 32]>::from(Sha256::digest(listing))));
    for (name, _) in archive.iter() {
        let changed = contents(&flipped(&archive, name));
        assert_ne!(changed.digest(), whole.digest(), "a changed bit of {name} leaves the digest as it is");
        assert_eq!(changed.differing(&whole), [name]);
        let blob = changed.files().iter().find(|file| file.name == name).unwrap();
        assert_eq!(blob.misnamed, name.starts_with("blobs/"));
    }
}

#[test]
fn a_damaged_blob_is_not_held_and_two_archives_with_one_do_not_hold_the_same() {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let archive = world.archive();
    let hash = world.published[1][0].checked.record().body.unwrap().hash;
    let damaged = flipped(&archive, &Name::Blob(hash).to_string());
    let compare = |a: &MemoryArchive, b: &MemoryArchive| {
        Comparison::of(&Survey::open(a, None).unwrap(), &Survey::open(b, None).unwrap()).unwrap()
    };
    let found = compare(&archive, &damaged);
    assert!(!found.is_empty() && found.blobs.a == [hash] && found.blobs.b.is_empty(), "{found:#?}");
    assert_eq!(found.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["BLB-003"]);
    assert_ne!(found.digests.unwrap().0, found.digests.unwrap().1);
    let same = compare(&archive, &archive.clone());
    assert!(same.is_empty() && same.differing.is_empty() && same.findings.is_empty());
}

#[test]
fn a_run_of_records_counts_records_and_not_their_blobs() {
    let policy = Policy { checkpoint_every: 2, ..fixture::policy() };
    let world = World::play(3, 4, policy, SEED);
    let mut archive = world.archive();
    let blobs: Vec<String> =
        archive.iter().map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("blobs/")).collect();
    assert!(blobs.len() > 12, "some records name two blobs");
    blobs.iter().for_each(|name| drop(archive.remove(name)));
    let report = audit(&archive, &world.options());
    for finding in report.findings.iter().filter(|finding| finding.code == "BLB-001") {
        let (_, counted) = finding.text.split_once("and so on: ").unwrap();
        let (count, last) = counted.split_once(" records up to seq ").unwrap();
        let last: u64 = last.trim_end_matches(')').parse().unwrap();
        assert_eq!(count.parse::<u64>().unwrap(), last + 1, "{}", finding.text);
    }
    assert_eq!(find(&report, "BLB-001").seq.map(|seq| seq.0), Some(0));
    assert_eq!(report.counts.blobs.missing, blobs.len() as u64);
}

#[test]
fn a_log_has_a_row_of_its_own() {
    let mut world = World::play(3, 2, Policy { witnesses: Some(1), ..fixture::policy() }, SEED);
    let mut ledger = Ledger::of(0, &world);
    ledger.publish(&world, &[(1, 1_700_000_050)]);
    ledger.put(&mut world);
    let archive = world.archive();
    let report = audit(&archive, &world.options());
    assert_eq!((report.verdict(), report.counts.logs.ok), (Verdict::Passed, 1), "{:#?}", report.findings);
    let report = audit(&flipped(&archive, &ledger.file("checkpoint")), &world.options());
    let logs = report.counts.logs;
    assert_eq!((report.verdict(), logs.ok, logs.failed, logs.missing), (Verdict::Failed, 0, 1, 0));
    let mut without = archive.clone();
    without.remove(&ledger.file("checkpoint"));
    let report = audit(&without, &world.options());
    assert_eq!((report.verdict(), report.counts.logs.missing), (Verdict::Incomplete, 1));
}
