//! Llama: embedding, layers of attention and MLP, norm, output. Checked against the reference implementation's logits.

use tch::{Device, Kind, TchError, Tensor};

use super::{
    Cache, LlamaConfig, Projection, Rope,
    attention::attend,
    lora::{Factors, Pair},
    weights::Tensors,
};

/// Positions for which rotary tables are made at most.
const POSITIONS: i64 = 1 << 15;

/// A Llama model. Its tensors are frozen unless whoever assembled it says otherwise.
#[derive(Debug)]
pub struct Llama {
    config: LlamaConfig,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Tensor,
    rope: Rope,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Tensor,
    mlp_norm: Tensor,
    projections: [Linear; 7],
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Llama {
    /// Puts a model together from all its tensors, which stay shared with `tensors`.
    ///
    /// # Errors
    /// A tensor is missing: they were not read for this configuration.
    pub fn assemble(config: &LlamaConfig, tensors: &Tensors) -> Result<Self, TchError> {
        let embedding = take(tensors, "model.embed_tokens.weight")?;
        let rope = Rope::new(config, config.context.min(POSITIONS), embedding.f_kind()?, embedding.device())?;
        Self::with_rope(config, tensors, rope)
    }

    /// As [`Self::assemble`], with tables made before.
    pub(super) fn with_rope(config: &LlamaConfig, tensors: &Tensors, rope: Rope) -> Result<Self, TchError> {
        let embedding = take(tensors, "model.embed_tokens.weight")?;
        let output = if config.tied { embedding.shallow_clone() } else { take(tensors, "lm_head.weight")? };
        let layers =
            (0..config.layers).map(|layer| Layer::assemble(config, tensors, layer)).collect::<Result<_, _>>()?;
        Ok(Self { config: config.clone(), embedding, layers, norm: take(tensors, "model.norm.weight")?, output, rope })
    }

    /// Its shape.
    #[must_use]
    pub const fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// What it computes in.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.embedding.kind()
    }

    /// Where it lives.
    #[must_use]
    pub fn device(&self) -> Device {
        self.embedding.device()
    }

    /// The longest text that it takes, in tokens.
    #[must_use]
    pub fn positions(&self) -> usize {
        usize::try_from(self.rope.positions()).unwrap_or(0)
    }

    /// Normed hidden states of `ids` [batch, sequence] → [batch · sequence, hidden]. With a cache, `ids` go on after
    /// what it holds.
    ///
    /// # Errors
    /// Ids that the model does not have, or more positions than it has.
    pub fn hidden(&self, ids: &Tensor, factors: &Factors, mut cache: Option<&mut Cache>) -> Result<Tensor, TchError> {
        let (batch, length) = ids.size2()?;
        let start = cache.as_ref().map_or(0, |cache| cache.length());
        let rope = self.rope.at(start, length)?;
        let (rope_q, rope_k) = (rope.wide(self.config.heads)?, rope.wide(self.config.kv_heads)?);
        let mut x = Tensor::f_embedding(&self.embedding, &ids.f_view([-1])?, -1, false, false)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = self.norm(&x, &layer.attention_norm)?;
            let projected = |which, width, input: &Tensor| -> Result<Tensor, TchError> {
                let heads = layer.project(which, input, factors.pair(index, which))?;
                heads.f_view([batch, length, width, self.config.head])
            };
            let q = rope_q.turn(&projected(Projection::Q, self.config.heads, &normed)?)?;
            let k = rope_k.turn(&projected(Projection::K, self.config.kv_heads, &normed)?)?;
            let v = projected(Projection::V, self.config.kv_heads, &normed)?;
            let (k, v) = match cache.as_mut() {
                Some(cache) => cache.extend(index, k, v)?,
                None => (k, v),
            };
            let attended = attend(&q, &k, &v)?;
            x = x.f_add(&layer.project(Projection::O, &attended, factors.pair(index, Projection::O))?)?;
            let normed = self.norm(&x, &layer.mlp_norm)?;
            let gate = layer.project(Projection::Gate, &normed, factors.pair(index, Projection::Gate))?;
            let up = layer.project(Projection::Up, &normed, factors.pair(index, Projection::Up))?;
            let inner = gate.f_silu()?.f_mul(&up)?;
            x = x.f_add(&layer.project(Projection::Down, &inner, factors.pair(index, Projection::Down))?)?;
        }
        if let Some(cache) = cache {
            cache.advance(length);
        }
        self.norm(&x, &self.norm)
    }

    /// Logits in f32 of hidden states [rows, hidden] → [rows, vocabulary].
    ///
    /// # Errors
    /// Another shape.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, TchError> {
        hidden.f_linear(&self.output, None::<&Tensor>)?.f_to_kind(Kind::Float)
    }

    /// RMSNorm (Zhang & Sennrich 2019); the mean square is taken in f32.
    fn norm(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor, TchError> {
        x.f_rms_norm([self.config.hidden], Some(weight), self.config.norm_eps)
    }
}

impl Layer {
    fn assemble(config: &LlamaConfig, tensors: &Tensors, layer: i64) -> Result<Self, TchError> {
        let norm = |name: &str| take(tensors, &format!("model.layers.{layer}.{name}.weight"));
        let linear = |projection: Projection| -> Result<Linear, TchError> {
            let path = projection.path(layer);
            let bias = config.has_bias(projection).then(|| take(tensors, &format!("{path}.bias"))).transpose()?;
            Ok(Linear { weight: take(tensors, &format!("{path}.weight"))?, bias })
        };
        let [q, k, v, o, gate, up, down] = Projection::ALL.map(linear);
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            mlp_norm: norm("post_attention_layernorm")?,
            projections: [q?, k?, v?, o?, gate?, up?, down?],
        })
    }

    /// x·Wᵀ + b, and (x·Aᵀ)·(α/r·B)ᵀ where LoRA adapts it (Hu et al. 2021).
    fn project(&self, projection: Projection, x: &Tensor, pair: Option<&Pair>) -> Result<Tensor, TchError> {
        let Linear { weight, bias } = &self.projections[projection as usize];
        let mut y = x.f_linear(weight, bias.as_ref())?;
        match pair {
            // In place: the product's own output is needed by nobody else.
            Some(Pair { down, up }) => y.f_addmm_(&x.f_linear(down, None::<&Tensor>)?, up),
            None => Ok(y),
        }
    }
}

fn take(tensors: &Tensors, name: &str) -> Result<Tensor, TchError> {
    let missing = || TchError::Torch(format!("{name} is missing"));
    tensors.get(name).map(Tensor::shallow_clone).ok_or_else(missing)
}
