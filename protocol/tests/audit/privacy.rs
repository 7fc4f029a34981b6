//! Privacy claims: what an audit finds of them.

use chorale_protocol::{
    audit::Verdict,
    base::Incarnation,
    feed::{Privacy, Release, Spec},
    fixture,
    manifest::{Policy, PrivacyTerms},
};

use crate::{SEED, blames, codes, world::World};

const SPENT: Privacy = Privacy {
    sigma_milli: 1_000,
    clip_milli: 500,
    rate_micro: 10_000,
    steps: 1_000,
    epsilon_milli: 4_000,
    delta_log10_milli: 6_000,
};

fn claim(world: &mut World, claim: Privacy) {
    world.step_with(1, |draft| draft.update().privacy = Some(claim));
}

#[test]
fn claims_that_only_rise_pass() {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    claim(&mut world, SPENT);
    claim(&mut world, SPENT);
    world.step(1);
    claim(&mut world, Privacy { steps: 1_001, epsilon_milli: 4_001, clip_milli: 1, ..SPENT });
    assert_eq!(world.audit().verdict(), Verdict::Passed);
}

#[test]
fn a_claim_that_takes_back_what_was_spent_is_found_whatever_stands_between() {
    for changed in [
        Privacy { epsilon_milli: 3_999, ..SPENT },
        Privacy { steps: 999, ..SPENT },
        Privacy { sigma_milli: 999, ..SPENT },
        Privacy { rate_micro: 10_001, ..SPENT },
        Privacy { delta_log10_milli: 6_001, ..SPENT },
    ] {
        let mut world = World::play(3, 1, fixture::policy(), SEED);
        claim(&mut world, SPENT);
        let last = world.step(1);
        let Spec::Update(update) = &last.record().spec else { panic!("no update") };
        let release = Spec::Release(Release { round: update.round, label: "v1".into() });
        world.write(1, &[&last], release, None);
        claim(&mut world, changed);
        blames(&world.audit(), "RULE-020", world.authors[1].id);
    }
}

#[test]
fn a_claim_that_takes_back_what_was_spent_in_an_earlier_incarnation_is_found() {
    for (epsilon_milli, found) in [(4_000, false), (3_999, true)] {
        let mut world = World::play(3, 1, fixture::policy(), SEED);
        claim(&mut world, SPENT);
        world.authors[1].incarnation = Incarnation(1);
        claim(&mut world, Privacy { epsilon_milli, ..SPENT });
        assert_eq!(codes(&world.audit()).contains(&"RULE-020"), found, "{epsilon_milli}");
    }
}

#[test]
fn an_update_without_the_claim_that_the_policy_wants_is_found() {
    let terms = PrivacyTerms { delta_log10_milli: 6_000, epsilon_milli: 5_000 };
    for (said, code) in [
        (Some(SPENT), None),
        (None, Some("REC-032")),
        (Some(Privacy { epsilon_milli: 5_001, ..SPENT }), Some("REC-032")),
        (Some(Privacy { delta_log10_milli: 5_999, ..SPENT }), Some("REC-032")),
    ] {
        let mut world = World::new(2, Policy { privacy: Some(terms), ..fixture::policy() }, SEED);
        world.step_with(0, |draft| draft.update().privacy = Some(SPENT));
        world.step_with(1, |draft| draft.update().privacy = said);
        let report = world.audit();
        match code {
            Some(code) => blames(&report, code, world.authors[1].id),
            None => assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings),
        }
    }
}
