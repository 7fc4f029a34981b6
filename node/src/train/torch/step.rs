//! The loss of a batch, and one optimiser step of an adapter.

use chorale_protocol::manifest::Phase;
use tch::{Device, Kind, Reduction, TchError, Tensor};

use super::{Adam, Factors, Llama, Lora, optim::clip_scale};
use crate::train::{
    DeviceChoice, Dtype, TrainError,
    data::{Batch, IGNORE},
};

/// One optimiser step of an adapter.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Which factors train.
    pub phase: Phase,
    /// The learning rate.
    pub rate: f64,
    /// AdamW's constants.
    pub adam: Adam,
    /// Gradients are shortened to this global norm; 0: never.
    pub clip_norm: f64,
}

impl Step {
    /// Steps along the gradient of the mean loss over all counted labels of `batches`. Returns the summed loss, nats.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] before anything changed; `number` is the step's.
    pub fn take(&self, model: &Llama, lora: &mut Lora, batches: &[Batch], number: u64) -> Result<f64, TrainError> {
        let counted: usize = batches.iter().map(Batch::counted).sum();
        for flat in lora.trained(self.phase) {
            flat.zero_grad();
        }
        let mut sum = 0.0;
        for batch in batches.iter().filter(|batch| batch.counted() > 0) {
            let factors = lora.factors(model.kind(), Some(self.phase))?;
            let loss = loss_sum(model, &factors, batch)?;
            let value = loss.f_double_value(&[])?;
            if !value.is_finite() {
                return Err(TrainError::NotFinite { loss: value, step: number });
            }
            sum += value;
            loss.f_div_scalar(counted as f64)?.f_backward()?;
        }
        let mut trained = lora.trained(self.phase);
        let (norm, scale) = clip_scale(&trained.iter().map(|flat| &**flat).collect::<Vec<_>>(), self.clip_norm)?;
        if !norm.is_finite() {
            return Err(TrainError::NotFinite { loss: norm, step: number });
        }
        for flat in &mut trained {
            flat.step(self.rate, scale, self.adam)?;
        }
        Ok(sum)
    }
}

/// Summed loss of a batch, nats. Output logits are computed for the labels that count only.
///
/// # Errors
/// libtorch fails, for instance for lack of memory.
pub fn loss_sum(model: &Llama, factors: &Factors, batch: &Batch) -> Result<Tensor, TchError> {
    let (hidden, labels) = counted(model, factors, batch)?;
    let logits = model.logits(&hidden)?;
    logits.f_cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Sum, IGNORE, 0.0)
}

/// Hidden states at the labels that count, and those labels.
pub(super) fn counted(model: &Llama, factors: &Factors, batch: &Batch) -> Result<(Tensor, Tensor), TchError> {
    let device = model.device();
    let ids = Tensor::f_from_slice(batch.ids())?.f_view(batch.shape())?.f_to_device(device)?;
    let hidden = model.hidden(&ids, factors, None)?;
    let labels = Tensor::f_from_slice(batch.labels())?;
    if batch.counted() * 8 > batch.labels().len() * 7 {
        // Picking rows would cost more than it saves.
        return Ok((hidden, labels.f_to_device(device)?));
    }
    let places = (0_i64..).zip(batch.labels()).filter(|&(_, &label)| label != IGNORE).map(|(place, _)| place);
    let places = Tensor::f_from_slice(&places.collect::<Vec<_>>())?;
    let labels = labels.f_index_select(0, &places)?.f_to_device(device)?;
    Ok((hidden.f_index_select(0, &places.f_to_device(device)?)?, labels))
}

/// Where to compute, resolved.
///
/// # Errors
/// CUDA was asked for and libtorch has none.
pub fn device(choice: DeviceChoice) -> Result<Device, TrainError> {
    use DeviceChoice as Choice;
    match (choice, tch::Cuda::is_available()) {
        (Choice::Cpu, _) | (Choice::Auto, false) => Ok(Device::Cpu),
        (Choice::Auto | Choice::Cuda, true) => Ok(Device::Cuda(0)),
        (Choice::Cuda, false) => Err(TrainError::Device {
            got: "cuda".into(),
            why: "this libtorch has no CUDA or sees no such device; install the CUDA build of libtorch, or set \
                  device = \"cpu\"",
        }),
    }
}

/// What to compute in.
#[must_use]
pub const fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::Bf16 => Kind::BFloat16,
    }
}
