//! The loss of a batch.

use tch::{Device, Kind, Reduction, TchError, Tensor};

use super::{Factors, Llama};
use crate::train::data::{Batch, IGNORE};

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
pub fn device(choice: crate::train::DeviceChoice) -> Result<Device, crate::train::TrainError> {
    use crate::train::DeviceChoice as Choice;
    match (choice, tch::Cuda::is_available()) {
        (Choice::Cpu, _) | (Choice::Auto, false) => Ok(Device::Cpu),
        (Choice::Auto | Choice::Cuda, true) => Ok(Device::Cuda(0)),
        (Choice::Cuda, false) => Err(crate::train::TrainError::Device {
            got: "cuda".into(),
            why: "this libtorch has no CUDA or sees no such device; install the CUDA build of libtorch, or set \
                  device = \"cpu\"",
        }),
    }
}

/// What to compute in.
#[must_use]
pub const fn kind(dtype: crate::train::Dtype) -> Kind {
    match dtype {
        crate::train::Dtype::F32 => Kind::Float,
        crate::train::Dtype::Bf16 => Kind::BFloat16,
    }
}
