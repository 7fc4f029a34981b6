//! The tensors of a model folder, checked against its configuration, and the folder's fingerprint.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use chorale_protocol::code::Context;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::LlamaConfig;
use crate::train::{TrainError, read_bounded};

/// The largest index that is read.
const INDEX_BYTES: u64 = 64 << 20;
/// The largest shard that is read.
const SHARD_BYTES: u64 = 64 << 30;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Reads every tensor that `config` asks for, as `kind` on `device`.
///
/// # Errors
/// Every missing, unknown, misshapen or mistyped tensor by name; or an unreadable file.
pub fn read_weights(folder: &Path, config: &LlamaConfig, kind: Kind, device: Device) -> Result<Tensors, TrainError> {
    let mut wanted: BTreeMap<String, Vec<i64>> = config.tensors().into_iter().collect();
    let mut tensors = Tensors::new();
    let mut problems = Vec::new();
    for shard in shards(folder)? {
        let bytes = read_bounded(&shard, SHARD_BYTES)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| TrainError::Weights {
            path: shard.clone(),
            problems: vec![format!("not a safetensors file: {error}")],
        })?;
        for (name, view) in file.tensors() {
            if tensors.contains_key(&name) {
                problems.push(format!("{name} comes twice"));
                continue;
            }
            let Some(shape) = wanted.remove(&name) else {
                if !is_superfluous(&name, config) {
                    problems.push(format!("{name} is not part of this architecture"));
                }
                continue;
            };
            let got: Vec<i64> = view.shape().iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
            let stored = match view.dtype() {
                Dtype::F32 => Kind::Float,
                Dtype::F16 => Kind::Half,
                Dtype::BF16 => Kind::BFloat16,
                other => {
                    problems.push(format!("{name} is {other:?}, wanted F32, F16 or BF16"));
                    continue;
                }
            };
            if got == shape {
                let tensor = Tensor::f_from_data_size(view.data(), &shape, stored)?;
                tensors.insert(name, tensor.f_to_device(device)?.f_to_kind(kind)?);
            } else {
                problems.push(format!("{name} has shape {got:?}, wanted {shape:?}"));
            }
        }
    }
    problems.extend(wanted.keys().map(|name| format!("{name} is missing")));
    if problems.is_empty() {
        return Ok(tensors);
    }
    problems.sort();
    Err(TrainError::Weights { path: folder.to_owned(), problems })
}

/// What older writers leave in a file although it follows from the rest.
fn is_superfluous(name: &str, config: &LlamaConfig) -> bool {
    name.ends_with(".rotary_emb.inv_freq") || (config.tied && name == "lm_head.weight")
}

/// The safetensors files of a model folder, sorted by name: those of the index, or model.safetensors.
///
/// # Errors
/// An unreadable index, or one that points outside the folder.
pub fn shards(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let index = folder.join("model.safetensors.index.json");
    if !index.exists() {
        return Ok(vec![folder.join("model.safetensors")]);
    }
    let wrong = |why: String| TrainError::Weights { path: index.clone(), problems: vec![why] };
    let value: Value =
        serde_json::from_slice(&read_bounded(&index, INDEX_BYTES)?).map_err(|error| wrong(error.to_string()))?;
    let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(|| wrong("no weight_map".into()))?;
    let mut names = BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().unwrap_or_default();
        if Path::new(name).file_name().is_none_or(|part| part != name) || !name.ends_with(".safetensors") {
            return Err(wrong(format!("weight_map names {file}, wanted a safetensors file of this folder")));
        }
        names.insert(name.to_owned());
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The fingerprint of a model folder: the derived hash under [`Context::BaseModel`] of, for config.json, every
/// safetensors file sorted by name, and tokenizer.json, in this order: the length of the file's name (u64,
/// little-endian), the name, the length of the file (u64, little-endian) and the BLAKE3 of its bytes.
///
/// # Errors
/// A file cannot be read.
pub fn fingerprint(folder: &Path) -> Result<[u8; 32], TrainError> {
    let mut files = vec![folder.join("config.json")];
    files.extend(shards(folder)?);
    files.push(folder.join("tokenizer.json"));
    let mut all = Context::BaseModel.hasher();
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let mut file = File::open(&path).map_err(TrainError::read(&path))?;
        let (mut hasher, mut length, mut buffer) = (blake3::Hasher::new(), 0_u64, vec![0; 1 << 20]);
        loop {
            let read = file.read(&mut buffer).map_err(TrainError::read(&path))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
        all.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        all.update(&length.to_le_bytes()).update(hasher.finalize().as_bytes());
    }
    Ok(*all.finalize().as_bytes())
}
