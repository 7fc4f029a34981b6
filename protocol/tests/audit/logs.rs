//! Archives with logs: what they prove, and every way in which they are wrong.

use std::collections::BTreeSet;

use bytes::Bytes;
use chorale_protocol::{
    audit::{Comparison, Intervals, MemoryArchive, Options, Report, Severity, Survey, Verdict, Witnessed},
    code::blob_hash,
    fixture,
    log::{Note, NoteSignature, Tree, TreeHash},
    manifest::Policy,
};

use crate::{
    SEED, codes, find,
    ledger::Ledger,
    mutants::every_byte_must_show,
    world::{World, audit},
};

/// Within the minute that all records of these worlds claim, and a little after it.
const BEFORE: u64 = 1_700_000_050;
const AFTER: u64 = 1_700_000_200;

fn policy() -> Policy {
    Policy { witnesses: Some(2), ..fixture::policy() }
}

/// Four members, three rounds; member 0 keeps a log whose first head, after a round, the later records name.
fn witnessed() -> (World, Ledger) {
    let mut world = World::play(4, 1, policy(), SEED);
    let mut ledger = Ledger::of(0, &world);
    let first = ledger.publish(&world, &[(1, BEFORE), (2, BEFORE + 5)]);
    for who in [0, 1, 2, 3, 0, 1, 2, 3] {
        let seen = Some(blob_hash(&first));
        let record = world.step_with(who, |draft| draft.record.seen = seen);
        ledger.accept(&record);
    }
    ledger.publish(&world, &[(3, AFTER), (1, AFTER + 10), (2, AFTER + 30)]);
    ledger.put(&mut world);
    (world, ledger)
}

/// The audit of the archive after a change.
fn after(world: &World, change: impl FnOnce(&mut MemoryArchive)) -> Report {
    let mut archive = world.archive();
    change(&mut archive);
    audit(&archive, &world.options())
}

fn is(report: &Report, code: &'static str, severity: Severity, file: &str) {
    let finding = find(report, code);
    assert_eq!((finding.severity, finding.file.as_str()), (severity, file), "{:#?}", report.findings);
}

#[test]
fn a_log_that_enough_others_cosigned_passes_and_bounds_every_record_in_time() {
    let (world, ledger) = witnessed();
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec![]), "{:#?}", report.findings);
    assert_eq!((report.counts.witnessed.ok, report.counts.witnessed.missing), (12, 0));
    assert_eq!(report.witnesses, 2);
    assert_eq!(report.intervals, Intervals { both: 8, not_after: 4, ..Intervals::default() });

    let archive = world.archive();
    let survey = Survey::open(&archive, None).unwrap();
    let (book, findings) = survey.log_book(fixture::member(0).id).unwrap();
    assert!(findings.is_empty() && book.tree.as_ref().map(Tree::len) == Some(ledger.tree.len()));
    for (witnesses, first, last) in [(1, BEFORE, AFTER), (2, BEFORE + 5, AFTER + 10), (3, AFTER + 30, AFTER + 30)] {
        let leaf = |at: usize| TreeHash::leaf(world.records[at].bytes());
        let mut times = Witnessed::new(witnesses, [leaf(0), leaf(11)]);
        assert_eq!(times.add(&book), Some((10, 1)), "the other leaves, of which the second is the first");
        let seen = world.records[11].record().seen;
        assert_eq!(
            times.interval(&leaf(0), None).not_after,
            Some(first),
            "the earliest head with {witnesses} covers it"
        );
        let late = times.interval(&leaf(11), seen.as_ref());
        let since = (witnesses < 3).then_some(BEFORE);
        assert_eq!((late.not_before, late.not_after), (since, Some(last)), "{witnesses}");
    }
}

#[test]
fn what_no_one_cosigned_is_incomplete_where_the_network_or_the_auditor_asks_for_it() {
    let world = World::play(3, 2, policy(), SEED);
    let report = world.audit();
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert_eq!(codes(&report), ["WIT-001"; 3], "one finding a feed");
    assert_eq!((report.counts.witnessed.ok, report.counts.witnessed.missing), (0, 6));

    let quiet = World::play(3, 2, fixture::policy(), SEED);
    assert_eq!(quiet.audit().verdict(), Verdict::Passed);
    let asked = audit(&quiet.archive(), &Options { witnesses: 1, ..quiet.options() });
    assert_eq!((asked.verdict(), asked.witnesses), (Verdict::Incomplete, 1));
    assert!(codes(&asked).contains(&"WIT-001"));

    let (world, _) = witnessed();
    for (witnesses, verdict) in [(1, Verdict::Passed), (3, Verdict::Passed), (4, Verdict::Incomplete)] {
        let report = audit(&world.archive(), &Options { witnesses, ..world.options() });
        assert_eq!((report.verdict(), report.witnesses), (verdict, witnesses.max(2)));
    }
}

#[test]
fn records_after_the_newest_head_are_not_witnessed() {
    let (mut world, _) = witnessed();
    let late = world.step(3);
    let report = audit(&world.archive(), &world.options());
    assert_eq!(codes(&report), ["WIT-001"]);
    assert_eq!(find(&report, "WIT-001").record, Some(late.id()));
    assert_eq!((report.counts.witnessed.ok, report.counts.witnessed.missing), (12, 1));
}

#[test]
fn a_note_that_is_not_what_its_file_says_fails() {
    let (world, ledger) = witnessed();
    let (newest, kept) = (ledger.file("checkpoint"), ledger.file("notes/00000000000000000004"));
    let other = Ledger::of(1, &world);
    let (size, root) = (other.tree.len(), other.tree.root(other.tree.len()).unwrap());
    let theirs = other.note_of(&world, size, root, &[(0, AFTER), (2, AFTER)]);
    let stranger = Ledger::of(9, &world).note_of(&world, size, root, &[]);
    for (file, bytes) in [
        (&newest, Bytes::from_static(b"no note\n")),
        (&newest, theirs),
        (&newest, stranger),
        (&kept, ledger.notes[1].1.clone()),
        (&kept, Bytes::new()),
    ] {
        let report = after(&world, |archive| archive.insert(file.clone(), bytes));
        assert_eq!(report.verdict(), Verdict::Failed);
        is(&report, "LOG-001", Severity::Failure, file);
    }
    let long = after(&world, |archive| archive.insert(newest.clone(), vec![b'a'; 1 << 15].into()));
    is(&long, "ARC-004", Severity::Failure, &newest);
}

#[test]
fn tiles_that_do_not_give_the_root_fail_and_missing_ones_are_incomplete() {
    let (world, ledger) = witnessed();
    let tile = ledger.file("tile/0/000.p/12");
    let bytes = |archive: &mut MemoryArchive| archive.remove(&tile).unwrap();
    let report = after(&world, |archive| {
        let mut changed = bytes(archive).to_vec();
        changed[40] ^= 1;
        archive.insert(tile.clone(), changed.into());
    });
    is(&report, "LOG-002", Severity::Failure, &ledger.file("checkpoint"));
    let report = after(&world, |archive| {
        let short = bytes(archive).slice(..40);
        archive.insert(tile.clone(), short);
    });
    is(&report, "LOG-002", Severity::Failure, &tile);

    // Another tile shows that the log is meant to be whole; without any it is one of which only heads are known.
    let report = after(&world, |archive| {
        let whole = bytes(archive);
        archive.insert(ledger.file("tile/0/000.p/11"), whole.slice(..11 * 32));
    });
    is(&report, "LOG-005", Severity::Incomplete, &tile);
    let report = after(&world, |archive| drop(bytes(archive)));
    assert_eq!(codes(&report), ["WIT-001"; 4], "heads alone cover no record");
    let stray = ledger.file("tile/1/000.p/1");
    let report = after(&world, |archive| archive.insert(stray.clone(), vec![0; 32].into()));
    is(&report, "ARC-001", Severity::Incomplete, &stray);
}

#[test]
fn tiles_above_the_leaves_are_held_against_those_below() {
    let (mut world, _) = witnessed();
    let mut ledger = Ledger::of(1, &world);
    (ledger.tree.len()..300).for_each(|n| ledger.tree.push(TreeHash::leaf(&n.to_be_bytes())));
    ledger.publish(&world, &[(0, AFTER), (2, AFTER)]);
    ledger.put(&mut world);
    let (upper, lower) = (ledger.file("tile/1/000.p/1"), ledger.file("tile/0/000"));
    for (changed, at) in [(&upper, 3), (&lower, 255 * 32)] {
        let report = after(&world, |archive| {
            let mut bytes = archive.remove(changed).unwrap().to_vec();
            bytes[at] ^= 1;
            archive.insert(changed.clone(), bytes.into());
        });
        is(&report, "LOG-002", Severity::Failure, &upper);
    }
    for gone in [&upper, &lower] {
        is(&after(&world, |archive| drop(archive.remove(gone))), "LOG-005", Severity::Incomplete, gone);
    }
    is(&world.audit(), "LOG-004", Severity::Incomplete, &ledger.file("checkpoint"));
    assert!(find(&world.audit(), "LOG-004").text.starts_with("288 leaves"));
}

#[test]
fn a_log_that_contradicts_itself_fails_and_names_its_owner() {
    let (world, ledger) = witnessed();
    let kept = ledger.file("notes/00000000000000000004");
    let odd = ledger.note_of(&world, 4, TreeHash([7; 32]), &[(1, BEFORE), (2, BEFORE)]);
    let report = after(&world, |archive| archive.insert(kept.clone(), odd.clone()));
    is(&report, "LOG-003", Severity::Failure, &kept);
    let owner = fixture::member(0).id.to_string();
    assert!(find(&report, "LOG-003").text.contains(&owner));
    // Of one size, it shows without any tile.
    let newest = ledger.file("notes/00000000000000000012");
    let odd = ledger.note_of(&world, 12, TreeHash([7; 32]), &[]);
    let report = after(&world, |archive| {
        archive.remove(&ledger.file("tile/0/000.p/12"));
        archive.insert(newest.clone(), odd);
    });
    is(&report, "LOG-003", Severity::Failure, &newest);
}

#[test]
fn a_leaf_that_is_no_record_here_is_incomplete() {
    let (mut world, _) = witnessed();
    let mut ledger = Ledger::of(1, &world);
    ledger.tree.push(TreeHash::leaf(b"a record that was left out"));
    ledger.publish(&world, &[(0, AFTER), (2, AFTER)]);
    ledger.put(&mut world);
    let report = world.audit();
    is(&report, "LOG-004", Severity::Incomplete, &ledger.file("checkpoint"));
    assert!(find(&report, "LOG-004").text.contains("the first is 12"));
    assert_eq!(report.counts.witnessed.missing, 0, "what the logs do hold is witnessed");
}

#[test]
fn the_other_branch_of_a_fork_may_be_a_leaf() {
    let (mut world, _) = witnessed();
    let fork = world.fork(2, &world.published[2][0].checked.clone());
    world.builder.record(&fork);
    let mut ledger = Ledger::of(1, &world);
    ledger.accept(&fork);
    ledger.publish(&world, &[(0, AFTER), (2, AFTER)]);
    ledger.put(&mut world);
    let report = world.audit();
    assert!(codes(&report).contains(&"FORK-001") && !codes(&report).contains(&"LOG-004"), "{:#?}", report.findings);
}

#[test]
fn without_its_newest_head_a_log_is_incomplete() {
    let (world, ledger) = witnessed();
    let newest = ledger.file("checkpoint");
    let report = after(&world, |archive| drop(archive.remove(&newest)));
    is(&report, "LOG-005", Severity::Incomplete, &newest);
    // An older one in its place, with its tree.
    let report = after(&world, |archive| {
        archive.insert(newest.clone(), ledger.notes[0].1.clone());
        archive.remove(&ledger.file("tile/0/000.p/12"));
    });
    is(&report, "LOG-005", Severity::Incomplete, &ledger.file("notes/00000000000000000012"));
}

#[test]
fn a_signature_of_an_unknown_key_is_said_not_to_be_checked() {
    let (world, ledger) = witnessed();
    let kept = ledger.file("notes/00000000000000000004");
    let mut note = Note::parse(&ledger.notes[0].1).unwrap();
    note.add(NoteSignature { name: "witness.example".into(), id: [1; 4], bytes: vec![2; 72] }).unwrap();
    let report = after(&world, |archive| archive.insert(kept.clone(), note.to_bytes().into()));
    is(&report, "LOG-006", Severity::Incomplete, &kept);
}

#[test]
fn a_claimed_time_outside_of_the_interval_is_a_warning() {
    for (claims, outside) in [(0, 1), (BEFORE - 60, 1), (BEFORE, 0), (AFTER + 10, 0), (AFTER + 60, 1)] {
        let mut world = World::play(4, 1, policy(), SEED);
        let mut ledger = Ledger::of(0, &world);
        let first = ledger.publish(&world, &[(1, BEFORE), (2, BEFORE)]);
        let record = world.step_with(0, |draft| {
            draft.record.seen = Some(blob_hash(&first));
            draft.record.claimed_time.0 = claims - claims % 60;
        });
        ledger.accept(&record);
        ledger.publish(&world, &[(1, AFTER), (2, AFTER + 10)]);
        ledger.put(&mut world);
        let report = world.audit();
        assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
        assert_eq!(report.intervals.outside, outside, "{claims}");
        assert_eq!(codes(&report), vec!["TIME-001"; usize::try_from(outside).unwrap()]);
        assert!(report.findings.iter().all(|finding| finding.severity == Severity::Warning));
    }
}

#[test]
fn a_note_that_is_not_here_or_not_cosigned_bounds_nothing() {
    let mut world = World::play(4, 1, policy(), SEED);
    let mut ledger = Ledger::of(0, &world);
    let alone = ledger.publish(&world, &[(1, BEFORE)]);
    for (who, seen) in [(0, blob_hash(&alone)), (1, blob_hash(b"elsewhere"))] {
        let record = world.step_with(who, |draft| draft.record.seen = Some(seen));
        ledger.accept(&record);
    }
    ledger.publish(&world, &[(1, AFTER), (2, AFTER)]);
    ledger.put(&mut world);
    let report = world.audit();
    assert_eq!(report.intervals, Intervals { not_after: 6, ..Intervals::default() });
}

#[test]
fn two_archives_that_show_one_log_with_two_roots_are_a_split_view() {
    let (mut world, mut ledger) = witnessed();
    let compare = |a: &MemoryArchive, b: &MemoryArchive| {
        let (a, b) = (Survey::open(a, None).unwrap(), Survey::open(b, None).unwrap());
        Comparison::of(&a, &b).unwrap()
    };
    let split = |a: &MemoryArchive, b: &MemoryArchive| {
        let comparison = compare(a, b);
        assert_eq!(comparison.is_split(), !comparison.log_splits.is_empty());
        comparison.log_splits
    };
    let before = world.archive();
    assert_eq!(split(&before, &before), []);
    // A head that only one side has is a difference, and no split view.
    let mut fewer = before.clone();
    fewer.remove(&ledger.file("notes/00000000000000000004"));
    let comparison = compare(&before, &fewer);
    assert!(!comparison.is_empty() && !comparison.is_split());
    let note = blob_hash(&ledger.notes[0].1);
    assert_eq!((comparison.logs.a, comparison.logs.b), (vec![(fixture::member(0).id, 4, note)], vec![]));
    // An honest log that went on.
    let record = world.step(1);
    ledger.accept(&record);
    ledger.publish(&world, &[(1, AFTER), (2, AFTER)]);
    ledger.put(&mut world);
    assert_eq!(split(&before, &world.archive()), []);
    // Another history of the same log, in whose tree the first head is not.
    let mut other = Ledger::new(0);
    world.records.iter().rev().for_each(|record| other.accept(record));
    other.publish(&world, &[(3, AFTER)]);
    let mut second = World::play(4, 1, policy(), SEED);
    other.put(&mut second);
    let found = split(&before, &second.archive());
    assert_eq!((found.len(), found[0].member, found[0].size), (1, fixture::member(0).id, 4));
    assert_eq!(split(&second.archive(), &before)[0].a, found[0].b);
}

#[test]
fn every_changed_byte_of_an_archive_with_logs_changes_the_verdict() {
    let (mut world, _) = witnessed();
    let (archive, options) = (world.archive(), world.options());
    let logs = || archive.iter().filter(|(name, _)| name.starts_with("logs/"));
    let kinds: BTreeSet<_> = logs().map(|(name, _)| name.split('/').nth(2)).collect();
    assert_eq!(kinds.len(), 3, "the newest head, kept ones, tiles");
    for (name, bytes) in logs() {
        let mut mutant = archive.clone();
        mutant.insert(name.to_owned(), bytes.slice(..bytes.len() - 1));
        assert_ne!(audit(&mutant, &options).verdict(), Verdict::Passed, "{name} cut short passes");
    }
    every_byte_must_show(&mut world, &archive, &options);
}

#[test]
fn the_same_logs_give_the_same_bytes() {
    let lay = || witnessed().0.archive();
    let (one, other) = (lay(), lay());
    assert!(one.iter().eq(other.iter()));
    assert!(one.iter().any(|(name, _)| name.ends_with("tile/0/000.p/12")));
}
