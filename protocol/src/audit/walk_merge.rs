//! One update's merge in its author's walk: recomputed, counted, and what is to be said of it.

use std::io;

use super::{
    light::Light,
    remerge::{Case, Inputs, Known, Outcome, Unchecked, remerge},
    walk::Walker,
    withheld::Lacking,
};
use crate::{
    adapter::Payload,
    admit::Parent,
    feed::{Flaw, Record, Update},
    manifest::Manifest,
};

impl Walker<'_> {
    /// Recomputes the merge, and what follows from it; gives how far training moved it.
    pub(super) fn merge(
        &mut self,
        (light, record, update): (&Light, &Record, &Update),
        (inputs, facts, ruled): (Inputs<'_>, &[Option<Parent>], bool),
        manifest: &Manifest,
        payload: Option<&Payload>,
    ) -> io::Result<Option<u128>> {
        if !self.audit.recompute {
            return Ok(None);
        }
        let own = self.last.map(|last| last.id).zip(self.payload.as_ref());
        let parents = if let Inputs::Known(parents) = inputs { parents } else { &[] };
        let case = Case { audit: self.audit, light, update, parents, manifest, own, payload, ruled };
        let known = self.state.take();
        let starts_as_said = starts_as_said(&case, known.as_ref());
        let undrawn = matches!(inputs, Inputs::Undrawn);
        let mut outcome = match inputs {
            Inputs::Known(_) => remerge(&case, known)?,
            Inputs::Incomplete => Outcome::lacking("MRG-003", Unchecked::Parent),
            Inputs::Undrawn => Outcome::default(),
        };
        if outcome.failed() && starts_as_said {
            self.walk.wrong.push(light.id);
        }
        let as_said = ruled && !outcome.failed();
        let by_pruning = |why| self.audit.is_by_pruning(why, self.lost_by_pruning);
        let pruned =
            outcome.incomplete.iter().any(|(code, why)| matches!(*code, "MRG-003" | "MRG-008") && by_pruning(*why));
        if !outcome.merged {
            case.take_up(record, facts, pruned, &mut outcome)?;
            case.judge_partial(&mut outcome);
        }
        let warn = outcome.since.is_some_and(|since| since.pruned);
        self.count(light, &outcome, undrawn);
        // Where something is not here, nobody can say that all is in order.
        let is_whole = outcome.merged && outcome.incomplete.is_empty() && payload.is_some();
        if outcome.failed() {
            self.find(light, Flaw::Merge, true);
        } else if is_whole && outcome.since.is_none() && starts_as_said {
            self.find(light, Flaw::Merge, false);
        }
        let bounded = outcome.bounded;
        for (code, why) in outcome.incomplete {
            match code {
                "MRG-003" if pruned => self.pruned(light, why, bounded),
                "MRG-008" if self.audit.is_by_pruning(why, false) => {
                    self.walk.notes.run("MRG-011", &light.place(), why);
                }
                "MRG-012" if warn => self.pruned(light, why, false),
                "MRG-003" | "MRG-012" => self.walk.withheld.add(light.place(), Lacking::Merge(why, bounded)),
                _ => self.walk.notes.run(code, &light.place(), why),
            }
        }
        for (code, text) in outcome.failures {
            self.fail(light, code, text);
        }
        let since = outcome.since;
        self.state = outcome.state.map(|state| Known { id: light.id, state, since, as_said });
        self.lost_by_pruning = pruned && self.state.is_none();
        Ok(outcome.moved2)
    }

    /// Counts a merge by what came of it.
    fn count(&mut self, light: &Light, outcome: &Outcome, undrawn: bool) {
        let tally = &mut self.walk.counts.merges;
        match (outcome.merged, outcome.since) {
            _ if outcome.failed() || undrawn => tally.failed += 1,
            (true, None) => tally.ok += 1,
            (true, Some(_)) => tally.unverified += 1,
            (false, _) => tally.missing += 1,
        }
        let unchecked = !outcome.failed() && !undrawn && (!outcome.merged || outcome.since.is_some());
        if unchecked && self.audit.is_attested(&light.id, &light.member) {
            self.walk.counts.merges.attested += 1;
        }
    }

    /// A merge that could not be recomputed for nothing but what the policy no longer keeps, as is allowed.
    fn pruned(&mut self, light: &Light, why: Unchecked, bounded: bool) {
        let attesters = || self.audit.attesters(&light.id, &light.member);
        self.walk.notes.run_merge("MRG-011", &light.place(), why, bounded, attesters);
    }
}

/// Whether whoever recomputes the merge from what its author's record before says starts from where the audit does.
fn starts_as_said(case: &Case<'_>, known: Option<&Known>) -> bool {
    let own = case.parents.iter().find(|parent| parent.member == case.light.member);
    own.filter(|_| case.manifest.policy.momentum > 0)
        .is_none_or(|own| known.is_some_and(|known| known.id == own.id && known.since.is_none() && known.as_said))
}
