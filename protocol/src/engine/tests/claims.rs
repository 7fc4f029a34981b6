//! Privacy claims: what an author once claimed to have spent, it does not take back.

use super::*;
use crate::{base::Incarnation, feed::Privacy};

const SPENT: Privacy = Privacy {
    sigma_milli: 1_000,
    clip_milli: 500,
    rate_micro: 10_000,
    steps: 1_000,
    epsilon_milli: 4_000,
    delta_log10_milli: 6_000,
};

/// An update of member 1 with this claim.
fn claimed(desk: &mut Desk, parents: &[&Checked], privacy: Option<Privacy>) -> Checked {
    let round = parents.iter().filter_map(|parent| round_of(parent)).max().unwrap_or(0) + 1;
    let update = crate::feed::Update { privacy, ..fixture::update(&desk.chain, round, parents.len()) };
    let mut draft = desk.authors[1].draft(&desk.chain, parents, Spec::Update(update));
    draft.body = Some(desk.body(&format!("{privacy:?} in round {round}")));
    desk.authors[1].write(draft)
}

fn less(privacy: Privacy) -> Privacy {
    Privacy { epsilon_milli: privacy.epsilon_milli - 1, ..privacy }
}

#[test]
fn a_claim_below_what_its_steps_cost_is_refused() {
    let desk = Desk::new(policy());
    let cost = Privacy { epsilon_milli: SPENT.least_epsilon_milli(), ..SPENT };
    assert!(cost.epsilon_milli > 1_000, "{cost:?}");
    for (privacy, code) in [(cost, None), (less(cost), Some("REC-031"))] {
        let update = crate::feed::Update { privacy: Some(privacy), ..fixture::update(&desk.chain, 1, 0) };
        let mut draft = desk.authors[1].draft(&desk.chain, &[], Spec::Update(update));
        draft.body = Some(desk.body("one"));
        let sealed = crate::feed::sign(draft, &fixture::author(1));
        assert_eq!(sealed.err().map(|refusal| refusal.code()), code);
    }
}

#[test]
fn what_was_spent_is_not_taken_back_whatever_stands_between() {
    for between in [false, true] {
        let mut desk = Desk::new(policy());
        let first = claimed(&mut desk, &[], Some(SPENT));
        assert_eq!(refusal(&desk.gossip(&first, 1)), None);
        if between {
            let spec = Spec::Release(crate::feed::Release { round: Round(1), label: "v1".into() });
            let draft = desk.authors[1].draft(&desk.chain, &[&first], spec);
            let release = desk.authors[1].write(draft);
            assert_eq!(refusal(&desk.gossip(&release, 1)), None);
        }
        let second = claimed(&mut desk, &[&first], Some(less(SPENT)));
        assert_eq!(refusal(&desk.gossip(&second, 1)), Some("RULE-020"));
    }
}

#[test]
fn what_was_spent_is_not_taken_back_in_a_later_incarnation() {
    for (claim, code) in [(SPENT, None), (less(SPENT), Some("RULE-020"))] {
        let mut desk = Desk::new(policy());
        let first = claimed(&mut desk, &[], Some(SPENT));
        assert_eq!(refusal(&desk.gossip(&first, 1)), None);
        desk.authors[1].incarnation = Incarnation(1);
        let again = claimed(&mut desk, &[], Some(claim));
        assert_eq!(refusal(&desk.gossip(&again, 1)), code);
    }
}
