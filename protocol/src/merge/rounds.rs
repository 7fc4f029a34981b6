//! Which round ages count from, and which round a merge publishes.

use crate::{
    base::{Round, limit},
    manifest::Policy,
};

/// The common round of a merge: how far those merged, the own publication included, have come together. Of three and more
/// the (⌊k/3⌋ + 1)-th largest, so that fewer than a third cannot raise it beyond all the others; of two the smaller one, or
/// what lies the policy's lead behind the larger, whichever is later; of one that one. `None` without any.
///
/// ```
/// use chorale_protocol::{base::Round, fixture, merge::common_round};
///
/// let policy = fixture::policy(); // four ages: a lead of 3
/// let of = |rounds: &[u64]| common_round(&policy, rounds.iter().copied().map(Round)).map(|round| round.0);
/// assert_eq!(of(&[]), None);
/// assert_eq!(of(&[7]), Some(7));
/// assert_eq!(of(&[7, 9]), Some(7));
/// assert_eq!(of(&[7, 19]), Some(16), "a slow member follows at the distance of the lead");
/// assert_eq!(of(&[7, 7, 9]), Some(7));
/// assert_eq!(of(&[7, 9, 8, 7]), Some(8), "one of four cannot raise it beyond the others");
/// assert_eq!(of(&[7, 9, 9, 7, 8, 7, 7]), Some(8), "nor can two of seven");
/// ```
#[must_use]
pub fn common_round(policy: &Policy, rounds: impl IntoIterator<Item = Round>) -> Option<Round> {
    let mut rounds: Vec<Round> = rounds.into_iter().collect();
    rounds.sort_unstable_by(|one, other| other.cmp(one));
    match *rounds.as_slice() {
        [ahead, behind] => Some(behind.max(Round(ahead.0.saturating_sub(policy.lead())))),
        _ => rounds.get(rounds.len() / 3).copied(),
    }
}

/// The round that ages count from: the own publication's, without one the common round.
#[must_use]
pub fn base_round(own: Option<Round>, common: Option<Round>) -> Round {
    own.or(common).unwrap_or_default()
}

/// The round that a merge publishes: one more than the own publication's and the common round, 1 without any publication,
/// and at most the policy's last round.
#[must_use]
pub fn round_published(policy: &Policy, own: Option<Round>, common: Option<Round>) -> Round {
    policy.round_after(own.max(common))
}

/// The least and the largest round that may be published where only the rounds `known` of what was merged are known and
/// `unknown` others are not. Whose those are is not known either: without a known own publication one of them may be the
/// own one, so that there is no largest.
#[must_use]
pub fn rounds_possible(policy: &Policy, own: Option<Round>, known: &[Round], unknown: usize) -> (Round, Option<Round>) {
    let with = |other: Round| {
        let rounds = known.iter().copied().chain(std::iter::repeat_n(other, unknown));
        round_published(policy, own, common_round(policy, rounds))
    };
    let most = (unknown == 0 || own.is_some()).then(|| with(Round(limit::UINT_MAX)));
    (with(Round(0)), most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn rounds(all: &[u64]) -> Vec<Round> {
        all.iter().copied().map(Round).collect()
    }

    #[test]
    fn a_member_never_publishes_a_round_below_its_next_and_one_that_runs_ahead_raises_nobody() {
        let policy = fixture::policy();
        let published = |own: u64, others: &[u64]| {
            let all = rounds(others).into_iter().chain([Round(own)]);
            round_published(&policy, Some(Round(own)), common_round(&policy, all)).0
        };
        assert_eq!(published(9, &[]), 10);
        assert_eq!(published(9, &[1, 1, 1]), 10, "the others are behind");
        assert_eq!(published(4, &[7]), 5, "one other, ahead by the lead");
        assert_eq!(published(4, &[8]), 6);
        assert_eq!(published(4, &[1_000_000, 4]), 5);
        assert_eq!(published(4, &[1_000_000, 4, 5]), 6, "it follows the second of four");
        assert_eq!(published(4, &[7, 7, 7]), 8, "who is late lands with the others");
        assert_eq!(round_published(&policy, None, None), Round(1));
    }

    #[test]
    fn the_bounds_hold_whatever_the_unknown_rounds_are() {
        let policy = fixture::policy();
        let some = [0_u64, 1, 2, 5, 6, 30];
        for own in [None, Some(Round(1)), Some(Round(6))] {
            for known in [&[][..], &[2], &[5, 5], &[1, 9, 4]] {
                let known: Vec<Round> = rounds(known).into_iter().chain(own).collect();
                for (one, other) in some.iter().flat_map(|one| some.iter().map(move |other| (*one, *other))) {
                    let (least, most) = rounds_possible(&policy, own, &known, 2);
                    let all = known.iter().copied().chain(rounds(&[one, other]));
                    let got = round_published(&policy, own, common_round(&policy, all));
                    assert!(least <= got && most.is_none_or(|most| got <= most), "{own:?} {known:?} {one} {other}");
                }
            }
        }
        assert_eq!(rounds_possible(&policy, Some(Round(6)), &rounds(&[6, 7, 7]), 1), (Round(8), Some(Round(8))));
        assert_eq!(rounds_possible(&policy, None, &rounds(&[6]), 0), (Round(7), Some(Round(7))));
        assert_eq!(rounds_possible(&policy, None, &rounds(&[6]), 1), (Round(4), None));
    }
}
