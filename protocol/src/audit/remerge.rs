//! One merge, done again from the published payloads, and what its author published on top of it.

use std::{fmt, io};

use super::{blob::Lack, light::Light, shared::Audit};
use crate::{
    adapter::{Payload, check_frozen, within_bound},
    base::{MemberId, RecordId, Round},
    code::blob_hash,
    feed::{Kind, SkipReason, Update},
    manifest::{Codec, Manifest},
    merge::{Merged, Plan, State, Voice, perform},
};

/// An update whose merge is to be recomputed. It fetched no more than the policy's draw: so many payloads, the author's last one and
/// the one published are all that are held.
pub(super) struct Case<'a> {
    pub(super) audit: &'a Audit<'a>,
    pub(super) light: &'a Light,
    pub(super) update: &'a Update,
    /// All of the record's parents.
    pub(super) parents: &'a [Light],
    pub(super) manifest: &'a Manifest,
    /// The author's last publication, if it is at hand.
    pub(super) own: Option<(RecordId, &'a Payload)>,
}

/// What an update merged.
pub(super) enum Inputs<'a> {
    /// All of its parents.
    Known(&'a [Light]),
    /// Some are not in the archive.
    Incomplete,
    /// Others than the draw names, or more: they are not looked at.
    Undrawn,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    /// Whether the merge was recomputed.
    pub(super) merged: bool,
    /// Codes and texts.
    pub(super) failures: Vec<(&'static str, String)>,
    /// What could not be checked.
    pub(super) incomplete: Vec<(&'static str, Unchecked)>,
    /// The momentum state after the merge.
    pub(super) state: Option<State>,
    /// ‖P − M‖² of what was published on top of it, in units of 2⁻⁶⁴.
    pub(super) moved2: Option<u128>,
}

/// Why a merge, or a part of it, could not be checked. Put into words only for a finding that stands: where payloads are pruned,
/// nearly every record has one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unchecked {
    /// Which parents is not known.
    Parent,
    Momentum,
    /// Of a member's publication for a round.
    Payload(MemberId, Round),
    /// Of a member left out as too distant.
    Distant(MemberId),
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("a parent is not in the archive"),
            Self::Momentum => f.write_str("the momentum state before it is not known"),
            Self::Payload(member, round) => write!(f, "the payload of {member} for round {round} is not usable"),
            Self::Distant(member) => {
                write!(f, "the publication of {member} that was left out as too distant is not at hand")
            }
        }
    }
}

impl Outcome {
    pub(super) fn lacking(code: &'static str, why: Unchecked) -> Self {
        Self { incomplete: vec![(code, why)], ..Self::default() }
    }

    fn wrong(code: &'static str, text: impl Into<String>) -> Self {
        Self { failures: vec![(code, text.into())], ..Self::default() }
    }

    pub(super) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// Recomputes the merge. `state` is the momentum state after the merge of the record named; `payload` what the record
/// published.
pub(super) fn remerge(
    case: &Case<'_>,
    state: Option<(RecordId, State)>,
    payload: Option<&Payload>,
) -> io::Result<Outcome> {
    let own_parent = case.parents.iter().find(|parent| parent.member == case.light.member);
    let momentum = case.manifest.policy.momentum > 0;
    let state = match own_parent {
        Some(own) if momentum => match state.filter(|(id, _)| *id == own.id) {
            Some((_, state)) => Some(state),
            None => return Ok(Outcome::lacking("MRG-003", Unchecked::Momentum)),
        },
        _ => None,
    };
    let mut others = Vec::new();
    let mut own = None;
    for parent in case.parents {
        let Some(voice) = voice(case, parent)? else {
            return Ok(Outcome::lacking("MRG-003", Unchecked::Payload(parent.member, round(parent))));
        };
        if parent.member == case.light.member {
            own = Some(voice);
        } else {
            others.push(voice);
        }
    }
    let mut outcome = Outcome::default();
    let mut far = distant(case, &mut outcome)?;
    if own.is_none() && !outcome.incomplete.is_empty() {
        // The middle of all that were fetched is not known without one of them.
        return Ok(outcome);
    }
    let mut claimed: Vec<MemberId> = far.iter().map(|voice| voice.member).collect();
    others.append(&mut far);
    let merged = match run(case, own.as_ref(), &others, state) {
        Ok(merged) => merged,
        Err(text) => return Ok(Outcome::wrong("MRG-001", text)),
    };
    outcome.merged = true;
    if let Some(text) = reach_differs(&merged, &mut claimed) {
        outcome.failures.push(("MRG-002", text));
    }
    if outcome.failures.is_empty() && merged.hash != case.update.merge {
        let text = format!("recomputed {}, the record says {}", merged.hash, case.update.merge);
        outcome.failures.push(("MRG-001", text));
    }
    if outcome.failures.is_empty() {
        published(case, &merged, payload, &mut outcome);
    }
    match merged.momentum {
        Some(v) => outcome.state = Some(State { x: merged.values, v }),
        None => case.audit.pool.give(merged.values),
    }
    Ok(outcome)
}

/// Those left out for their distance, as the record names them, and whether others were that are not at hand.
fn distant(case: &Case<'_>, outcome: &mut Outcome) -> io::Result<Vec<Voice>> {
    let mut far = Vec::new();
    for skip in case.update.skipped.iter().filter(|skip| skip.reason == SkipReason::Distance) {
        let Some(member) = case.manifest.member_at(skip.member) else { continue };
        let named = skip.record.and_then(|id| case.audit.index.by_id(&id));
        let meant = named.filter(|light| light.member == member && light.kind == Kind::Update);
        let voice = match meant {
            Some(light) => voice(case, &light)?,
            None => None,
        };
        match voice {
            Some(voice) => far.push(voice),
            None => outcome.incomplete.push(("MRG-008", Unchecked::Distant(member))),
        }
    }
    Ok(far)
}

fn run(case: &Case<'_>, own: Option<&Voice>, others: &[Voice], state: Option<State>) -> Result<Merged, String> {
    let spare = if state.is_none() { case.audit.pool.take() } else { Vec::new() };
    perform(Plan {
        network: case.audit.network,
        policy: &case.manifest.policy,
        layout: case.audit.rules.layout(),
        own,
        others,
        state,
        spare,
        threads: case.audit.threads,
    })
    .map_err(|error| error.to_string())
}

/// Whether others are out of reach than the record says.
fn reach_differs(merged: &Merged, claimed: &mut [MemberId]) -> Option<String> {
    let mut found = merged.out_of_reach.clone();
    found.sort_unstable();
    claimed.sort_unstable();
    if found == claimed {
        return None;
    }
    let names = |members: &[MemberId]| {
        let names: Vec<String> = members.iter().map(ToString::to_string).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    Some(format!("out of reach: {}; the record says {}", names(&found), names(claimed)))
}

/// Checks what the author published on top of the merge.
fn published(case: &Case<'_>, merged: &Merged, payload: Option<&Payload>, outcome: &mut Outcome) {
    let (policy, layout) = (&case.manifest.policy, case.audit.rules.layout());
    if let Some(payload) = payload {
        let moved2 = payload.distance2_q32(&merged.values, layout);
        outcome.moved2 = Some(moved2);
        if !within_bound(moved2, policy.norm_bound) {
            let text = format!("the payload lies farther than {} / 65536 from the merge", policy.norm_bound);
            outcome.failures.push(("MRG-004", text));
        }
        if !check_frozen(layout, policy.codec, case.update.phase, &merged.values, payload) {
            let text = format!("phase {:?} freezes a factor that differs from the merge", case.update.phase);
            outcome.failures.push(("MRG-005", text));
        }
    }
    if let Some(claimed) = case.update.state {
        let got = merged.checkpoint().map(|bytes| blob_hash(&bytes));
        if got != Some(claimed.hash) {
            let text = match got {
                Some(got) => format!("the state after this merge has the hash {got}, the record says {}", claimed.hash),
                None => "the policy has no momentum, so there is no state".to_owned(),
            };
            outcome.failures.push(("MRG-006", text));
        }
    }
}

fn round(light: &Light) -> Round {
    light.round.unwrap_or_default()
}

/// A publication, if its payload is usable. Why not, its author's own walk says.
fn voice(case: &Case<'_>, light: &Light) -> io::Result<Option<Voice>> {
    let known = case.own.filter(|(id, _)| *id == light.id).map(|(_, payload)| payload.clone());
    let payload = match (known, light.body) {
        (Some(payload), _) => Ok(payload),
        (None, Some(body)) => {
            let codec = light.codec.unwrap_or(Codec::Bfp16);
            case.audit.payloads.read(case.audit.source, case.audit.rules.layout(), body, codec)?
        }
        (None, None) => Err(Lack::Missing),
    };
    Ok(payload.ok().map(|payload| Voice { member: light.member, record: light.id, round: round(light), payload }))
}
