//! Causal attention with grouped keys and values (Ainslie et al. 2023), and the cache for generation.

use tch::{TchError, Tensor};

/// Keys and values of earlier positions, by layer: [batch, sequence, heads, head].
#[derive(Debug, Default)]
pub struct Cache {
    layers: Vec<(Tensor, Tensor)>,
    length: i64,
}

impl Cache {
    /// Positions that it holds.
    #[must_use]
    pub const fn length(&self) -> i64 {
        self.length
    }

    /// Appends new keys and values of a layer and gives all of that layer.
    pub(super) fn extend(&mut self, layer: usize, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor), TchError> {
        let (k, v) = match self.layers.get(layer) {
            Some((old_k, old_v)) => (Tensor::f_cat(&[old_k, &k], 1)?, Tensor::f_cat(&[old_v, &v], 1)?),
            None => (k, v),
        };
        let all = (k.shallow_clone(), v.shallow_clone());
        if layer < self.layers.len() {
            self.layers[layer] = (k, v);
        } else {
            self.layers.push((k, v));
        }
        Ok(all)
    }

    pub(super) fn advance(&mut self, positions: i64) {
        self.length += positions;
    }
}

/// `q` [batch, new, heads, head], `k` and `v` [batch, all, kv heads, head] → [batch · new, heads · head].
/// New positions are the last of all; each sees itself and what is before it.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (batch, new, heads, head) = q.size4()?;
    let (_, all, kv_heads, _) = k.size4()?;
    let heads_first = |t: &Tensor| t.f_transpose(1, 2);
    let causal = new > 1;
    let mask = match causal && all > new {
        // Several new positions behind a cache: each sees all that is before it.
        true => Some(Tensor::f_ones([new, all], (tch::Kind::Bool, q.device()))?.f_tril(all - new)?),
        false => None,
    };
    let attended = Tensor::f_scaled_dot_product_attention(
        &heads_first(q)?,
        &heads_first(k)?,
        &heads_first(v)?,
        mask.as_ref(),
        0.0,
        causal && mask.is_none(),
        None,
        heads != kv_heads,
    )?;
    attended.f_transpose(1, 2)?.f_reshape([batch * new, heads * head])
}
