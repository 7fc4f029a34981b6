//! Archives with logs whose owners or cosigners changed their keys, and with what old keys signed since.

use chorale_protocol::{
    audit::{Comparison, Severity, Survey, Verdict},
    code::blob_hash,
    fixture,
    log::{Tree, TreeHash},
    manifest::{LogEnd, Policy},
};

use crate::{SEED, codes, find, ledger::Ledger, world::World, world::audit};

const TIME: u64 = 1_700_000_200;

fn policy() -> Policy {
    Policy { witnesses: Some(2), ..fixture::policy() }
}

fn end(ledger: &Ledger, size: u64) -> LogEnd {
    LogEnd { size, root: ledger.tree.root(size).unwrap().0 }
}

/// Four members. Member 0's key is stolen, and becomes key 70; its log passes over at four leaves and goes on to nine.
fn handed_over() -> (World, Ledger) {
    let mut world = World::play(4, 1, policy(), SEED);
    let mut ledger = Ledger::of(0, &world);
    ledger.publish(&world, &[(1, TIME), (2, TIME)]);
    world.rotate_at(0, 70, Some(end(&ledger, 4)));
    ledger.key = 70;
    for who in [0, 1, 2, 3, 0] {
        let record = world.step(who);
        ledger.accept(&record);
    }
    ledger.publish(&world, &[(1, TIME + 60), (2, TIME + 60)]);
    ledger.put(&mut world);
    (world, ledger)
}

/// What the thief signs for the log of member 0, with others' help.
fn thief(world: &World, size: u64, root: TreeHash) -> bytes::Bytes {
    Ledger::new(0).note_of(world, size, root, &[(1, TIME), (2, TIME), (3, TIME)])
}

#[test]
fn a_log_goes_on_under_the_new_key_and_passes() {
    let (world, _) = handed_over();
    let report = world.audit();
    assert_eq!((report.verdict(), report.counts.witnessed.missing), (Verdict::Passed, 0), "{:#?}", report.findings);
    assert!(codes(&report).iter().all(|code| ["INC-001", "KEY-001"].contains(code)), "{:#?}", report.findings);
}

/// A longer head, or another one of a size before the handover: named, and the member's archive passes all the same.
#[test]
fn what_an_old_key_signs_is_named_and_counts_for_nothing() {
    let (world, ledger) = handed_over();
    let other = TreeHash([7; 32]);
    for (size, what) in
        [(4, "another root where it was handed over"), (3, "another root before"), (30, "a longer head")]
    {
        let file = ledger.file(&format!("notes/{size:020}"));
        let note = thief(&world, size, other);
        let mut archive = world.archive();
        archive.insert(file.clone(), note.clone());
        let report = audit(&archive, &world.options());
        let finding = find(&report, "LOG-007");
        assert_eq!((finding.severity, finding.file.as_str()), (Severity::Warning, file.as_str()), "{what}");
        assert_eq!(report.verdict(), Verdict::Passed, "{what}: {:#?}", report.findings);
        assert!(!codes(&report).contains(&"LOG-003"), "{what}");
        let (book, _) = Survey::open(&archive, None).unwrap().log_book(fixture::member(0).id).unwrap();
        assert!(book.all().all(|kept| blob_hash(&kept.bytes) != blob_hash(&note)), "{what}");
    }
    // In the place of the newest head it takes the log away, as if there were none.
    let mut archive = world.archive();
    archive.insert(ledger.file("checkpoint"), thief(&world, 30, other));
    let report = audit(&archive, &world.options());
    assert_eq!(find(&report, "LOG-007").severity, Severity::Warning);
    assert_eq!((report.verdict(), report.counts.witnessed.ok), (Verdict::Incomplete, 0), "nothing is witnessed then");
}

#[test]
fn the_new_key_is_bound_by_the_handover_and_by_what_it_signed() {
    let (world, ledger) = handed_over();
    let kept = ledger.file("notes/00000000000000000008");
    let mut archive = world.archive();
    archive.insert(kept.clone(), ledger.note_of(&world, 8, TreeHash([7; 32]), &[]));
    let report = audit(&archive, &world.options());
    assert_eq!(
        (find(&report, "LOG-003").severity, find(&report, "LOG-003").file.as_str()),
        (Severity::Failure, kept.as_str())
    );
    // Before the head that was handed over it has nothing to sign.
    let mut archive = world.archive();
    let kept = ledger.file("notes/00000000000000000003");
    archive.insert(kept.clone(), ledger.note_of(&world, 3, ledger.tree.root(3).unwrap(), &[]));
    assert_eq!(find(&audit(&archive, &world.options()), "LOG-007").file, kept);
}

#[test]
fn a_log_that_does_not_go_on_from_the_handover_fails() {
    let (mut world, mut ledger) = handed_over();
    ledger.tree = Tree::new();
    let records = world.records.clone();
    records.iter().rev().for_each(|record| ledger.accept(record));
    ledger.notes.clear();
    ledger.publish(&world, &[(1, TIME), (2, TIME)]);
    ledger.put(&mut world);
    let mut archive = world.archive();
    archive.remove(&ledger.file("notes/00000000000000000004"));
    let report = audit(&archive, &world.options());
    let finding = find(&report, "LOG-003");
    assert_eq!((finding.severity, finding.file.as_str()), (Severity::Failure, ledger.file("checkpoint").as_str()));
    assert!(finding.text.contains("handed over"), "{}", finding.text);
}

#[test]
fn a_cosigner_does_not_count_under_a_key_that_it_handed_over() {
    let mut world = World::play(4, 1, policy(), SEED);
    let mut ledger = Ledger::of(0, &world);
    ledger.publish(&world, &[(1, TIME), (2, TIME)]);
    ledger.put(&mut world);
    assert_eq!(world.audit().counts.witnessed.missing, 0);
    world.rotate(2, 70);
    let report = world.audit();
    assert_eq!((report.counts.witnessed.missing, codes(&report).contains(&"WIT-001")), (4, true));
    assert!(!codes(&report).contains(&"LOG-006"), "the key is known");
}

/// The archive of a member that never heard of the handover shows the thief's head; the other archive says whose it is.
#[test]
fn a_thiefs_head_is_no_split_view_to_who_knows_of_the_handover() {
    let (world, ledger) = handed_over();
    let mut before = World::play(4, 1, policy(), SEED);
    let mut stolen = Ledger::new(0);
    (0..9).for_each(|n| stolen.tree.push(TreeHash([n; 32])));
    stolen.publish(&before, &[(1, TIME), (2, TIME)]);
    stolen.put(&mut before);
    let (a, b) = (world.archive(), before.archive());
    let (a, b) = (Survey::open(&a, None).unwrap(), Survey::open(&b, None).unwrap());
    for (a, b) in [(&a, &b), (&b, &a)] {
        assert!(Comparison::of(a, b).unwrap().log_splits.is_empty());
    }
    assert_eq!(ledger.tree.len(), stolen.tree.len());
}
