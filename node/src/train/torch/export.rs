//! An adapter in the form that Hugging Face PEFT loads, and merged into its model.

use std::{collections::BTreeMap, path::Path};

use chorale_protocol::manifest::{AdapterSpec, Factor};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::{LlamaConfig, Projection, init::write_safetensors, read_weights};
use crate::train::{TrainError, state, trainable};

/// Writes adapter_config.json and adapter_model.safetensors (f32) into `folder`. `base` is the model's name or path
/// that PEFT may load it from. Values in layout order.
///
/// # Errors
/// Another number of values, or a file cannot be written.
pub fn export_peft(spec: &AdapterSpec, values: &[f32], base: &str, folder: &Path) -> Result<(), TrainError> {
    let tensors = named(spec, values)?
        .into_iter()
        .map(|(name, shape, values)| (format!("base_model.model.{name}"), (shape, values)))
        .collect();
    let targets: Vec<&str> = Projection::ALL
        .iter()
        .map(|projection| projection.name())
        .filter(|name| spec.tensors.iter().any(|tensor| tensor.name.contains(&format!(".{name}.lora_"))))
        .collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": spec.rank,
        "lora_alpha": spec.alpha,
        "lora_dropout": 0.0,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
        "use_rslora": false,
        "use_dora": false,
    });
    std::fs::create_dir_all(folder).map_err(TrainError::write(folder))?;
    let path = folder.join("adapter_config.json");
    std::fs::write(&path, format!("{config:#}\n")).map_err(TrainError::write(&path))?;
    write_safetensors(&folder.join("adapter_model.safetensors"), &tensors)
}

/// Writes the model of `source` with the adapter added to its weights into `folder`, as one f32 shard with the other
/// files beside it: W + (α/r)·Bᵀ·A.
///
/// # Errors
/// An unusable model folder, an adapter of another model, or a file cannot be written.
pub fn export_merged(source: &Path, spec: &AdapterSpec, values: &[f32], folder: &Path) -> Result<(), TrainError> {
    let _guard = tch::no_grad_guard();
    let config = LlamaConfig::open(source)?;
    let mut weights = read_weights(source, &config, Kind::Float, Device::Cpu)?;
    let scale = spec.alpha as f64 / spec.rank.max(1) as f64;
    let mut factors: BTreeMap<String, [Option<Tensor>; 2]> = BTreeMap::new();
    for (tensor, (name, shape, values)) in spec.tensors.iter().zip(named(spec, values)?) {
        let module = name.rsplit_once(".lora_").map_or(name, |(module, _)| module);
        let shape: Vec<i64> = shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
        let place = usize::from(tensor.factor == Factor::B);
        factors.entry(format!("{module}.weight")).or_default()[place] =
            Some(Tensor::f_from_slice(&values)?.f_view(&shape[..])?);
    }
    for (name, pair) in factors {
        let (Some(weight), [Some(down), Some(up)]) = (weights.get_mut(&name), pair) else {
            let want = "one made for this model";
            return Err(TrainError::Option { name: "adapter", got: format!("an adapter of {name}"), want });
        };
        *weight = weight.f_add(&up.f_matmul(&down)?.f_mul_scalar(scale)?)?;
    }
    std::fs::create_dir_all(folder).map_err(TrainError::write(folder))?;
    for name in
        ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    {
        let from = source.join(name);
        if from.exists() {
            std::fs::copy(&from, folder.join(name)).map_err(TrainError::write(folder.join(name)))?;
        }
    }
    let mut file = BTreeMap::new();
    for (name, tensor) in &weights {
        let shape = tensor.size().iter().map(|&n| usize::try_from(n).unwrap_or_default()).collect();
        file.insert(name.clone(), (shape, super::optim::floats(tensor)?));
    }
    write_safetensors(&folder.join("model.safetensors"), &file)
}

/// Each tensor of an adapter as PEFT has it: name, shape, values. There B is [out, rank].
type Named<'a> = (&'a str, Vec<usize>, Vec<f32>);

fn named<'a>(spec: &'a AdapterSpec, values: &[f32]) -> Result<Vec<Named<'a>>, TrainError> {
    trainable(spec)?;
    let want = state::values(spec);
    if values.len() != want {
        return Err(TrainError::Values { got: values.len(), want });
    }
    let mut rest = values;
    let mut all = Vec::with_capacity(spec.tensors.len());
    for tensor in &spec.tensors {
        let [rows, columns] = [tensor.rows, tensor.columns].map(|n| usize::try_from(n).unwrap_or_default());
        let (head, tail) = rest.split_at(rows * columns);
        all.push(match tensor.factor {
            Factor::B => (tensor.name.as_str(), vec![columns, rows], transposed(head, columns)),
            Factor::A | Factor::Dense => (tensor.name.as_str(), vec![rows, columns], head.to_vec()),
        });
        rest = tail;
    }
    Ok(all)
}

/// A matrix of so many columns, columns first.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}
