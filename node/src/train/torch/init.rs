//! A new, small Llama: its shape, its first weights, its folder.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::{LlamaConfig, RopeConfig, RopeScaling, Tensors, optim::floats};
use crate::train::TrainError;

/// The standard deviation of first weights (Radford et al. 2019).
const DEVIATION: f64 = 0.02;

/// The shape of a new model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden: u32,
    /// Width of the MLP.
    pub intermediate: u32,
    /// Layers.
    pub layers: u32,
    /// Query heads; divides `hidden`.
    pub heads: u32,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u32,
    /// Token ids.
    pub vocabulary: u32,
    /// Positions.
    pub context: u32,
    /// Whether the output embedding is the input embedding.
    pub tied: bool,
}

impl Default for Shape {
    fn default() -> Self {
        let (hidden, intermediate) = (128, 352);
        Self { hidden, intermediate, layers: 4, heads: 4, kv_heads: 4, vocabulary: 512, context: 256, tied: true }
    }
}

impl Shape {
    /// Its configuration.
    ///
    /// # Errors
    /// Heads that do not divide, or a dimension of 0.
    pub fn config(self) -> Result<LlamaConfig, TrainError> {
        let Self { hidden, intermediate, layers, heads, kv_heads, vocabulary, context, tied } = self;
        let all = [hidden, intermediate, layers, heads, kv_heads, vocabulary, context];
        let sound = all.iter().all(|n| (1..=1 << 20).contains(n))
            && hidden % heads == 0
            && heads % kv_heads == 0
            && (hidden / heads) % 2 == 0;
        if !sound {
            let want = "dimensions of 1 to 2^20, hidden a multiple of 2·heads, heads of kv_heads";
            return Err(TrainError::Option { name: "shape", got: format!("{self:?}"), want });
        }
        Ok(LlamaConfig {
            hidden: hidden.into(),
            intermediate: intermediate.into(),
            layers: layers.into(),
            heads: heads.into(),
            kv_heads: kv_heads.into(),
            head: (hidden / heads).into(),
            vocabulary: vocabulary.into(),
            context: context.into(),
            norm_eps: 1e-5,
            rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::Default },
            tied,
            attention_bias: false,
            mlp_bias: false,
        })
    }
}

/// First weights: normal with deviation 0.02; what writes into the residual stream is scaled by 1/√(2·layers)
/// (Radford et al. 2019); norms are 1, biases 0. The same seed gives the same weights.
///
/// # Errors
/// No memory.
pub fn first_weights(config: &LlamaConfig, seed: u64) -> Result<Tensors, TrainError> {
    let _guard = tch::no_grad_guard();
    tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
    let residual = DEVIATION / (2.0 * config.layers as f64).sqrt();
    let mut tensors = Tensors::new();
    for (name, shape) in config.tensors() {
        let options = (Kind::Float, Device::Cpu);
        let tensor = if name.ends_with("norm.weight") {
            Tensor::f_ones(&shape[..], options)?
        } else if name.ends_with(".bias") {
            Tensor::f_zeros(&shape[..], options)?
        } else {
            let writes = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
            Tensor::f_randn(&shape[..], options)?.f_mul_scalar(if writes { residual } else { DEVIATION })?
        };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Writes config.json, generation_config.json and model.safetensors (f32) into `folder`; the tokenizer is written by
/// whoever made it.
///
/// # Errors
/// A file cannot be written.
pub fn save_model(
    folder: &Path,
    config: &LlamaConfig,
    tensors: &Tensors,
    (start, end): (u32, u32),
) -> Result<(), TrainError> {
    std::fs::create_dir_all(folder).map_err(TrainError::write(folder))?;
    let generation = json!({ "bos_token_id": start, "eos_token_id": end, "do_sample": false });
    for (name, value) in [("config.json", config.to_json(start, end)), ("generation_config.json", generation)] {
        let path = folder.join(name);
        std::fs::write(&path, format!("{value:#}\n")).map_err(TrainError::write(&path))?;
    }
    let mut file = BTreeMap::new();
    for (name, tensor) in tensors {
        let shape = tensor.size().iter().map(|&n| usize::try_from(n).unwrap_or_default()).collect();
        file.insert(name.clone(), (shape, floats(tensor)?));
    }
    write_safetensors(&folder.join("model.safetensors"), &file)
}

/// Writes f32 tensors (shape and values by name) as a safetensors file that Hugging Face libraries read.
pub(super) fn write_safetensors(
    path: &Path,
    tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
) -> Result<(), TrainError> {
    let bytes: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (name.as_str(), (shape.clone(), values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        })
        .collect();
    let wrong = |error: safetensors::SafeTensorError| TrainError::Weights {
        path: path.to_owned(),
        problems: vec![error.to_string()],
    };
    let mut views = Vec::with_capacity(bytes.len());
    for (name, (shape, data)) in &bytes {
        views.push((*name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(wrong)?));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    let file = safetensors::serialize(views, Some(metadata)).map_err(wrong)?;
    std::fs::write(path, file).map_err(TrainError::write(path))
}
