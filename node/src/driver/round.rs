//! One round's job: read → merge → train → publish → make durable. It runs on the trainer's thread.

use std::{mem, sync::Arc, thread};

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Payload, f32_view_into, publish},
    base::{BlobHash, NetworkId, limit},
    code::blob_hash,
    engine::{PlannedVoice, RoundPlan, Trained},
    manifest::{Phase, Policy},
    merge::{self, Merged, Voice},
};

use super::{Work, clock::Clock, fetch::Shape, larder::Larder};
use crate::{
    store::{Store, StoreError, TrainState, WeakStore},
    train::{Outcome, Plan, Trainer},
};

/// A round to work on.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) plan: RoundPlan,
    pub(super) network: NetworkId,
    pub(super) policy: Arc<Policy>,
    pub(super) shape: Arc<Shape>,
}

/// Why a round did not end in a publication.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    /// A payload is not where the engine believes it; fetch it again.
    #[error("payload {hash} could not be read: {why}")]
    Payload { hash: BlobHash, why: String },
    /// The training state is gone.
    #[error("{why}")]
    State { payload: BlobHash, why: String },
    /// Anything that a later attempt may mend.
    #[error("{0}")]
    Failed(String),
    /// The node was stopped meanwhile.
    #[error("the node was stopped")]
    Stopped,
}

/// What the thread keeps from round to round.
pub(super) struct Desk {
    pub(super) trainer: Box<dyn Trainer>,
    pub(super) store: WeakStore,
    pub(super) larder: Arc<Larder>,
    pub(super) clock: Clock,
    pub(super) threads: usize,
    /// State after our own last publication; `None`: on disk.
    pub(super) carried: Option<Carried>,
    /// What training starts from, and then room to encode in: memory that every round uses again.
    pub(super) start: Vec<f32>,
}

/// What goes on from our publication `payload`.
pub(super) struct Carried {
    payload: BlobHash,
    momentum: Option<merge::State>,
    /// Without momentum: the memory of the last merge.
    spare: Vec<i64>,
    residual: Vec<f32>,
}

/// A merge, and its state as a blob if it is to be published.
struct Base {
    merged: Merged,
    checkpoint: Option<Bytes>,
}

impl Desk {
    /// Works on a round. After an error the state on disk is that of our last publication, and is read from there.
    pub(super) fn round(&mut self, job: &Job) -> Result<(Trained, Work), RoundError> {
        let began = self.clock.micros();
        let mut carried = self.take_up(job)?;
        let mut residual = mem::take(&mut carried.residual);
        let base = self.merge(job, carried)?;
        let mut start = mem::take(&mut self.start);
        f32_view_into(&base.merged.values, &mut start);
        let (round, phase) = (base.merged.round, base.merged.phase);
        let merged_at = self.clock.micros();
        let steps = fit(&job.policy, &job.plan, self.trainer.step_ms());
        let outcome = self.trainer.round(&start, &Plan { round, phase, steps });
        self.start = start;
        let trained_at = self.clock.micros();
        let outcome = outcome.map_err(|error| RoundError::Failed(error.to_string()))?;
        let payload = encode(job, phase, &base.merged.values, &outcome, &mut residual, &mut self.start)?;
        let trained = self.keep(base, residual, &outcome, &payload)?;
        let work = Work {
            round,
            merge_us: merged_at - began,
            train_us: trained_at - merged_at,
            keep_us: self.clock.micros() - trained_at,
        };
        Ok((trained, work))
    }

    /// The state that belongs to our last publication, or a fresh one.
    fn take_up(&mut self, job: &Job) -> Result<Carried, RoundError> {
        let values = job.shape.layout.len();
        let Some(own) = &job.plan.own else {
            self.carried = None;
            self.trainer.reset();
            let payload = BlobHash([0; 32]);
            return Ok(Carried { payload, momentum: None, spare: Vec::new(), residual: vec![0.0; values] });
        };
        let payload = own.payload.hash;
        if let Some(carried) = self.carried.take().filter(|carried| carried.payload == payload) {
            return Ok(carried);
        }
        let lost = |why: String| RoundError::State { payload, why };
        let state = self.store()?.load_state(&payload, values).map_err(|error| lost(error.to_string()))?;
        let state = state.ok_or_else(|| lost("its file is not there".into()))?;
        if let Err(error) = self.trainer.load(&state.trainer) {
            // The rest of the state is what merges depend on; a trainer finds its pace again.
            tracing::warn!(%error, "the optimiser's part of the training state cannot be used: it starts afresh");
            self.trainer.reset();
        }
        Ok(Carried { payload, momentum: state.momentum, spare: Vec::new(), residual: state.residual })
    }

    fn merge(&self, job: &Job, carried: Carried) -> Result<Base, RoundError> {
        let store = self.store()?;
        let voice = |planned: &PlannedVoice| self.voice(&store, job, planned);
        let own = job.plan.own.as_ref().map(voice).transpose()?;
        let others = job.plan.others.iter().map(voice).collect::<Result<Vec<_>, _>>()?;
        let merged = merge::perform(merge::Plan {
            network: job.network,
            policy: &job.policy,
            layout: &job.shape.layout,
            own: own.as_ref(),
            others: &others,
            state: carried.momentum,
            spare: carried.spare,
            threads: self.threads,
        });
        // What is no longer needed leaves the memory before more comes.
        drop((own, others));
        self.larder.clear();
        let merged = merged.map_err(|error| RoundError::Failed(error.to_string()))?;
        let checkpoint = if job.plan.checkpoint { merged.checkpoint() } else { None };
        Ok(Base { merged, checkpoint })
    }

    fn voice(&self, store: &Store, job: &Job, planned: &PlannedVoice) -> Result<Voice, RoundError> {
        let hash = planned.payload.hash;
        let lost = |why: String| RoundError::Payload { hash, why };
        let payload = match self.larder.take(&hash) {
            Some(payload) => payload,
            None => {
                // Hashed again: a disk that forgets would have us sign a merge that nobody can recompute.
                let bytes = store.read_verified(&hash).map_err(|error| lost(error.to_string()))?;
                Payload::check(&job.shape.layout, job.shape.codec, bytes).map_err(|error| lost(error.to_string()))?
            }
        };
        Ok(Voice { member: planned.member, record: planned.record, round: planned.round, payload })
    }

    /// Makes payload, checkpoint and training state durable, side by side.
    fn keep(
        &mut self,
        base: Base,
        residual: Vec<f32>,
        outcome: &Outcome,
        payload: &Payload,
    ) -> Result<Trained, RoundError> {
        let store = self.store()?;
        let Base { merged, checkpoint } = base;
        let Merged { round, phase, used, out_of_reach, values, momentum, state: named, hash: merge, .. } = merged;
        let hash = blob_hash(payload.bytes());
        let (momentum, spare) = match momentum {
            Some(v) => (Some(merge::State { x: values, v }), Vec::new()),
            None => (None, values),
        };
        let trainer = self.trainer.save().map_err(|error| RoundError::Failed(error.to_string()))?;
        let state = TrainState { round, momentum, residual, trainer };
        let failed = |error: StoreError| RoundError::Failed(error.to_string());
        let (body, written) = thread::scope(|scope| {
            let writing = scope.spawn(|| store.put_state(&hash, &state));
            let body = store.put_named_blob(hash, payload.bytes());
            (body, writing.join())
        });
        let body = body.map_err(failed)?;
        written.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed)?;
        let checkpoint = checkpoint.map(|bytes| store.put_named_blob(named, &bytes)).transpose().map_err(failed)?;
        self.larder.keep(hash, payload);
        let TrainState { momentum, residual, .. } = state;
        self.carried = Some(Carried { payload: hash, momentum, spare, residual });
        Ok(Trained {
            round,
            phase,
            used,
            out_of_reach,
            merge,
            payload: body,
            state: checkpoint,
            steps: outcome.steps,
            examples: outcome.examples,
            loss_before_micro: outcome.loss_before.and_then(micro),
            loss_after_micro: outcome.loss_after.and_then(micro),
            privacy: None,
            dataset: self.trainer.dataset(),
            wall: self.clock.wall(),
        })
    }

    fn store(&self) -> Result<Store, RoundError> {
        self.store.upgrade().ok_or(RoundError::Stopped)
    }
}

fn encode(
    job: &Job,
    phase: Phase,
    merged: &[i64],
    outcome: &Outcome,
    residual: &mut Vec<f32>,
    spare: &mut Vec<f32>,
) -> Result<Payload, RoundError> {
    let (layout, policy) = (&job.shape.layout, &job.policy);
    let published = publish(layout, policy.codec, phase, policy.norm_bound, merged, &outcome.values, residual, spare)
        .map_err(|error| RoundError::Failed(error.to_string()))?;
    tracing::debug!(norm = published.norm, shrink = published.shrink, "encoded");
    Ok(published.payload)
}

/// Steps that fit the round's duration, within the plan's bounds.
fn fit(policy: &Policy, plan: &RoundPlan, step_ms: Option<f64>) -> u64 {
    let (min, max) = (plan.steps.min, plan.steps.max.max(plan.steps.min));
    match step_ms {
        _ if policy.round_ms == 0 => max,
        // A float beyond u64 saturates, a NaN becomes 0.
        Some(ms) if ms > 0.0 => ((policy.round_ms as f64 / ms) as u64).clamp(min, max),
        // Not known before the first step.
        _ => min,
    }
}

/// Nats as millionths; `None` if it is no loss.
fn micro(nats: f64) -> Option<u64> {
    let micro = (nats * 1e6).round();
    (micro >= 0.0 && micro <= limit::UINT_MAX as f64).then_some(micro as u64)
}

#[cfg(test)]
mod tests {
    use super::micro;

    #[test]
    fn a_loss_that_is_no_number_is_left_out() {
        assert_eq!(micro(1.234_567_8), Some(1_234_568));
        for odd in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(micro(odd), None, "{odd}");
        }
    }
}
