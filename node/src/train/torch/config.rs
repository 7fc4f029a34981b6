//! config.json of a Llama model: what is supported, checked; everything else is refused by name.

use std::path::Path;

use serde_json::{Value, json};

use crate::train::{TrainError, read_bounded};

/// The largest config.json that is read.
const CONFIG_BYTES: u64 = 1 << 20;
/// Bounds on every dimension, so that products fit in an i64 by far.
const DIMENSION: i64 = 1 << 20;

/// The shape of a Llama model.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Width of the residual stream.
    pub hidden: i64,
    /// Width of the MLP.
    pub intermediate: i64,
    /// Layers.
    pub layers: i64,
    /// Query heads.
    pub heads: i64,
    /// Key and value heads; divides `heads`.
    pub kv_heads: i64,
    /// Width of a head; even.
    pub head: i64,
    /// Token ids.
    pub vocabulary: i64,
    /// Positions that the model knows.
    pub context: i64,
    /// RMSNorm's ε.
    pub norm_eps: f64,
    /// Rotary embedding.
    pub rope: RopeConfig,
    /// Whether the output embedding is the input embedding.
    pub tied: bool,
    /// Whether q, k, v and o have biases.
    pub attention_bias: bool,
    /// Whether gate, up and down have biases.
    pub mlp_bias: bool,
}

/// Rotary position embedding (Su et al. 2021) and its extension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RopeConfig {
    /// θ.
    pub theta: f64,
    /// How positions beyond the first training are reached.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// All divided by one factor.
    Linear {
        /** the divisor */
        factor: f64,
    },
    /// By wavelength, as in Llama 3.1.
    Llama3 {
        /** divisor of low frequencies */
        factor: f64,
        /** wavelengths above original / low are divided */
        low: f64,
        /** wavelengths below original / high stay */
        high: f64,
        /** positions of the first training */
        original: f64,
    },
}

impl LlamaConfig {
    /// Reads `folder`/config.json.
    ///
    /// # Errors
    /// Unreadable, another architecture, or a value that is not supported; the message names it.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join("config.json");
        let bytes = read_bounded(&path, CONFIG_BYTES)?;
        let parsed = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
        parsed.and_then(|value| Self::parse(&value)).map_err(|why| TrainError::Config { path, why })
    }

    fn parse(value: &Value) -> Result<Self, String> {
        match value.get("model_type").and_then(Value::as_str) {
            Some("llama") => {}
            other => return Err(format!("model_type is {other:?}, only \"llama\" is supported")),
        }
        if let Some(names) = value.get("architectures").and_then(Value::as_array)
            && !names.iter().any(|name| name == "LlamaForCausalLM")
        {
            return Err(format!("architectures is {names:?}, only LlamaForCausalLM is supported"));
        }
        if let Some(act) = value.get("hidden_act").filter(|act| *act != "silu") {
            return Err(format!("hidden_act is {act}, only \"silu\" is supported"));
        }
        if let Some(quantised) = value.get("quantization_config").filter(|found| !found.is_null()) {
            let method = quantised.get("quant_method").unwrap_or(&Value::Null);
            return Err(format!("the model is quantised ({method}); use its f32, f16 or bf16 form"));
        }
        let hidden = dimension(value, "hidden_size", None)?;
        let heads = dimension(value, "num_attention_heads", None)?;
        let config = Self {
            hidden,
            intermediate: dimension(value, "intermediate_size", None)?,
            layers: dimension(value, "num_hidden_layers", None)?,
            heads,
            kv_heads: dimension(value, "num_key_value_heads", Some(heads))?,
            head: dimension(value, "head_dim", Some(hidden / heads))?,
            vocabulary: dimension(value, "vocab_size", None)?,
            context: dimension(value, "max_position_embeddings", Some(2048))?,
            norm_eps: number(value, "rms_norm_eps", Some(1e-6))?,
            rope: rope(value)?,
            tied: flag(value, "tie_word_embeddings")?,
            attention_bias: flag(value, "attention_bias")?,
            mlp_bias: flag(value, "mlp_bias")?,
        };
        if config.heads % config.kv_heads != 0 {
            return Err(format!("{} heads do not divide among {} key/value heads", config.heads, config.kv_heads));
        }
        if config.head % 2 != 0 {
            return Err(format!("head_dim is {}, an even number was wanted", config.head));
        }
        Ok(config)
    }

    /// Every tensor of such a model and its shape.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<i64>)> {
        let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocabulary, self.hidden])];
        for layer in 0..self.layers {
            for name in ["input_layernorm", "post_attention_layernorm"] {
                all.push((format!("model.layers.{layer}.{name}.weight"), vec![self.hidden]));
            }
            for projection in Projection::ALL {
                let [outputs, inputs] = self.projection(projection);
                let path = projection.path(layer);
                if self.has_bias(projection) {
                    all.push((format!("{path}.bias"), vec![outputs]));
                }
                all.push((format!("{path}.weight"), vec![outputs, inputs]));
            }
        }
        all.push(("model.norm.weight".to_owned(), vec![self.hidden]));
        if !self.tied {
            all.push(("lm_head.weight".to_owned(), vec![self.vocabulary, self.hidden]));
        }
        all
    }

    /// [outputs, inputs] of a projection.
    #[must_use]
    pub const fn projection(&self, projection: Projection) -> [i64; 2] {
        match projection {
            Projection::Q => [self.heads * self.head, self.hidden],
            Projection::K | Projection::V => [self.kv_heads * self.head, self.hidden],
            Projection::O => [self.hidden, self.heads * self.head],
            Projection::Gate | Projection::Up => [self.intermediate, self.hidden],
            Projection::Down => [self.hidden, self.intermediate],
        }
    }

    /// Whether a projection has a bias.
    #[must_use]
    pub const fn has_bias(&self, projection: Projection) -> bool {
        match projection {
            Projection::Q | Projection::K | Projection::V | Projection::O => self.attention_bias,
            Projection::Gate | Projection::Up | Projection::Down => self.mlp_bias,
        }
    }

    /// The config.json of this model, with its start and end tokens.
    #[must_use]
    pub fn to_json(&self, start: u32, end: u32) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.context,
            "rms_norm_eps": self.norm_eps,
            "rope_theta": self.rope.theta,
            "hidden_act": "silu",
            "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias,
            "tie_word_embeddings": self.tied,
            "bos_token_id": start,
            "eos_token_id": end,
            "torch_dtype": "float32",
        })
    }
}

/// A projection of a layer, in the order of computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention's output.
    O,
    /// MLP's gate.
    Gate,
    /// MLP's way up.
    Up,
    /// MLP's way down.
    Down,
}

impl Projection {
    /// All, in the order of [`crate::train::PROJECTIONS`].
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Its module name, such as `q_proj`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        crate::train::PROJECTIONS[self as usize]
    }

    /// Its module path in layer `layer`, such as `model.layers.0.self_attn.q_proj`.
    #[must_use]
    pub fn path(self, layer: i64) -> String {
        let block = if (self as usize) < 4 { "self_attn" } else { "mlp" };
        format!("model.layers.{layer}.{block}.{}", self.name())
    }
}

fn dimension(value: &Value, name: &str, default: Option<i64>) -> Result<i64, String> {
    let found = match value.get(name) {
        None | Some(Value::Null) => default.ok_or_else(|| format!("{name} is missing"))?,
        Some(found) => found.as_i64().ok_or_else(|| format!("{name} is {found}, an integer was wanted"))?,
    };
    // A context may be longer than any other dimension.
    let limit = if name == "max_position_embeddings" { DIMENSION << 10 } else { DIMENSION };
    if (1..=limit).contains(&found) { Ok(found) } else { Err(format!("{name} is {found}, wanted 1 to {limit}")) }
}

fn number(value: &Value, name: &str, default: Option<f64>) -> Result<f64, String> {
    let found = match value.get(name) {
        None | Some(Value::Null) => default.ok_or_else(|| format!("{name} is missing"))?,
        Some(found) => found.as_f64().ok_or_else(|| format!("{name} is {found}, a number was wanted"))?,
    };
    if found > 0.0 { Ok(found) } else { Err(format!("{name} is {found}, wanted more than 0")) }
}

fn flag(value: &Value, name: &str) -> Result<bool, String> {
    match value.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(found)) => Ok(*found),
        Some(found) => Err(format!("{name} is {found}, true or false was wanted")),
    }
}

/// Old files have `rope_theta` and `rope_scaling`, newer ones `rope_parameters` with both.
fn rope(value: &Value) -> Result<RopeConfig, String> {
    let table = ["rope_parameters", "rope_scaling"].iter().find_map(|name| value.get(name).filter(|t| t.is_object()));
    let theta = table.and_then(|table| table.get("rope_theta")).or_else(|| value.get("rope_theta"));
    let theta = theta.map_or(Ok(10_000.0), |theta| theta.as_f64().ok_or("rope_theta is not a number"))?;
    let Some(table) = table else { return Ok(RopeConfig { theta, scaling: RopeScaling::Default }) };
    let kind = table.get("rope_type").or_else(|| table.get("type")).and_then(Value::as_str).unwrap_or("default");
    let scaling = match kind {
        "default" => RopeScaling::Default,
        "linear" => RopeScaling::Linear { factor: number(table, "factor", None)? },
        "llama3" => RopeScaling::Llama3 {
            factor: number(table, "factor", None)?,
            low: number(table, "low_freq_factor", None)?,
            high: number(table, "high_freq_factor", None)?,
            original: number(table, "original_max_position_embeddings", None)?,
        },
        other => return Err(format!("rope_type is {other:?}, wanted default, linear or llama3")),
    };
    Ok(RopeConfig { theta, scaling })
}
