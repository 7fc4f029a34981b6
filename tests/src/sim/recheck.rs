//! A simulated node recomputes another's merges.

use chorale_protocol::{
    adapter::Payload,
    engine::{Input, MergeCheck, MergeStep, PlannedVoice, Recheck},
    feed::Body,
    merge::{Claim, Plan, State, Voice, verify},
};

use super::{clock::Event, world::World};

/// How long one takes.
const WORK_MS: u64 = 20;

impl World {
    pub(super) fn recheck(&mut self, node: usize, check: &MergeCheck) {
        let mut state = check.state.as_ref().and_then(|bytes| State::parse(bytes, &self.layout));
        let mut verdict = Recheck::Sound;
        for step in &check.steps {
            match self.recheck_step(node, step, state.take()) {
                Ok(after) => state = after,
                Err(found) => {
                    verdict = found;
                    break;
                }
            }
        }
        let life = self.nodes[node].life;
        let after = WORK_MS * check.steps.len() as u64;
        self.clock.after(after, Event::Input { node, life, input: Box::new(Input::Rechecked(verdict)) });
    }

    fn recheck_step(&self, node: usize, step: &MergeStep, state: Option<State>) -> Result<Option<State>, Recheck> {
        let engine = self.nodes[node].engine.as_ref().expect("it ordered the check");
        let policy = &engine.chain().at(step.manifest_version).expect("the step's version is held").0.policy;
        let payload = |body: Body| {
            let bytes = self.nodes[node].disk.blobs.get(&body.hash).cloned().ok_or(Recheck::Unable)?;
            Payload::check(&self.layout, self.codec, bytes).map_err(|_| Recheck::Unable)
        };
        let voice = |planned: &PlannedVoice| {
            let payload = payload(planned.payload)?;
            Ok(Voice { member: planned.member, record: planned.record, round: planned.round, payload })
        };
        let own = step.own.as_ref().map(voice).transpose()?;
        let others = step.others.iter().map(voice).collect::<Result<Vec<_>, _>>()?;
        let published = payload(step.payload)?;
        let plan = Plan {
            network: self.network(),
            policy,
            layout: &self.layout,
            own: own.as_ref(),
            others: &others,
            state,
            spare: Vec::new(),
            threads: 1,
        };
        let claim = Claim { merge: step.merge, phase: step.phase, far: &step.far, payload: Some(&published) };
        let (merged, wrong) = verify(plan, &claim);
        match (merged, wrong.first()) {
            (Some(merged), None) => Ok(merged.into_state()),
            (_, Some((code, _))) => Err(Recheck::Wrong { record: step.record, code }),
            (None, None) => Err(Recheck::Unable),
        }
    }
}
