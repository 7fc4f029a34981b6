//! Rotary position embedding: tables once, then two products a token.

use tch::{Device, Kind, TchError, Tensor};

use super::config::{LlamaConfig, RopeConfig, RopeScaling};

/// Cosines and signed sines of every position.
#[derive(Debug)]
pub struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Tables for `positions` positions.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn new(config: &LlamaConfig, positions: i64, kind: Kind, device: Device) -> Result<Self, TchError> {
        let inverse = Tensor::f_from_slice(&frequencies(config.head, config.rope))?;
        let angles = Tensor::f_arange(positions, (Kind::Float, Device::Cpu))?.f_outer(&inverse)?;
        let (cos, sin) = (angles.f_cos()?, angles.f_sin()?);
        // [positions, 1, head]: broadcast over heads. The sign of `rotate_half` is in the sine.
        let cos = Tensor::f_cat(&[&cos, &cos], 1)?.f_unsqueeze(1)?;
        let sin = Tensor::f_cat(&[&sin.f_neg()?, &sin], 1)?.f_unsqueeze(1)?;
        Ok(Self { cos: cos.f_to_device(device)?.f_to_kind(kind)?, sin: sin.f_to_device(device)?.f_to_kind(kind)? })
    }

    /// The part of the tables for `length` positions from `start`.
    ///
    /// # Errors
    /// Positions beyond the tables.
    pub fn at(&self, start: i64, length: i64) -> Result<Self, TchError> {
        Ok(Self { cos: self.cos.f_narrow(0, start, length)?, sin: self.sin.f_narrow(0, start, length)? })
    }

    /// The tables repeated for `heads` heads: products then run over whole rows, not over one narrow head at a time.
    ///
    /// # Errors
    /// No memory.
    pub fn wide(&self, heads: i64) -> Result<Self, TchError> {
        let repeat = |t: &Tensor| t.f_expand([-1, heads, -1], false)?.f_contiguous();
        Ok(Self { cos: repeat(&self.cos)?, sin: repeat(&self.sin)? })
    }

    /// Turns `x` [batch, sequence, heads, head].
    ///
    /// # Errors
    /// Another shape.
    pub fn turn(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let halves = x.f_chunk(2, -1)?;
        let swapped = Tensor::f_cat(&[&halves[1], &halves[0]], -1)?;
        x.f_mul(&self.cos)?.f_addcmul(&swapped, &self.sin)
    }

    /// How many positions the tables have.
    #[must_use]
    pub fn positions(&self) -> i64 {
        self.cos.size().first().copied().unwrap_or(0)
    }
}

/// Radians a position for each pair of a head, f32 as in the reference implementation.
fn frequencies(head: i64, rope: RopeConfig) -> Vec<f32> {
    let base = rope.theta as f32;
    let plain = (0..head).step_by(2).map(|i| 1.0 / base.powf(i as f32 / head as f32));
    match rope.scaling {
        RopeScaling::Default => plain.collect(),
        RopeScaling::Linear { factor } => plain.map(|f| f / factor as f32).collect(),
        RopeScaling::Llama3 { factor, low, high, original } => plain
            .map(|frequency| {
                let wavelength = 2.0 * std::f64::consts::PI / f64::from(frequency);
                if wavelength < original / high {
                    frequency
                } else if wavelength > original / low {
                    frequency / factor as f32
                } else {
                    let smooth = (original / wavelength - low) / (high - low);
                    let frequency = f64::from(frequency);
                    ((1.0 - smooth) * frequency / factor + smooth * frequency) as f32
                }
            })
            .collect(),
    }
}
