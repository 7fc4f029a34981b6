//! AdamW (Loshchilov & Hutter 2019) on many tensors that lie in one flat one.

use tch::{Device, Kind, TchError, Tensor};

/// What AdamW needs besides the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Keeps the denominator from 0.
    pub epsilon: f64,
    /// Decoupled: values shrink by rate · decay in every step.
    pub decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { betas: (0.9, 0.999), epsilon: 1e-8, decay: 0.0 }
    }
}

/// Trainable values in f32, one after the other, with their moments. One tensor means one operation a step, however
/// many parameters there are.
#[derive(Debug)]
pub struct Flat {
    value: Tensor,
    first: Tensor,
    second: Tensor,
    steps: u64,
}

impl Flat {
    /// `length` zeros.
    ///
    /// # Errors
    /// No memory.
    pub fn zeros(length: i64, device: Device) -> Result<Self, TchError> {
        Self::of(&Tensor::f_zeros([length], (Kind::Float, device))?)
    }

    /// These values, with moments of 0.
    ///
    /// # Errors
    /// No memory.
    pub fn of(values: &Tensor) -> Result<Self, TchError> {
        let given = values.f_detach()?.f_to_kind(Kind::Float)?.f_flatten(0, -1)?;
        let (mut value, first, second) = (given.f_zeros_like()?, given.f_zeros_like()?, given.f_zeros_like()?);
        value.f_copy_(&given)?;
        Ok(Self { value: value.f_set_requires_grad(true)?, first, second, steps: 0 })
    }

    /// The trainable tensor.
    pub const fn value(&self) -> &Tensor {
        &self.value
    }

    /// Replaces the values; moments stay.
    ///
    /// # Errors
    /// Another number of them.
    pub fn set(&mut self, values: &[f32]) -> Result<(), TchError> {
        overwrite(&mut self.value, values)
    }

    /// The values.
    ///
    /// # Errors
    /// libtorch cannot copy.
    pub fn values(&self) -> Result<Vec<f32>, TchError> {
        floats(&self.value)
    }

    /// First and second moments and how many steps made them.
    ///
    /// # Errors
    /// libtorch cannot copy.
    pub fn moments(&self) -> Result<(Vec<f32>, Vec<f32>, u64), TchError> {
        Ok((floats(&self.first)?, floats(&self.second)?, self.steps))
    }

    /// Takes up moments.
    ///
    /// # Errors
    /// Another number of them.
    pub fn set_moments(&mut self, first: &[f32], second: &[f32], steps: u64) -> Result<(), TchError> {
        overwrite(&mut self.first, first)?;
        overwrite(&mut self.second, second)?;
        self.steps = steps;
        Ok(())
    }

    /// The square of the gradient's norm; 0 without a gradient.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn gradient2(&self) -> Result<f64, TchError> {
        let gradient = self.value.f_grad()?;
        if !gradient.defined() {
            return Ok(0.0);
        }
        gradient.f_dot(&gradient)?.f_double_value(&[])
    }

    /// Forgets the gradient.
    pub fn zero_grad(&mut self) {
        self.value.zero_grad();
    }

    /// One step along the gradient times `scale`; none without a gradient.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn step(&mut self, rate: f64, scale: f64, adam: Adam) -> Result<(), TchError> {
        let gradient = self.value.f_grad()?;
        if !gradient.defined() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let gradient = if scale < 1.0 { gradient.f_mul_scalar(scale)? } else { gradient };
        let (b1, b2) = adam.betas;
        self.steps += 1;
        let correct = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        let _ = self.first.f_lerp_(&gradient, 1.0 - b1)?;
        let _ = self.second.f_mul_scalar_(b2)?.f_add_(&gradient.f_square()?.f_mul_scalar_(1.0 - b2)?)?;
        if adam.decay > 0.0 {
            let _ = self.value.f_mul_scalar_(1.0 - rate * adam.decay)?;
        }
        let mut root = self.second.f_sqrt()?;
        let denominator = root.f_div_scalar_(correct(b2).sqrt())?.f_add_scalar_(adam.epsilon)?;
        let update = self.first.f_div(&denominator)?.f_mul_scalar_(rate / correct(b1))?;
        let _ = self.value.f_sub_(&update)?;
        Ok(())
    }
}

fn overwrite(tensor: &mut Tensor, values: &[f32]) -> Result<(), TchError> {
    let _guard = tch::no_grad_guard();
    if values.len() != tensor.numel() {
        return Err(TchError::Shape(format!("{} values for {}", values.len(), tensor.numel())));
    }
    tensor.f_copy_(&Tensor::f_from_slice(values)?)
}

pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    Ok(values)
}

/// The global norm of the gradients of `flats`, and the factor that brings it down to `limit` (0: no limit).
pub(super) fn clip_scale(flats: &[&Flat], limit: f64) -> Result<(f64, f64), TchError> {
    let mut square = 0.0;
    for flat in flats {
        square += flat.gradient2()?;
    }
    let norm = square.sqrt();
    Ok((norm, if limit > 0.0 && norm > limit { limit / (norm + 1e-6) } else { 1.0 }))
}
