//! Archives of honest networks.

use std::sync::Mutex;

use chorale_protocol::{
    audit::{MemoryArchive, Options, Verdict, replay},
    base::Incarnation,
    feed::{Close, Release, SkipReason, Spec},
    fixture::{self, Author},
    manifest::{AdapterSpec, Codec, Cut, Factor, LoraRule, Policy, TensorSpec},
};

use crate::{
    SEED, codes, find,
    world::{World, audit},
};

fn policies() -> Vec<Policy> {
    let mut policies = Vec::new();
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        for momentum in [0, 32_768] {
            for lora_rule in [LoraRule::Both, LoraRule::Alternate(2), LoraRule::Ffa] {
                policies.push(Policy { codec, momentum, lora_rule, checkpoint_every: 3, ..fixture::policy() });
                policies.push(Policy { codec, momentum, lora_rule, adapter: with_dense(), ..fixture::policy() });
            }
        }
    }
    policies
}

/// The fixtures' adapter and a dense tensor, of no rank.
fn with_dense() -> AdapterSpec {
    let mut adapter = fixture::adapter();
    let name = "model.norm.weight".to_owned();
    adapter.tensors.push(TensorSpec { name, factor: Factor::Dense, rows: 1, columns: 5 });
    adapter
}

#[test]
fn an_honest_archive_passes_for_every_codec_momentum_and_lora_rule_with_dense_tensors_and_without() {
    for policy in policies() {
        let mut world = World::play(4, 6, policy.clone(), SEED);
        let last = world.published[1].last().unwrap().checked.clone();
        let Spec::Update(update) = &last.record().spec else { panic!() };
        let release = Spec::Release(Release { round: update.round, label: "v1".into() });
        world.write(1, &[&last], release, None);
        for who in 0..4 {
            world.write(who, &[], Spec::Close(Close::Finished), None);
        }
        let report = world.audit();
        assert_eq!(report.verdict(), Verdict::Passed, "{policy:?} {:#?}", report.findings);
        assert_eq!(report.findings, [], "{policy:?}");
        assert_eq!((report.counts.merges.ok, report.counts.merges.failed, report.counts.merges.missing), (24, 0, 0));
        assert_eq!((report.counts.records.ok, report.counts.feeds.ok), (29, 4));
        assert!(report.anchors.is_complete());
        for member in &report.members {
            assert_eq!((member.updates, member.merges.ok), (6, 6));
            assert!(member.merged_by_others > 0 && member.merged_others > 0);
        }
    }
}

#[test]
fn an_archive_with_publications_out_of_reach_passes() {
    // A member moves by about 0.03 in a round; two lie about as far apart as this reach.
    let mut distances = 0;
    for reach in [1_500, 2_000, 2_500, 3_000, 3_500, 4_000] {
        let world = World::play(6, 5, Policy { reach, draw: 4, ..fixture::policy() }, SEED);
        let report = world.audit();
        assert_eq!(report.verdict(), Verdict::Passed, "reach {reach}: {:#?}", report.findings);
        for record in &world.records {
            let Spec::Update(update) = &record.record().spec else { continue };
            distances += update.skipped.iter().filter(|skip| skip.reason == SkipReason::Distance).count();
        }
    }
    assert!(distances > 20, "{distances} publications out of reach");
}

#[test]
fn newcomers_under_a_new_manifest_version_pass() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    world.amend(|manifest| {
        manifest.members.push(fixture::member(3));
        manifest.members.sort_by_key(|member| member.id);
        manifest.policy.draw = 2;
    });
    world.authors.push(Author::new(3));
    world.published.push(Vec::new());
    world.rounds(3);
    let report = world.audit();
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    assert_eq!((report.counts.manifests.ok, report.counts.merges.ok), (2, 21));
    assert_eq!(report.manifest_version, Some(1));
}

#[test]
fn a_new_incarnation_passes_with_a_warning() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let head = world.published[0].last().unwrap().checked.id();
    world.authors[0] = Author::new(0);
    world.authors[0].incarnation = Incarnation(1);
    world.step_with(0, |draft| draft.record.prev = Some(head));
    world.rounds(2);
    let report = world.audit();
    assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    assert_eq!(codes(&report), ["INC-001"]);
    assert_eq!(find(&report, "INC-001").feed, Some((world.authors[0].id, Incarnation(1))));
}

#[test]
fn a_settled_fork_and_what_a_cut_voids_are_warnings() {
    // The cut takes back the fork, or picks one of its branches, whichever comes first in the file.
    for pick in 0..3 {
        let mut world = World::play(4, 3, fixture::policy(), SEED);
        let honest = world.step(3);
        let forked = world.fork(3, &honest);
        world.keep(&forked);
        let seq = honest.record().seq;
        let last = match pick {
            0 => honest.record().prev.map(|prev| (chorale_protocol::base::Seq(seq.0 - 1), prev)),
            1 => Some((seq, honest.id())),
            _ => Some((seq, forked.id())),
        };
        let member = world.authors[3].id;
        world.amend(|manifest| manifest.cuts = vec![Cut { member, incarnation: Incarnation(0), last }]);
        for _ in 0..2 {
            for who in 0..3 {
                world.step(who);
            }
        }
        let mut options = world.options();
        options.anchors = (0..3).map(|who| world.published[who].last().unwrap().checked.id().into()).collect();
        let report = audit(&world.archive(), &options);
        assert_eq!(report.verdict(), Verdict::Passed, "{pick}: {:#?}", report.findings);
        assert!(codes(&report).contains(&"FORK-002") && codes(&report).contains(&"CUT-001"), "{:#?}", report.findings);
        assert!(report.members.iter().all(|report| report.equivocated == (report.member == member)));
    }
}

#[test]
fn the_report_is_the_same_on_any_number_of_threads() {
    let mut world = World::play(5, 4, fixture::policy(), SEED);
    world.step_with(2, |draft| draft.update().merge.0[0] ^= 1);
    world.keep(&world.fork(1, &world.published[1][0].checked));
    let report = |threads| audit(&world.archive(), &Options { threads, ..world.options() });
    assert_eq!(report(1), report(2));
    assert_eq!(report(1), report(9));
}

#[test]
fn the_same_records_give_the_same_archive_in_any_order() {
    let world = World::play(3, 3, fixture::policy(), SEED);
    let mut other = chorale_protocol::audit::ArchiveBuilder::new(world.chain.signed());
    world.records.iter().rev().for_each(|record| {
        other.record(record);
    });
    for published in world.published.iter().flatten() {
        other.blob(published.voice.payload.bytes().clone());
    }
    let (one, other) = (world.archive(), other.build());
    assert!(one.iter().eq(other.iter()));
}

#[test]
fn the_work_told_grows_to_all_of_it_and_payloads_are_of_it() {
    let world = World::play(3, 4, fixture::policy(), SEED);
    let archive = world.archive();
    let told = |archive: &MemoryArchive, options: Options| {
        let told = Mutex::new(Vec::new());
        replay(archive, &options, &|done, total| told.lock().unwrap().push((done, total))).unwrap();
        told.into_inner().unwrap()
    };
    for heads_only in [false, true] {
        let all = told(&archive, Options { threads: 1, heads_only, ..world.options() });
        assert!(all.is_sorted_by_key(|(done, _)| *done) && all.iter().all(|(done, total)| done <= total));
        let (done, total) = *all.last().unwrap();
        assert_eq!(done, total, "at the end nothing is left");
        // The payloads are gone: less is left after the records were scanned.
        let mut pruned = archive.clone();
        for (name, _) in archive.iter().filter(|(name, _)| name.starts_with("blobs/")) {
            pruned.remove(name);
        }
        let fewer = told(&pruned, Options { threads: 1, heads_only, ..world.options() });
        assert!(fewer.last().unwrap().1 < total, "{fewer:?} beside {total}");
    }
}
