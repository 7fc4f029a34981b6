//! What an update says of its merge, and of what it published on top of it, held against the publications themselves.

use super::{
    Merged, Plan,
    perform::{MergeError, perform_measured},
};
use crate::{
    adapter::{Layout, Payload, check_frozen, within_bound},
    base::{MemberId, MergeHash},
    manifest::{Phase, Policy},
};

/// What an update says.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Its merge hash.
    pub merge: MergeHash,
    /// What trained.
    pub phase: Phase,
    /// Those left out for their distance.
    pub far: &'a [MemberId],
    /// What it published, if that is at hand.
    pub payload: Option<&'a Payload>,
}

/// A way in which a claim is wrong: a stable code, and a text.
pub type Wrong = (&'static str, String);

/// Does a merge again and holds it against the claim: the merge, if it could be done, and what is wrong.
#[must_use]
pub fn verify(plan: Plan<'_>, claim: &Claim<'_>) -> (Option<Merged>, Vec<Wrong>) {
    let (policy, layout) = (plan.policy, plan.layout);
    let merged: Result<Merged, MergeError> = perform_measured(plan, claim.payload);
    let merged = match merged {
        Ok(merged) => merged,
        Err(error) => return (None, vec![("MRG-001", error.to_string())]),
    };
    let mut wrong: Vec<Wrong> = reach_differs(&merged, claim.far).map(|text| ("MRG-002", text)).into_iter().collect();
    if wrong.is_empty() && merged.hash != claim.merge {
        wrong.push(("MRG-001", format!("recomputed {}, the record says {}", merged.hash, claim.merge)));
    }
    if wrong.is_empty() {
        wrong = check_published((policy, layout), claim, &merged.values, merged.moved2);
    }
    (Some(merged), wrong)
}

/// Checks what was published on top of M [Q.32, layout order], from which it lies `moved2` apart.
#[must_use]
pub fn check_published(
    (policy, layout): (&Policy, &Layout),
    claim: &Claim<'_>,
    merged: &[i64],
    moved2: Option<u128>,
) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if moved2.is_some_and(|moved2| !within_bound(moved2, policy.norm_bound)) {
        let text = format!("the payload lies farther than {} / 65536 from the merge", policy.norm_bound);
        wrong.push(("MRG-004", text));
    }
    let frozen = |payload| check_frozen(layout, policy.codec, claim.phase, merged, payload);
    if claim.payload.is_some_and(|payload| !frozen(payload)) {
        let text = format!("phase {:?} freezes a factor that differs from the merge", claim.phase);
        wrong.push(("MRG-005", text));
    }
    wrong
}

/// Whether others are out of reach than the record says.
fn reach_differs(merged: &Merged, claimed: &[MemberId]) -> Option<String> {
    let (mut found, mut claimed) = (merged.out_of_reach.clone(), claimed.to_vec());
    found.sort_unstable();
    claimed.sort_unstable();
    if found == claimed {
        return None;
    }
    let names = |members: &[MemberId]| {
        let names: Vec<String> = members.iter().map(ToString::to_string).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    Some(format!("out of reach: {}; the record says {}", names(&found), names(&claimed)))
}
