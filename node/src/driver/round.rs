//! One round's job: read → merge → train → publish → make durable. It runs on the trainer's thread.

use std::{borrow::Cow, sync::Arc, thread};

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Payload, f32_view, publish},
    base::{BlobHash, NetworkId, limit},
    code::blob_hash,
    engine::{PlannedVoice, RoundPlan, Trained},
    manifest::{Phase, Policy},
    merge::{self, Merged, Voice},
};

use super::{Work, clock::Clock, fetch::Shape, larder::Larder, momentum::Momentum};
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
}

/// What goes on from our publication `payload`.
pub(super) struct Carried {
    payload: BlobHash,
    momentum: Option<Momentum>,
    residual: Vec<f32>,
}

/// A merge. With momentum its values are the momentum's X, and `merged` holds none.
struct Base {
    merged: Merged,
    momentum: Option<Momentum>,
    checkpoint: Option<Bytes>,
}

impl Base {
    fn values(&self) -> Result<Cow<'_, [i64]>, RoundError> {
        match &self.momentum {
            None => Ok(Cow::Borrowed(&self.merged.values)),
            Some(momentum) => momentum.x().ok_or_else(|| RoundError::Failed("the packed momentum is damaged".into())),
        }
    }
}

impl Desk {
    /// Works on a round. After an error the state on disk is that of our last publication, and is read from there.
    pub(super) fn round(&mut self, job: &Job) -> Result<(Trained, Work), RoundError> {
        let began = self.clock.micros();
        let Carried { payload, momentum, mut residual } = self.take_up(job)?;
        let base = self.merge(job, payload, momentum)?;
        let start = f32_view(&base.values()?);
        let (round, phase) = (base.merged.round, base.merged.phase);
        let merged_at = self.clock.micros();
        let steps = fit(&job.policy, &job.plan, self.trainer.step_ms());
        let outcome = self.trainer.round(&start, &Plan { round, phase, steps });
        drop(start);
        let trained_at = self.clock.micros();
        let outcome = outcome.map_err(|error| RoundError::Failed(error.to_string()))?;
        let payload = encode(job, phase, &base.values()?, &outcome, &mut residual)?;
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
            return Ok(Carried { payload: BlobHash([0; 32]), momentum: None, residual: vec![0.0; values] });
        };
        let payload = own.payload.hash;
        if let Some(carried) = self.carried.take().filter(|carried| carried.payload == payload) {
            return Ok(carried);
        }
        let lost = |why: String| RoundError::State { payload, why };
        let state = self.store()?.load_state(&payload, values).map_err(|error| lost(error.to_string()))?;
        let state = state.ok_or_else(|| lost("its file is not there".into()))?;
        self.trainer.load(&state.trainer).map_err(|error| lost(error.to_string()))?;
        Ok(Carried { payload, momentum: state.momentum.map(Momentum::Packed), residual: state.residual })
    }

    fn merge(&self, job: &Job, payload: BlobHash, momentum: Option<Momentum>) -> Result<Base, RoundError> {
        let store = self.store()?;
        let voice = |planned: &PlannedVoice| self.voice(&store, job, planned);
        let own = job.plan.own.as_ref().map(voice).transpose()?;
        let others = job.plan.others.iter().map(voice).collect::<Result<Vec<_>, _>>()?;
        let lost = || RoundError::State { payload, why: "its momentum does not unpack".into() };
        let state = momentum.map(|momentum| momentum.open().ok_or_else(lost)).transpose()?;
        let merged = merge::perform(merge::Plan {
            network: job.network,
            policy: &job.policy,
            layout: &job.shape.layout,
            own: own.as_ref(),
            others: &others,
            state: state.as_ref(),
            threads: self.threads,
        });
        // What is no longer needed leaves the memory before more comes.
        drop((own, others, state));
        self.larder.clear();
        let mut merged = merged.map_err(|error| RoundError::Failed(error.to_string()))?;
        let state = merged.state.take();
        if state.is_some() {
            merged.values = Vec::new();
        }
        let checkpoint = state.as_ref().filter(|_| job.plan.checkpoint).map(merge::State::to_bytes);
        Ok(Base { merged, momentum: state.map(Momentum::new), checkpoint })
    }

    fn voice(&self, store: &Store, job: &Job, planned: &PlannedVoice) -> Result<Voice, RoundError> {
        let hash = planned.payload.hash;
        let lost = |why: String| RoundError::Payload { hash, why };
        let payload = match self.larder.take(&hash) {
            Some(payload) => payload,
            None => {
                let bytes = store.read_blob(&planned.payload).map_err(|error| lost(error.to_string()))?;
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
        let Base { merged, momentum, checkpoint } = base;
        let hash = blob_hash(payload.bytes());
        let trainer = self.trainer.save();
        let failed = |error: StoreError| RoundError::Failed(error.to_string());
        let (body, written) = thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let packed = momentum.as_ref().map(|momentum| momentum.packed().into_owned());
                let state = TrainState { round: merged.round, momentum: packed, residual, trainer };
                store.put_state(&hash, &state).map(|()| state.residual)
            });
            let body = store.put_named_blob(hash, payload.bytes());
            (body, writing.join())
        });
        let body = body.map_err(failed)?;
        let residual = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed)?;
        let checkpoint = checkpoint.map(|bytes| store.put_blob(&bytes)).transpose().map_err(failed)?;
        self.larder.keep(hash, payload);
        self.carried = Some(Carried { payload: hash, momentum, residual });
        Ok(Trained {
            round: merged.round,
            phase: merged.phase,
            used: merged.used,
            out_of_reach: merged.out_of_reach,
            merge: merged.hash,
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
    residual: &mut [f32],
) -> Result<Payload, RoundError> {
    let (layout, policy) = (&job.shape.layout, &job.policy);
    let published = publish(layout, policy.codec, phase, policy.norm_bound, merged, &outcome.values, residual)
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
