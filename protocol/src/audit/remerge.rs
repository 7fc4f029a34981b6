//! One merge, done again from the published payloads, and what its author published on top of it.

use std::{fmt, io};

use super::{
    blob::{self, Lack},
    bound::Partial,
    layout::Name,
    light::Light,
    shared::Audit,
};
use crate::{
    adapter::Payload,
    admit::{Parent, covering},
    base::{MemberId, RecordId, Round, Seq},
    feed::{Kind, Record, SkipReason, Update},
    manifest::{Codec, Manifest},
    merge::{Claim, Merged, Plan, State, Voice, Wrong, check_published, verify},
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
    /// What the record published.
    pub(super) payload: Option<&'a Payload>,
    /// It breaks no rule, so that its weights are right.
    pub(super) ruled: bool,
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
    /// The checkpoint that this rests on, if it rests on one whose merge could not be recomputed.
    pub(super) since: Option<Since>,
    /// ‖P − M‖² of what was published on top of it, in units of 2⁻⁶⁴.
    pub(super) moved2: Option<u128>,
    /// What bounds it, if it misses payloads.
    pub(super) partial: Option<Partial>,
    /// It misses payloads, and what its author made of it lies within the bound.
    pub(super) bounded: bool,
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
    /// Of a member left out as too distant, for a round if the record that is meant is here.
    Distant(MemberId, Option<Round>),
    /// The state before the merge is the author's word: its checkpoint at this place.
    Unverified(Seq),
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("a parent is not in the archive"),
            Self::Momentum => f.write_str("the momentum state before it is not known"),
            Self::Payload(member, round) => write!(f, "the payload of {member} for round {round} is not usable"),
            Self::Distant(member, _) => {
                write!(f, "the publication of {member} that was left out as too distant is not at hand")
            }
            Self::Unverified(since) => {
                write!(
                    f,
                    "the momentum state is what its author says since seq {since}, where the merge was not recomputed"
                )
            }
        }
    }
}

impl Outcome {
    pub(super) fn lacking(code: &'static str, why: Unchecked) -> Self {
        Self { incomplete: vec![(code, why)], ..Self::default() }
    }

    pub(super) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// The momentum state after a record's merge.
pub(super) struct Known {
    /// The record.
    pub(super) id: RecordId,
    pub(super) state: State,
    /// See [`Outcome::since`].
    pub(super) since: Option<Since>,
    /// It is what the record's merge hash covers, and the checkpoint that it names, if it names one. So whoever went on from what the
    /// record says went on from this.
    pub(super) as_said: bool,
}

/// A checkpoint that nobody but its author vouches for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// Its place.
    pub(super) seq: Seq,
    /// Its merge was not recomputed for nothing but what the policy no longer keeps, and that is allowed.
    pub(super) pruned: bool,
}

/// Recomputes the merge. `known` is the newest momentum state of the author.
pub(super) fn remerge(case: &Case<'_>, known: Option<Known>) -> io::Result<Outcome> {
    let own_parent = case.parents.iter().find(|parent| parent.member == case.light.member);
    let momentum = case.manifest.policy.momentum > 0;
    let (state, since) = match own_parent {
        Some(own) if momentum => match known.filter(|known| known.id == own.id) {
            Some(Known { state, since, .. }) => (Some(state), since),
            None => return Ok(Outcome::lacking("MRG-003", Unchecked::Momentum)),
        },
        _ => (None, None),
    };
    let (mut voices, mut lacking) = (Vec::with_capacity(case.parents.len()), None);
    for parent in case.parents {
        let voice = voice(case, parent)?;
        if voice.is_none() && lacking.is_none() {
            lacking = Some(Unchecked::Payload(parent.member, round(parent)));
        }
        voices.push(voice);
        if lacking.is_some() && !case.can_be_bounded() {
            break;
        }
    }
    if let Some(why) = lacking {
        let partial = case.partial(&voices, state.filter(|_| since.is_none()));
        return Ok(Outcome { partial, ..Outcome::lacking("MRG-003", why) });
    }
    let mut others = Vec::new();
    let mut own = None;
    for voice in voices.into_iter().flatten() {
        if voice.member == case.light.member {
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
    let claimed: Vec<MemberId> = far.iter().map(|voice| voice.member).collect();
    others.append(&mut far);
    let (merged, wrong) = run(case, own.as_ref(), &others, &claimed, state);
    outcome.failures.extend(wrong);
    let Some(merged) = merged else { return Ok(Outcome { failures: outcome.failures, ..Outcome::default() }) };
    outcome.merged = true;
    outcome.since = since;
    outcome.incomplete.extend(since.map(|since| ("MRG-012", Unchecked::Unverified(since.seq))));
    if !outcome.failures.iter().any(|(code, _)| matches!(*code, "MRG-001" | "MRG-002")) {
        outcome.moved2 = merged.moved2.filter(|_| since.is_none());
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
        let voice = match &meant {
            Some(light) => voice(case, light)?,
            None => None,
        };
        match voice {
            Some(voice) => far.push(voice),
            None => {
                let round = meant.and_then(|light| light.round);
                outcome.incomplete.push(("MRG-008", Unchecked::Distant(member, round)));
            }
        }
    }
    Ok(far)
}

fn run(
    case: &Case<'_>,
    own: Option<&Voice>,
    others: &[Voice],
    far: &[MemberId],
    state: Option<State>,
) -> (Option<Merged>, Vec<Wrong>) {
    let spare = if state.is_none() { case.audit.pool.take() } else { Vec::new() };
    let plan = Plan {
        network: case.audit.network,
        policy: &case.manifest.policy,
        layout: case.audit.rules.layout(),
        own,
        others,
        state,
        spare,
        threads: case.audit.threads,
    };
    verify(plan, &case.claim(far))
}

impl Case<'_> {
    /// What the record says.
    fn claim<'a>(&'a self, far: &'a [MemberId]) -> Claim<'a> {
        Claim { merge: self.update.merge, phase: self.update.phase, far, payload: self.payload }
    }

    /// Where the merge could not be recomputed, the state that the author says it left: its checkpoint, if that is what the merge
    /// hash covers and what was published may follow from it. Nobody but the author vouches for it.
    pub(super) fn take_up(
        &self,
        record: &Record,
        facts: &[Option<Parent>],
        pruned: bool,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let Some(body) = self.update.state else { return Ok(()) };
        let policy = &self.manifest.policy;
        if covering(record, self.update, facts, policy, &body.hash) != Some(self.update.merge) {
            return Ok(());
        }
        let layout = self.audit.rules.layout();
        let bytes = blob::read(self.audit.source, Name::Blob(body.hash), body)?;
        let Some(state) = bytes.ok().and_then(|bytes| State::parse(&bytes, layout)) else { return Ok(()) };
        let moved2 = self.payload.map(|payload| payload.distance2_q32(&state.x, layout));
        let wrong = check_published((policy, layout), &self.claim(&[]), &state.x, moved2);
        let sound = wrong.is_empty();
        outcome.failures.extend(wrong);
        if sound {
            (outcome.state, outcome.since) = (Some(state), Some(Since { seq: self.light.seq, pruned }));
        }
        Ok(())
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
