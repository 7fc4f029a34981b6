//! Broken rules of which members accuse each other.

use chorale_protocol::{
    admit::FaultProof,
    audit::Verdict,
    base::{Lamport, MergeHash},
    feed::{Checked, FaultSpec, Flaw, Record, Spec, sign},
    fixture,
    manifest::{Cut, Policy},
};

use crate::{SEED, blames, codes, find, world::World};

/// A record that its author signed and no honest member admitted, and what shows it.
fn late(world: &World, who: usize) -> FaultProof {
    let last = world.published[who].last().unwrap().checked.clone();
    let mut record: Record = last.record().clone();
    record.clock = Lamport(record.clock.0 + 7);
    let bad = sign(record, &fixture::author(world.authors[who].key)).unwrap();
    let named = last.record().prev.into_iter().chain(last.record().parent_ids());
    let mut others: Vec<Checked> = named.map(|id| world.record(&id)).collect();
    others.sort_unstable_by_key(Checked::id);
    others.dedup_by_key(|one| one.id());
    FaultProof::of(bad, others, &world.chain).unwrap()
}

fn spec(record: &Checked, flaw: Flaw) -> Spec {
    let Record { member, incarnation, seq, .. } = *record.record();
    Spec::Fault(FaultSpec { accused: member, incarnation, seq, record: record.id(), flaw })
}

#[test]
fn a_proved_fault_is_its_authors_until_governors_settle_it() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let proof = late(&world, 2);
    assert_eq!(proof.code(), "RULE-004");
    world.builder.evidence(proof.to_bytes());
    world.write(0, &[], spec(proof.record(), Flaw::Rule), Some(fixture::body(&proof.to_bytes())));
    let report = world.audit();
    blames(&report, "FLT-001", world.authors[2].id);
    assert!(find(&report, "FLT-001").text.contains("RULE-004"), "{:?}", report.findings);
    assert_eq!((report.counts.evidence.ok, report.counts.blobs.failed), (1, 0));

    // Its record before the one accused is the last that stands.
    let before = world.published[2][1].checked.clone();
    let Record { member, incarnation, seq, .. } = *before.record();
    world.amend(|next| next.cuts.push(Cut { member, incarnation, last: Some((seq, before.id())) }));
    let report = world.audit();
    assert!(codes(&report).contains(&"FLT-002") && !codes(&report).contains(&"FLT-001"), "{:?}", report.findings);
}

#[test]
fn a_bundle_of_another_record_than_the_accusation_names_is_its_accusers_fault() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let proof = late(&world, 2);
    world.builder.evidence(proof.to_bytes());
    let other = world.published[1][0].checked.clone();
    world.write(0, &[], spec(&other, Flaw::Rule), Some(fixture::body(&proof.to_bytes())));
    assert_eq!(find(&world.audit(), "EVD-003").feed.unwrap().0, world.authors[0].id);
}

#[test]
fn an_accusation_of_what_is_in_order_is_its_accusers_fault() {
    for flaw in [Flaw::Payload, Flaw::Merge] {
        let mut world = World::play(3, 3, fixture::policy(), SEED);
        let victim = world.published[1][1].checked.clone();
        world.write(0, &[], spec(&victim, flaw), None);
        let report = world.audit();
        assert_eq!((report.verdict(), codes(&report)), (Verdict::Failed, vec!["FLT-003"]), "{flaw:?}");
        blames(&report, "FLT-003", world.authors[0].id);
    }
}

#[test]
fn an_accusation_that_is_right_adds_nothing_and_one_that_cannot_be_checked_blames_nobody() {
    let policy = Policy { momentum: 0, ..fixture::policy() };
    let mut world = World::play(3, 2, policy.clone(), SEED);
    let wrong = world.step_with(1, |draft| draft.update().merge = MergeHash([9; 32]));
    world.write(0, &[], spec(&wrong, Flaw::Merge), None);
    let report = world.audit();
    assert_eq!(codes(&report), ["MRG-001"], "{:?}", report.findings);
    blames(&report, "MRG-001", world.authors[1].id);

    let mut world = World::play(3, 2, policy, SEED);
    let withheld = world.step(1);
    world.write(0, &[], spec(&withheld, Flaw::Payload), None);
    let mut archive = world.archive();
    World::withhold(&mut archive, &withheld);
    let report = chorale_protocol::audit::replay(&archive, &world.options(), &|_, _| {}).unwrap();
    assert!(codes(&report).contains(&"FLT-004"), "{:?}", report.findings);
    assert_ne!(report.verdict(), Verdict::Failed);
}

#[test]
fn more_than_sixteen_records_of_faults_between_two_updates_are_found() {
    for (with_update, more) in [(false, 0), (false, 1), (true, 1)] {
        let mut world = World::play(3, 3, fixture::policy(), SEED);
        let accuse = |world: &mut World| {
            let victim = world.published[1][1].checked.clone();
            world.write(0, &[], spec(&victim, Flaw::Payload), None);
        };
        (0..16).for_each(|_| accuse(&mut world));
        if with_update {
            world.step(0);
        }
        (0..more).for_each(|_| accuse(&mut world));
        let report = world.audit();
        let found = codes(&report).contains(&"FEED-010");
        assert_eq!(found, more > 0 && !with_update, "{more} more, an update before {with_update}");
        if found {
            blames(&report, "FEED-010", world.authors[0].id);
        }
    }
}
