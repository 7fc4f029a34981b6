//! A merge that misses payloads: what its author made of it, held against what reach leaves open.

use super::{
    light::Light,
    remerge::{Case, Outcome},
};
use crate::merge::{Before, Bound, Judged, State, Voice};

/// What is known of a merge without the payloads that are missing.
pub(super) struct Partial {
    /// How far it may lie from the mean of those at hand; needs the author's own last one.
    bound: Option<Bound>,
    /// The momentum state before it, unless that is unverified.
    before: Option<Before>,
}

impl Case<'_> {
    /// Whether what is missing lay within reach of a publication that is named, with weights that are right.
    pub(super) fn can_be_bounded(&self) -> bool {
        let codec = Some(self.manifest.policy.codec);
        let has_own = self.parents.iter().any(|parent| self.is_own(parent));
        self.ruled && has_own && self.parents.iter().all(|parent| parent.codec == codec)
    }

    fn is_own(&self, parent: &Light) -> bool {
        parent.member == self.light.member
    }

    /// Of the parents' publications, in their order, as far as they are at hand; and of the momentum state before.
    pub(super) fn partial(&self, voices: &[Option<Voice>], before: Option<State>) -> Option<Partial> {
        if !self.can_be_bounded() {
            return None;
        }
        let policy = &self.manifest.policy;
        let (mut own, mut others, mut missing) = (None, Vec::new(), 0_u64);
        for ((parent, weight), voice) in self.parents.iter().zip(&self.update.weights).zip(voices) {
            match voice {
                Some(voice) if self.is_own(parent) => own = Some((voice.payload.clone(), *weight)),
                Some(voice) => others.push((voice.payload.clone(), *weight)),
                None => missing = missing.saturating_add(*weight),
            }
        }
        let bound = own.and_then(|own| Bound::new((policy, self.audit.rules.layout()), own, others, missing));
        Some(Partial { bound, before: before.and_then(|state| Before::new(policy, state)) })
    }

    /// Judges what the author made of a merge that misses payloads: with momentum the state that was taken up from its checkpoint, else
    /// what it published. What cannot be is not gone on from.
    pub(super) fn judge_partial(&self, outcome: &mut Outcome) {
        let Some(Partial { bound, before }) = outcome.partial.take() else { return };
        let (policy, layout) = (&self.manifest.policy, self.audit.rules.layout());
        let judged = if policy.momentum == 0 {
            bound.zip(self.payload).map(|(bound, payload)| bound.judge(policy.norm_bound, payload, layout))
        } else {
            let taken_up = before.zip(outcome.state.as_ref());
            taken_up.map(|(before, state)| before.judge(state, bound.as_ref(), layout))
        };
        match judged {
            Some(Judged::Broken(why)) => {
                outcome.failures.push(("MRG-013", why.to_owned()));
                (outcome.state, outcome.since) = (None, None);
            }
            Some(Judged::Kept) => outcome.bounded = true,
            Some(Judged::Open) | None => {}
        }
    }
}
