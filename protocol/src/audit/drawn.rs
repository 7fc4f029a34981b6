//! Whether an update merged and skipped exactly those whom the public draw names.

use std::collections::BTreeSet;

use crate::{
    base::{MemberId, limit},
    feed::{Skip, SkipReason},
    manifest::Manifest,
};

/// Checks the peers `used` and `skipped` against `order`, the draw. Each member of the order, from the first on, was used or is
/// listed as skipped, in the order; nobody else was used. Those used and those left out for their distance were fetched, and
/// count: at most `draw` of them. With fewer, the whole order is accounted for, or as much of it as the list of the skipped holds.
///
/// # Errors
/// A code and what was found.
pub(super) fn check(
    order: &[MemberId],
    used: &BTreeSet<MemberId>,
    skipped: &[Skip],
    manifest: &Manifest,
    draw: u64,
) -> Result<(), (&'static str, String)> {
    let (mut merged, mut fetched, mut walked) = (0_usize, 0_u64, 0_usize);
    let mut skips = skipped.iter().peekable();
    for member in order {
        if used.contains(member) {
            merged += 1;
            fetched += 1;
        } else if let Some(skip) = skips.next_if(|skip| who(manifest, skip) == Some(*member)) {
            fetched += u64::from(skip.reason == SkipReason::Distance);
        } else {
            break;
        }
        walked += 1;
    }
    let next = || match order.get(walked) {
        Some(member) => format!("place {walked} of the draw is {member}, who was neither merged nor skipped there"),
        None => "the draw ends there".to_owned(),
    };
    if let Some(skip) = skips.peek() {
        return Err(("DRW-001", format!("member number {} was skipped out of turn: {}", skip.member, next())));
    }
    if merged < used.len() {
        return Err(("DRW-001", format!("{} merged out of turn: {}", used.len() - merged, next())));
    }
    if fetched > draw {
        return Err(("DRW-002", format!("{fetched} peers were drawn, the policy draws {draw}")));
    }
    if fetched < draw && walked < order.len().min(limit::NAMED) {
        return Err(("DRW-003", format!("{fetched} of {draw} peers were drawn; {}", next())));
    }
    Ok(())
}

/// Whom an entry of the list of the skipped means.
pub(super) fn who(manifest: &Manifest, skip: &Skip) -> Option<MemberId> {
    manifest.members.get(usize::try_from(skip.member).ok()?).map(|member| member.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    /// What becomes of the skipped and used places of an order of a hundred, drawing 4.
    fn checked(skipped: &[(usize, SkipReason)], used: &[usize]) -> Result<(), &'static str> {
        let manifest = fixture::genesis(100, fixture::policy());
        let order: Vec<MemberId> = manifest.members.iter().map(|member| member.id).rev().collect();
        let skip =
            |(place, reason): &(usize, SkipReason)| Skip { member: 99 - *place as u64, reason: *reason, record: None };
        let skipped: Vec<Skip> = skipped.iter().map(skip).collect();
        let used = used.iter().map(|place| order[*place]).collect();
        check(&order, &used, &skipped, &manifest, 4).map_err(|(code, _)| code)
    }

    fn absent(places: std::ops::Range<usize>) -> Vec<(usize, SkipReason)> {
        places.map(|place| (place, SkipReason::Absent)).collect()
    }

    #[test]
    fn a_full_list_lets_nobody_be_picked_behind_it() {
        assert_eq!(checked(&absent(0..64), &[]), Ok(()), "no more can be listed");
        assert_eq!(checked(&absent(0..64), &[64, 65]), Ok(()), "in turn");
        assert_eq!(checked(&absent(0..64), &[64, 66]), Err("DRW-001"));
        assert_eq!(checked(&absent(0..64), &[80]), Err("DRW-001"));
    }

    #[test]
    fn who_fetched_fewer_accounts_for_sixty_four_and_who_fetched_all_for_no_more() {
        assert_eq!(checked(&absent(0..63), &[63]), Ok(()));
        assert_eq!(checked(&absent(0..62), &[62]), Err("DRW-003"));
        assert_eq!(checked(&[], &[0, 1, 2, 3]), Ok(()));
        assert_eq!(checked(&[(3, SkipReason::Distance)], &[0, 1, 2]), Ok(()), "the last one fetched was out of reach");
        assert_eq!(checked(&absent(4..100)[..60], &[0, 1, 2, 3]), Ok(()), "more than need be");
        assert_eq!(checked(&[(3, SkipReason::Distance)], &[0, 1, 2, 4]), Err("DRW-002"));
    }
}
