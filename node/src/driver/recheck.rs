//! Another member's merges, recomputed beside the round: what it said is held against the publications on disk.

use std::sync::Arc;

use chorale_protocol::{
    adapter::Payload,
    base::NetworkId,
    engine::{Input, MergeCheck, MergeStep, PlannedVoice, Recheck},
    feed::Body,
    manifest::Policy,
    merge::{Claim, Plan, State, Voice, verify},
};
use tokio::{sync::mpsc, task};

use super::fetch::{Kit, Shape};
use crate::store::Store;

/// Merges to recompute, with the policy of each.
pub(super) struct Order {
    pub(super) check: MergeCheck,
    pub(super) network: NetworkId,
    pub(super) policies: Vec<Arc<Policy>>,
    pub(super) shape: Arc<Shape>,
}

/// Starts it on a thread of its own; its end comes by `done`.
pub(super) fn start(kit: &Kit, order: Order, done: mpsc::Sender<Input>) {
    let store = kit.store.downgrade();
    task::spawn(async move {
        // A store that is gone means that the node stops.
        let work = move || store.upgrade().map_or(Recheck::Unable, |store| order.judge(&store));
        let verdict = task::spawn_blocking(work).await.unwrap_or(Recheck::Unable);
        let _ = done.send(Input::Rechecked(verdict)).await;
    });
}

impl Order {
    fn judge(&self, store: &Store) -> Recheck {
        let mut state = match &self.check.state {
            Some(bytes) => match State::parse(bytes, &self.shape.layout) {
                Some(state) => Some(state),
                // What the first merge went on from is not known.
                None => return Recheck::Unable,
            },
            None => None,
        };
        for (step, policy) in self.check.steps.iter().zip(&self.policies) {
            match self.step(store, step, policy, state.take()) {
                Ok(after) => state = after,
                Err(verdict) => return verdict,
            }
        }
        Recheck::Sound
    }

    /// Recomputes one merge from the state before it; gives the one after it.
    fn step(
        &self,
        store: &Store,
        step: &MergeStep,
        policy: &Policy,
        state: Option<State>,
    ) -> Result<Option<State>, Recheck> {
        let lost = || Recheck::Unable;
        let own = step.own.as_ref().map(|own| self.voice(store, own).ok_or_else(lost)).transpose()?;
        let others = step.others.iter().map(|voice| self.voice(store, voice)).collect::<Option<Vec<_>>>();
        let others = others.ok_or_else(lost)?;
        let payload = self.payload(store, step.payload).ok_or_else(lost)?;
        let plan = Plan {
            network: self.network,
            policy,
            layout: &self.shape.layout,
            own: own.as_ref(),
            others: &others,
            state,
            spare: Vec::new(),
            // Training has the others.
            threads: 1,
        };
        let claim = Claim { merge: step.merge, phase: step.phase, far: &step.far, payload: Some(&payload) };
        let (merged, wrong) = verify(plan, &claim);
        match (merged, wrong.into_iter().next()) {
            (Some(merged), None) => Ok(merged.into_state()),
            (_, Some((code, text))) => {
                tracing::warn!(record = %step.record.short(), code, text, "another member's merge is not as it says");
                Err(Recheck::Wrong { record: step.record, code })
            }
            (None, None) => Err(Recheck::Unable),
        }
    }

    fn voice(&self, store: &Store, planned: &PlannedVoice) -> Option<Voice> {
        let payload = self.payload(store, planned.payload)?;
        Some(Voice { member: planned.member, record: planned.record, round: planned.round, payload })
    }

    /// A payload on disk, hashed again: nobody is accused for what our disk forgot.
    fn payload(&self, store: &Store, body: Body) -> Option<Payload> {
        let bytes = store.read_verified(&body.hash).ok()?;
        Payload::check(&self.shape.layout, self.shape.codec, bytes).ok()
    }
}
