//! A privacy claim against its author's claim before it.

use super::RuleError;
use crate::{
    feed::{Privacy, Update},
    manifest::Policy,
};

/// What is spent stays spent: nothing that a claim counts falls, and what it bounds holds for the steps before, too.
pub(super) fn check(update: &Update, before: Option<Privacy>, policy: &Policy) -> Result<(), RuleError> {
    let (Some(now), Some(before)) = (update.privacy, before) else { return Ok(()) };
    let broken = |what, got, before, rule| Err(RuleError::Claim { what, got, before, rule });
    if now.steps < before.steps {
        return broken("number of steps", now.steps, before.steps, "it does not fall");
    }
    if now.sigma_milli < before.sigma_milli {
        return broken("sigma", now.sigma_milli, before.sigma_milli, "the largest so far does not fall");
    }
    if now.rate_micro > before.rate_micro {
        return broken("sampling rate", now.rate_micro, before.rate_micro, "the smallest so far does not rise");
    }
    let (delta, old) = (now.delta_log10_milli, before.delta_log10_milli);
    if policy.privacy.is_none() && delta != old {
        return broken("delta", delta, old, "it stays, unless the policy sets it");
    }
    if delta >= old && now.epsilon_milli < before.epsilon_milli {
        return broken("epsilon", now.epsilon_milli, before.epsilon_milli, "it does not fall");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, manifest::PrivacyTerms};

    const BEFORE: Privacy = Privacy {
        sigma_milli: 1_100,
        clip_milli: 500,
        rate_micro: 10_000,
        steps: 40,
        epsilon_milli: 3_200,
        delta_log10_milli: 6_000,
    };

    #[test]
    fn a_claim_takes_nothing_back() {
        let chain = fixture::chain(2, fixture::policy());
        let check = |claim: Option<Privacy>, before, policy: &Policy| {
            check(&Update { privacy: claim, ..fixture::update(&chain, 2, 1) }, before, policy).err()
        };
        let open = fixture::policy();
        let terms = PrivacyTerms { delta_log10_milli: 6_000, epsilon_milli: 9_000 };
        let fixed = Policy { privacy: Some(terms), ..fixture::policy() };
        let wrong = |now: Privacy, policy: &Policy| match check(Some(now), Some(BEFORE), policy) {
            Some(RuleError::Claim { what, .. }) => Some(what),
            _ => None,
        };
        for policy in [&open, &fixed] {
            assert_eq!(wrong(BEFORE, policy), None, "a round may cost nothing");
            assert_eq!(wrong(Privacy { clip_milli: 1, ..BEFORE }, policy), None);
            assert_eq!(wrong(Privacy { steps: 39, ..BEFORE }, policy), Some("number of steps"));
            assert_eq!(wrong(Privacy { sigma_milli: 1_099, ..BEFORE }, policy), Some("sigma"));
            assert_eq!(wrong(Privacy { rate_micro: 10_001, ..BEFORE }, policy), Some("sampling rate"));
            assert_eq!(wrong(Privacy { epsilon_milli: 3_199, ..BEFORE }, policy), Some("epsilon"));
            assert!(check(None, Some(BEFORE), policy).is_none() && check(Some(BEFORE), None, policy).is_none());
        }
        let (smaller, larger) =
            (Privacy { delta_log10_milli: 6_001, ..BEFORE }, Privacy { delta_log10_milli: 5_999, ..BEFORE });
        assert_eq!((wrong(smaller, &open), wrong(larger, &open)), (Some("delta"), Some("delta")));
        assert_eq!((wrong(smaller, &fixed), wrong(larger, &fixed)), (None, None), "the policy sets it");
        let cheaper = |claim: Privacy| Privacy { epsilon_milli: 3_000, ..claim };
        assert_eq!(wrong(cheaper(smaller), &fixed), Some("epsilon"), "a smaller delta costs more");
        assert_eq!(wrong(cheaper(larger), &fixed), None, "a larger delta costs less");
    }
}
