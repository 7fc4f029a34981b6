//! Whether an update merged and skipped exactly those whom the public draw names.

use std::collections::BTreeSet;

use crate::{
    base::{MemberId, limit},
    feed::{Skip, SkipReason},
    manifest::Manifest,
};

/// Checks the peers `used` and `skipped` against `order`, the draw. Each member of the order, from the first on, was used or is
/// listed as skipped, in the order; nobody else was used. Those used and those left out for their distance were fetched, and
/// count: at most `draw` of them. With fewer, the whole order is accounted for, as far as the list of the skipped reaches.
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
    let full = skipped.len() >= limit::SKIPPED;
    let (mut merged, mut fetched, mut walked) = (0_usize, 0_u64, 0_usize);
    let mut skips = skipped.iter().peekable();
    for member in order {
        if used.contains(member) {
            merged += 1;
            fetched += 1;
        } else if let Some(skip) = skips.next_if(|skip| who(manifest, skip) == Some(*member)) {
            fetched += u64::from(skip.reason == SkipReason::Distance);
        } else if !full || skips.peek().is_some() {
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
    if fetched < draw && walked < order.len() && !full {
        return Err(("DRW-003", format!("{fetched} of {draw} peers were drawn; {}", next())));
    }
    Ok(())
}

/// Whom an entry of the list of the skipped means.
pub(super) fn who(manifest: &Manifest, skip: &Skip) -> Option<MemberId> {
    manifest.members.get(usize::try_from(skip.member).ok()?).map(|member| member.id)
}
