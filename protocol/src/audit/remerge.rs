//! One merge, done again from the published payloads, and what its author published on top of it.

use std::{fmt, io};

use super::{
    blob::Lack,
    drawn,
    light::{Light, Stand},
    walk::Audit,
};
use crate::{
    adapter::{Payload, check_frozen, within_bound},
    base::{MemberId, RecordId, Round},
    code::blob_hash,
    feed::{Kind, SkipReason, Update},
    manifest::{Codec, Manifest},
    merge::{self, Merged, Plan, State, Voice, perform},
};

/// How many publications are tried for a member that was left out as too distant, and how many combinations of such.
const TRIES: usize = 16;

/// An update whose merge is to be recomputed.
pub(super) struct Case<'a> {
    pub(super) audit: &'a Audit<'a>,
    pub(super) light: &'a Light,
    pub(super) update: &'a Update,
    /// All of the record's parents.
    pub(super) parents: &'a [Light],
    /// The draw.
    pub(super) order: &'a [MemberId],
    pub(super) manifest: &'a Manifest,
    /// The author's last publication, if it is at hand.
    pub(super) own: Option<(RecordId, &'a Payload)>,
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
    /// Which publications of members left out were meant.
    Choice,
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("a parent is not in the archive"),
            Self::Momentum => f.write_str("the momentum state before it is not known"),
            Self::Payload(member, round) => write!(f, "the payload of {member} for round {round} is not usable"),
            Self::Distant(member) => write!(f, "no publication of {member}, left out as too distant, is at hand"),
            Self::Choice => f.write_str("which publications were left out as too distant could not be found out"),
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
    let (merged, mut outcome) = match &own {
        Some(own) => with_own(case, own, others, state)?,
        None => afresh(case, others)?,
    };
    let Some(merged) = merged else { return Ok(outcome) };
    outcome.merged = true;
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

type Attempt = (Option<Merged>, Outcome);

/// With an own publication each member left out as too distant is judged by itself.
fn with_own(case: &Case<'_>, own: &Voice, mut others: Vec<Voice>, state: Option<State>) -> io::Result<Attempt> {
    let (policy, layout) = (&case.manifest.policy, case.audit.rules.layout());
    let mut outcome = Outcome::default();
    let mut far = Vec::new();
    for member in distant(case) {
        let candidates = Candidates::of(case, member, own.round)?;
        let apart = |voice: &Voice| !within_bound(own.payload.distance2(&voice.payload, layout), policy.reach);
        match candidates.voices.into_iter().find(apart) {
            Some(voice) => {
                far.push(member);
                others.push(voice);
            }
            None if candidates.more => {
                outcome.incomplete.push(("MRG-008", Unchecked::Distant(member)));
            }
            None => {
                let text = format!("every publication of {member} that may be meant is within reach");
                outcome.failures.push(("MRG-002", text));
            }
        }
    }
    match run(case, Some(own), others, state) {
        Ok(merged) => {
            if let Some(text) = reach_differs(&merged, &far) {
                outcome.failures.push(("MRG-002", text));
            }
            Ok((Some(merged), outcome))
        }
        Err(text) => Ok((None, Outcome::wrong("MRG-001", text))),
    }
}

/// Without one, the reference is the medoid of all that were fetched: the combination that the author saw is searched for.
fn afresh(case: &Case<'_>, others: Vec<Voice>) -> io::Result<Attempt> {
    let distant: Vec<MemberId> = distant(case).collect();
    let newest = others.iter().map(|voice| voice.round).max().unwrap_or_default();
    let mut sets = Vec::new();
    let mut more = false;
    for member in &distant {
        let candidates = Candidates::of(case, *member, newest)?;
        more |= candidates.more;
        if candidates.voices.is_empty() {
            return Ok((None, Outcome::lacking("MRG-003", Unchecked::Distant(*member))));
        }
        sets.push(candidates.voices);
    }
    let combinations = sets.iter().map(Vec::len).fold(1_usize, usize::saturating_mul);
    let mut first = None;
    for number in 0..combinations.min(TRIES) {
        let mut voices = others.clone();
        voices.extend(combination(&sets, number));
        match run(case, None, voices, None) {
            Ok(merged) if reach_differs(&merged, &distant).is_none() && merged.hash == case.update.merge => {
                return Ok((Some(merged), Outcome::default()));
            }
            Ok(merged) => {
                first.get_or_insert(merged);
            }
            Err(text) if combinations == 1 => return Ok((None, Outcome::wrong("MRG-001", text))),
            Err(_) => {}
        }
    }
    if more || combinations > TRIES {
        return Ok((None, Outcome::lacking("MRG-008", Unchecked::Choice)));
    }
    match first {
        Some(merged) => {
            let differs = reach_differs(&merged, &distant);
            let outcome = differs.map_or_else(Outcome::default, |text| Outcome::wrong("MRG-002", text));
            Ok((Some(merged), outcome))
        }
        None => Ok((None, Outcome::wrong("MRG-001", "no combination of publications can be merged as it says"))),
    }
}

/// The `number`th choice of one voice of each set, in mixed radix.
fn combination(sets: &[Vec<Voice>], mut number: usize) -> Vec<Voice> {
    let mut chosen = Vec::new();
    for set in sets {
        chosen.extend(set.get(number % set.len().max(1)).cloned());
        number /= set.len().max(1);
    }
    chosen
}

fn run(case: &Case<'_>, own: Option<&Voice>, mut others: Vec<Voice>, state: Option<State>) -> Result<Merged, String> {
    let spare = if state.is_none() { case.audit.pool.take() } else { Vec::new() };
    others.sort_by_key(|voice| case.order.iter().position(|member| *member == voice.member));
    perform(Plan {
        network: case.audit.network,
        policy: &case.manifest.policy,
        layout: case.audit.rules.layout(),
        own,
        others: &others,
        state,
        spare,
        threads: case.audit.threads,
    })
    .map_err(|error| error.to_string())
}

/// Whether others are out of reach than the record says.
fn reach_differs(merged: &Merged, claimed: &[MemberId]) -> Option<String> {
    if merged.out_of_reach == claimed {
        return None;
    }
    let names = |members: &[MemberId]| {
        let names: Vec<String> = members.iter().map(ToString::to_string).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    Some(format!("out of reach: {}; the record says {}", names(&merged.out_of_reach), names(claimed)))
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

/// Those whom the record leaves out as too distant, in draw order.
fn distant<'a>(case: &'a Case<'_>) -> impl Iterator<Item = MemberId> + 'a {
    let distant = case.update.skipped.iter().filter(|skip| skip.reason == SkipReason::Distance);
    distant.filter_map(|skip| drawn::who(case.manifest, skip))
}

/// What a record may have meant by "too distant": it names the member, not the publication.
struct Candidates {
    voices: Vec<Voice>,
    /// Whether others may have been meant that are not at hand.
    more: bool,
}

impl Candidates {
    /// A member's publications in the window of `base`, those first that are near in logical time.
    fn of(case: &Case<'_>, member: MemberId, base: Round) -> io::Result<Self> {
        let ages = &case.manifest.policy.ages;
        let fits = |light: &Light| {
            light.kind == Kind::Update
                && light.stand != Stand::Loose
                && merge::weight(ages, base, round(light)).is_some()
        };
        let mut lights: Vec<Light> = case.audit.index.of(&member).filter(fits).collect();
        lights.sort_by_key(|light| light.clock.0.abs_diff(case.light.clock.0));
        let mut more = lights.is_empty() || lights.len() > TRIES;
        let mut voices = Vec::new();
        for light in lights.into_iter().take(TRIES) {
            match voice(case, &light)? {
                Some(voice) => voices.push(voice),
                None => more = true,
            }
        }
        Ok(Self { voices, more })
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
