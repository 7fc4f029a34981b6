//! LoRA (Hu et al. 2021): ΔW = (α/r)·Bᵀ·A on named projections of a frozen model.

use std::ops::Range;

use chorale_protocol::manifest::{AdapterSpec, Factor, Phase, TensorSpec};
use tch::{Device, Kind, TchError, Tensor};

use super::{Flat, LlamaConfig, Projection};
use crate::train::TrainError;

/// The factors of one projection, as the forward pass wants them.
#[derive(Debug)]
pub struct Pair {
    /// A, [rank, inputs].
    pub(super) down: Tensor,
    /// α/r·B, [rank, outputs].
    pub(super) up: Tensor,
}

/// The factors of every projection that is adapted. `Default` is none: the bare model.
#[derive(Debug, Default)]
pub struct Factors {
    layers: Vec<[Option<Pair>; 7]>,
}

impl Factors {
    /// The factors of a projection, if it is adapted.
    #[must_use]
    pub fn pair(&self, layer: usize, projection: Projection) -> Option<&Pair> {
        self.layers.get(layer)?[projection as usize].as_ref()
    }
}

/// Where the factors of one projection lie.
#[derive(Debug, Clone)]
struct Site {
    layer: usize,
    projection: Projection,
    shape: [i64; 2],
}

/// An adapter: all A in one flat tensor, all B in another, so that a step is a handful of operations.
#[derive(Debug)]
pub struct Lora {
    rank: i64,
    scale: f64,
    layers: usize,
    sites: Vec<Site>,
    a: Flat,
    b: Flat,
}

impl Lora {
    /// The spec of an adapter of such a model: what travels. `start` is left zero.
    #[must_use]
    pub fn spec(config: &LlamaConfig, rank: u64, alpha: u64, seed: u64, targets: &[String]) -> AdapterSpec {
        let mut tensors = Vec::new();
        for layer in 0..config.layers {
            for projection in Projection::ALL {
                if targets.iter().any(|target| target == projection.name()) {
                    let [outputs, inputs] = config.projection(projection).map(i64::unsigned_abs);
                    let path = projection.path(layer);
                    let name = |factor| format!("{path}.lora_{factor}.weight");
                    tensors.push(TensorSpec { name: name('A'), factor: Factor::A, rows: rank, columns: inputs });
                    tensors.push(TensorSpec { name: name('B'), factor: Factor::B, rows: rank, columns: outputs });
                }
            }
        }
        tensors.sort_by(|x, y| x.name.as_bytes().cmp(y.name.as_bytes()));
        AdapterSpec { rank, alpha, seed, start: [0; 32], tensors }
    }

    /// An adapter of zeros for `spec`.
    ///
    /// # Errors
    /// The spec is not one of this model's.
    pub fn new(config: &LlamaConfig, spec: &AdapterSpec, device: Device) -> Result<Self, TrainError> {
        let targets: Vec<String> = Projection::ALL
            .iter()
            .map(|projection| projection.name().to_owned())
            .filter(|name| spec.tensors.iter().any(|tensor| tensor.name.ends_with(&format!(".{name}.lora_A.weight"))))
            .collect();
        let own = Self::spec(config, spec.rank, spec.alpha, spec.seed, &targets);
        if own.tensors != spec.tensors || spec.rank == 0 {
            let got = format!("an adapter of {} tensors and rank {}", spec.tensors.len(), spec.rank);
            return Err(TrainError::Option { name: "adapter", got, want: "one made for this model" });
        }
        let mut sites = Vec::new();
        for layer in 0..config.layers {
            for projection in Projection::ALL.into_iter().filter(|p| targets.iter().any(|t| t == p.name())) {
                let index = usize::try_from(layer).unwrap_or_default();
                sites.push((
                    projection.path(layer) + ".",
                    Site { layer: index, projection, shape: config.projection(projection) },
                ));
            }
        }
        sites.sort_by(|x, y| x.0.as_bytes().cmp(y.0.as_bytes()));
        let sites: Vec<Site> = sites.into_iter().map(|(_, site)| site).collect();
        let rank = i64::try_from(spec.rank).unwrap_or(i64::MAX);
        let a = sites.iter().map(|site| rank * site.shape[1]).sum();
        let b = sites.iter().map(|site| rank * site.shape[0]).sum();
        let layers = usize::try_from(config.layers).unwrap_or_default();
        let scale = spec.alpha as f64 / spec.rank as f64;
        Ok(Self { rank, scale, layers, sites, a: Flat::zeros(a, device)?, b: Flat::zeros(b, device)? })
    }

    /// How many values travel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.a.value().numel() + self.b.value().numel()
    }

    /// Never: a spec has at least one tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes up values in layout order.
    ///
    /// # Errors
    /// Another number of them, or one that is not finite.
    pub fn set(&mut self, values: &[f32]) -> Result<(), TrainError> {
        if values.len() != self.len() {
            return Err(TrainError::Values { got: values.len(), want: self.len() });
        }
        if let Some((index, &value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(TrainError::Value { index, value });
        }
        let (a, b) = self.scatter(values);
        self.a.set(&a)?;
        self.b.set(&b)?;
        Ok(())
    }

    /// The values in layout order.
    ///
    /// # Errors
    /// libtorch cannot copy.
    pub fn values(&self) -> Result<Vec<f32>, TrainError> {
        Ok(self.gather(&self.a.values()?, &self.b.values()?))
    }

    /// First and second moments in layout order, steps of A, steps of B.
    ///
    /// # Errors
    /// libtorch cannot copy.
    pub fn moments(&self) -> Result<(Vec<f32>, Vec<f32>, u64, u64), TrainError> {
        let (first_a, second_a, steps_a) = self.a.moments()?;
        let (first_b, second_b, steps_b) = self.b.moments()?;
        Ok((self.gather(&first_a, &first_b), self.gather(&second_a, &second_b), steps_a, steps_b))
    }

    /// Takes up moments in layout order.
    ///
    /// # Errors
    /// Another number of them.
    pub fn set_moments(&mut self, first: &[f32], second: &[f32], steps: (u64, u64)) -> Result<(), TrainError> {
        for got in [first.len(), second.len()] {
            if got != self.len() {
                return Err(TrainError::Values { got, want: self.len() });
            }
        }
        let ((first_a, first_b), (second_a, second_b)) = (self.scatter(first), self.scatter(second));
        self.a.set_moments(&first_a, &second_a, steps.0)?;
        self.b.set_moments(&first_b, &second_b, steps.1)?;
        Ok(())
    }

    /// The flats that train in `phase`.
    pub(super) fn trained(&mut self, phase: Phase) -> Vec<&mut Flat> {
        let mut flats = Vec::with_capacity(2);
        if phase.trains(Factor::A) {
            flats.push(&mut self.a);
        }
        if phase.trains(Factor::B) {
            flats.push(&mut self.b);
        }
        flats
    }

    /// Factors for a forward pass in `kind`. What is frozen in `phase` takes no gradient; `None`: nothing does.
    ///
    /// # Errors
    /// libtorch fails.
    pub fn factors(&self, kind: Kind, phase: Option<Phase>) -> Result<Factors, TchError> {
        let trains = |factor| phase.is_some_and(|phase| phase.trains(factor));
        let open = |flat: &Flat, factor| match trains(factor) {
            true => Ok(flat.value().shallow_clone()),
            false => flat.value().f_detach(),
        };
        let (a, b) = (open(&self.a, Factor::A)?, open(&self.b, Factor::B)?.f_mul_scalar(self.scale)?);
        let split = |flat: Tensor, axis: usize| -> Result<Vec<Tensor>, TchError> {
            let sizes: Vec<i64> = self.sites.iter().map(|site| self.rank * site.shape[axis]).collect();
            flat.f_to_kind(kind)?.f_split_with_sizes(sizes, 0)
        };
        let mut layers: Vec<[Option<Pair>; 7]> = (0..self.layers).map(|_| Default::default()).collect();
        for ((site, a), b) in self.sites.iter().zip(split(a, 1)?).zip(split(b, 0)?) {
            let [outputs, inputs] = site.shape;
            let pair = Pair { down: a.f_view([self.rank, inputs])?, up: b.f_view([self.rank, outputs])? };
            layers[site.layer][site.projection as usize] = Some(pair);
        }
        Ok(Factors { layers })
    }

    /// From layout order to all A and all B.
    fn scatter(&self, values: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (down, up) in self.ranges() {
            a.extend_from_slice(&values[down]);
            b.extend_from_slice(&values[up]);
        }
        (a, b)
    }

    /// From all A and all B to layout order.
    fn gather(&self, mut a: &[f32], mut b: &[f32]) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.len());
        for (down, up) in self.ranges() {
            let (head, rest) = a.split_at(down.len());
            values.extend_from_slice(head);
            a = rest;
            let (head, rest) = b.split_at(up.len());
            values.extend_from_slice(head);
            b = rest;
        }
        values
    }

    /// Where A and B of each site lie in layout order: names of one site differ in the factor only.
    fn ranges(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let mut start = 0;
        self.sites.iter().map(move |site| {
            let size = |axis: usize| usize::try_from(self.rank * site.shape[axis]).unwrap_or_default();
            let down = start..start + size(1);
            let up = down.end..down.end + size(0);
            start = up.end;
            (down, up)
        })
    }
}
