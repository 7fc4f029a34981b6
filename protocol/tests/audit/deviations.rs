//! One member deviates: the code says how, the finding says who.

use bytes::Bytes;
use chorale_protocol::{
    adapter::{encode_f32, encode_q32, f32_view},
    audit::Verdict,
    base::{Incarnation, Lamport, MemberId, Round, Seq},
    feed::{Close, Evidence, EvidenceSpec, Reference, Release, Skip, SkipReason, Spec},
    fixture::{self, Author},
    manifest::{LoraRule, Policy},
    merge::State,
};

use crate::{
    SEED, blames, codes, find,
    world::{Draft, World},
};

/// Plays three honest rounds of four members, then lets member 1 publish once, changed.
fn deviate(policy: Policy, code: &str, change: impl FnOnce(&mut Draft)) {
    let mut world = World::play(4, 3, policy, SEED);
    world.step_with(1, change);
    blames(&world.audit(), code, world.authors[1].id);
}

#[test]
fn a_wrong_weight_round_or_clock_is_found() {
    deviate(fixture::policy(), "RULE-008", |draft| draft.update().weights[0] -= 1);
    deviate(fixture::policy(), "RULE-005", |draft| draft.update().round = Round(9));
    deviate(fixture::policy(), "RULE-004", |draft| draft.record.clock = Lamport(11));
    deviate(fixture::policy(), "RULE-004", |draft| draft.record.clock.0 += 1);
    deviate(fixture::policy(), "RULE-004", |draft| draft.record.clock = Lamport((1 << 53) - 2));
    deviate(Policy { lora_rule: LoraRule::Ffa, ..fixture::policy() }, "REC-020", |draft| {
        draft.update().phase = chorale_protocol::manifest::Phase::A;
    });
}

#[test]
fn a_wrong_merge_hash_is_found() {
    deviate(fixture::policy(), "MRG-001", |draft| draft.update().merge.0[31] ^= 0x80);
}

#[test]
fn an_update_beyond_the_norm_bound_is_found() {
    let policy = Policy { norm_bound: 6_554, ..fixture::policy() };
    deviate(policy.clone(), "MRG-004", |draft| {
        let mut values = f32_view(&draft.merged.values);
        values[3] += 0.11;
        let layout = chorale_protocol::adapter::Layout::new(&fixture::adapter()).unwrap();
        draft.payload = encode_f32(&layout, policy.codec, &values).unwrap();
    });
}

#[test]
fn a_frozen_factor_that_changed_is_found() {
    let policy = Policy { lora_rule: LoraRule::Ffa, ..fixture::policy() };
    deviate(policy.clone(), "MRG-005", |draft| {
        let mut values = draft.merged.values.clone();
        values[0] += 1 << 24;
        let layout = chorale_protocol::adapter::Layout::new(&fixture::adapter()).unwrap();
        draft.payload = encode_q32(&layout, policy.codec, &values).unwrap();
    });
}

#[test]
fn a_malformed_payload_is_its_authors_fault() {
    deviate(fixture::policy(), "PAY-002", |draft| {
        let mut bytes = draft.payload.to_vec();
        bytes[0] = 9;
        draft.payload = bytes.into();
    });
    deviate(fixture::policy(), "RULE-010", |draft| draft.payload = Bytes::from_static(b"short"));
}

#[test]
fn peers_other_than_the_draws_are_found() {
    let policy = Policy { draw: 1, ..fixture::policy() };
    // Someone else than the first of the draw.
    let mut world = World::play(4, 3, policy.clone(), SEED);
    let everyone: Vec<_> = world.published.iter().map(|list| list.last().unwrap().checked.clone()).collect();
    let (me, chain) = (world.authors[1].id, world.chain.clone());
    world.step_with(1, |draft| {
        let drawn = draft.others[0].record;
        let other = everyone.iter().find(|other| other.id() != drawn && other.record().member != me).unwrap();
        let merged: Vec<_> = everyone
            .iter()
            .filter(|one| one.id() != drawn && (one.record().member == me || one.id() == other.id()))
            .collect();
        draft.record.parents = fixture::references(chain.current(), &merged);
        draft.record.clock = Lamport(1_000);
        let round = merged.into_iter().map(round).max().unwrap();
        draft.update().round = round.next();
    });
    blames(&world.audit(), "DRW-001", me);

    // More than the draw.
    let mut world = World::play(4, 3, policy.clone(), SEED);
    world.step_with(1, |draft| {
        draft.record.parents = fixture::references(chain.current(), &everyone.iter().collect::<Vec<_>>());
        draft.record.clock = Lamport(1_000);
        draft.update().weights = vec![1024; 4];
        let round = everyone.iter().map(round).max().unwrap();
        draft.update().round = round.next();
    });
    let report = world.audit();
    blames(&report, "DRW-002", me);

    // Nobody, without a word.
    let mut world = World::play(4, 3, policy, SEED);
    let own = world.published[1].last().unwrap().checked.clone();
    world.step_with(1, |draft| {
        draft.record.parents = fixture::references(chain.current(), &[&own]);
        draft.update().weights = vec![1024];
        draft.update().round = round(&own).next();
    });
    blames(&world.audit(), "DRW-003", me);
}

fn round(checked: &chorale_protocol::feed::Checked) -> Round {
    let Spec::Update(update) = &checked.record().spec else { panic!("no update") };
    update.round
}

#[test]
fn a_false_claim_of_distance_is_found_and_so_is_a_merge_out_of_reach() {
    let mut world = World::play(4, 3, fixture::policy(), SEED);
    let me = world.authors[1].id;
    let places: Vec<(MemberId, u64)> =
        world.authors.iter().map(|author| (author.id, world.place(&author.id))).collect();
    let place = |member: MemberId| places.iter().find(|(id, _)| *id == member).unwrap().1;
    world.step_with(1, |draft| {
        let left_out = draft.others.pop().unwrap();
        let at = draft.record.parents.iter().position(|parent| parent.record == left_out.record).unwrap();
        draft.record.parents.remove(at);
        let update = draft.update();
        update.weights.remove(at);
        update.skipped.push(Skip {
            member: place(left_out.member),
            reason: SkipReason::Distance,
            record: Some(left_out.record),
        });
    });
    let report = world.audit();
    blames(&report, "MRG-002", me);

    let mut world = World::play(4, 3, Policy { reach: 2_000, ..fixture::policy() }, SEED);
    let mut done = false;
    for _ in 0..4 {
        world.step_with(1, |draft| {
            let far = draft.others.iter().find(|voice| draft.merged.out_of_reach.contains(&voice.member)).cloned();
            let Some(far) = far.filter(|far| !done && far.round < draft.merged.round) else { return };
            done = true;
            draft.record.parents.push(Reference { member: place(far.member), record: far.record });
            draft.record.parents.sort_unstable();
            draft.record.clock = Lamport(1_000);
            let at = draft.record.parents.iter().position(|parent| parent.record == far.record).unwrap();
            let update = draft.update();
            update.weights.insert(at, 1024);
            update.skipped.retain(|skip| skip.member != place(far.member));
        });
        if done {
            break;
        }
    }
    assert!(done, "nobody was out of reach");
    blames(&world.audit(), "MRG-002", me);
}

#[test]
fn a_checkpoint_that_is_not_the_state_is_found() {
    let policy = Policy { checkpoint_every: 1, ..fixture::policy() };
    for malformed in [false, true] {
        let mut world = World::play(3, 2, policy.clone(), SEED);
        let mut wrong = Bytes::new();
        world.step_with(1, |draft| {
            let v = draft.merged.momentum.as_ref().unwrap();
            let state = State { x: draft.merged.values.clone(), v: v.iter().map(|value| value + 1).collect() };
            wrong = if malformed { Bytes::from_static(&[0x7f; 8 * 28 + 6]) } else { state.to_bytes() };
            draft.update().state = Some(fixture::body(&wrong));
        });
        world.builder.blob(wrong);
        let report = world.audit();
        blames(&report, "RULE-019", world.authors[1].id);
        assert_eq!(codes(&report).contains(&"MRG-009"), malformed);
    }
}

#[test]
fn a_checkpoint_where_none_belongs_is_found() {
    let state = |draft: &mut Draft| draft.update().state = Some(fixture::body(&[1; 8 * 28]));
    deviate(fixture::policy(), "RULE-014", state);
    deviate(Policy { momentum: 0, checkpoint_every: 1, ..fixture::policy() }, "RULE-014", state);
    deviate(Policy { checkpoint_every: 1, ..fixture::policy() }, "RULE-014", |draft| {
        draft.update().state = Some(fixture::body(&[1; 9]));
    });
}

#[test]
fn what_can_be_said_without_a_parent_is_said() {
    let mut world = World::play(4, 3, fixture::policy(), SEED);
    world.step_with(1, |draft| {
        draft.record.parents[0].record.0 = [0xff; 32];
        draft.payload = Bytes::from_static(b"short");
    });
    assert!(codes(&world.audit()).contains(&"DAG-001"));
    blames(&world.audit(), "RULE-010", world.authors[1].id);
}

#[test]
fn an_unsettled_fork_fails_and_names_the_member() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let forked = world.fork(2, &world.published[2][1].checked.clone());
    world.keep(&forked);
    let report = world.audit();
    blames(&report, "FORK-001", world.authors[2].id);
    assert_eq!(find(&report, "FORK-001").seq, Some(Seq(1)));
    assert!(find(&report, "FORK-001").text.contains("silo-2"));
    // Who goes on from either branch is not at fault.
    assert_eq!(codes(&report).iter().filter(|code| **code != "FORK-001").count(), 0, "{:#?}", report.findings);
}

#[test]
fn evidence_alone_convicts() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let first = world.published[2][1].checked.clone();
    let bundle = Evidence::of(&first, &world.fork(2, &first)).unwrap();
    let (accused, incarnation, seq) = bundle.accused();
    let hash = world.builder.evidence(bundle.to_bytes());
    let spec = Spec::Evidence(EvidenceSpec { accused, incarnation, seq });
    world.write(0, &[], spec, Some(fixture::body(&bundle.to_bytes())));
    let report = world.audit();
    blames(&report, "FORK-001", accused);
    assert_eq!((report.counts.evidence.ok, report.counts.blobs.failed), (1, 0));
    assert_eq!(find(&report, "FORK-001").file, format!("evidence/{hash}"));

    // A record that reads something else into it.
    let spec = Spec::Evidence(EvidenceSpec { accused: world.authors[1].id, incarnation, seq });
    world.write(0, &[], spec, Some(fixture::body(&bundle.to_bytes())));
    assert_eq!(find(&world.audit(), "EVD-003").feed.unwrap().0, world.authors[0].id);
}

#[test]
fn a_bundle_that_lies_among_the_blobs_only_is_missing_and_blames_nobody() {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let first = world.published[2][1].checked.clone();
    let bundle = Evidence::of(&first, &world.fork(2, &first)).unwrap();
    let (accused, incarnation, seq) = bundle.accused();
    world.builder.blob(bundle.to_bytes());
    let spec = Spec::Evidence(EvidenceSpec { accused, incarnation, seq });
    world.write(0, &[], spec, Some(fixture::body(&bundle.to_bytes())));
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Passed, vec!["EVD-004"]));
    assert_eq!((report.counts.evidence.ok, report.counts.blobs.missing), (0, 1));
}

#[test]
fn evidence_that_proves_nothing_is_found() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.builder.evidence(Bytes::from_static(b"not evidence"));
    let report = world.audit();
    assert_eq!((report.verdict(), codes(&report)), (Verdict::Failed, vec!["EVD-001"]));
}

#[test]
fn what_follows_a_close_and_a_release_of_another_round_are_found() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.write(1, &[], Spec::Close(Close::Left), None);
    world.write(1, &[], Spec::Close(Close::Left), None);
    blames(&world.audit(), "FEED-004", world.authors[1].id);

    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let released = world.published[0][0].checked.clone();
    world.write(1, &[&released], Spec::Release(Release { round: Round(7), label: "v1".into() }), None);
    blames(&world.audit(), "RULE-011", world.authors[1].id);
}

#[test]
fn rounds_that_do_not_rise_releases_of_others_updates_and_too_many_releases_are_found() {
    for back in 0..2 {
        let mut world = World::play(3, 3, fixture::policy(), SEED);
        let last = round(&world.published[1].last().unwrap().checked);
        world.step_with(1, |draft| draft.update().round = Round(last.0 - back));
        blames(&world.audit(), "FEED-008", world.authors[1].id);
    }
    let release =
        |update: &chorale_protocol::feed::Checked| Spec::Release(Release { round: round(update), label: "v1".into() });
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let (own, other) = (world.published[1][0].checked.clone(), world.published[0][0].checked.clone());
    world.write(1, &[&own], release(&own), None);
    assert_eq!(world.audit().verdict(), Verdict::Passed);
    let mut twice = World::play(3, 2, fixture::policy(), SEED);
    (0..2).for_each(|_| drop(twice.write(1, &[&own], release(&own), None)));
    blames(&twice.audit(), "FEED-009", world.authors[1].id);
    world.write(1, &[&other], release(&other), None);
    blames(&world.audit(), "RULE-016", world.authors[1].id);

    let mut world = World::play(2, 17, fixture::policy(), SEED);
    let updates: Vec<_> = world.published[1].iter().map(|published| published.checked.clone()).collect();
    for update in &updates[..16] {
        world.write(1, &[update], release(update), None);
    }
    assert_eq!(world.audit().verdict(), Verdict::Passed);
    world.write(1, &[&updates[16]], release(&updates[16]), None);
    blames(&world.audit(), "FEED-010", world.authors[1].id);
}

#[test]
fn who_names_an_old_manifest_version_and_who_merges_it_too_late_is_found() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let genesis = world.chain.clone();
    world.amend(|manifest| manifest.policy.round_ms = 1_000);
    world.rounds(1);
    assert_eq!(world.audit().verdict(), Verdict::Passed, "what was published before counts for a window");
    let mut fell = World::play(3, 2, fixture::policy(), SEED);
    fell.amend(|manifest| manifest.policy.round_ms = 1_000);
    fell.step(0);
    let old = (genesis.current().version, genesis.current_hash());
    fell.step_with(1, |draft| (draft.record.manifest_version, draft.record.manifest_hash) = old);
    blames(&fell.audit(), "RULE-017", fell.authors[1].id);

    // Member 0 stays under the genesis and goes on from its own publications alone.
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    world.amend(|manifest| manifest.policy.round_ms = 1_000);
    for _ in 0..6 {
        let own = world.published[0].last().unwrap().checked.clone();
        world.step_with(0, |draft| {
            (draft.record.manifest_version, draft.record.manifest_hash) = old;
            draft.record.parents.retain(|parent| parent.record == own.id());
            draft.update().weights = vec![1024];
            draft.update().round = round(&own).next();
        });
        (1..3).for_each(|who| drop(world.step(who)));
    }
    let report = world.audit();
    assert_eq!(find(&report, "RULE-018").feed.map(|feed| feed.0 == world.authors[0].id), Some(false));
}

#[test]
fn an_incarnation_that_continues_someone_elses_feed_is_found() {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let other = world.published[1][0].checked.id();
    world.authors[0] = Author::new(0);
    world.authors[0].incarnation = Incarnation(1);
    world.step_with(0, |draft| draft.record.prev = Some(other));
    blames(&world.audit(), "INC-002", world.authors[0].id);
}

#[test]
fn rounds_beyond_the_last_and_stale_own_parents_are_found() {
    let mut world = World::play(3, 3, Policy { rounds: 5, ..fixture::policy() }, SEED);
    assert_eq!(round(&world.published[1].last().unwrap().checked), Round(5));
    world.authors[1].incarnation = Incarnation(1);
    world.step(1);
    blames(&world.audit(), "UPD-006", world.authors[1].id);

    let mut world = World::play(3, 3, Policy { momentum: 0, ..fixture::policy() }, SEED);
    let old = world.published[1][1].clone();
    [0, 2, 0, 2].into_iter().for_each(|who| drop(world.step(who)));
    world.step_from(1, Some(old), |_| {});
    blames(&world.audit(), "UPD-004", world.authors[1].id);
}
