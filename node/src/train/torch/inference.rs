//! A model with an adapter, ready to be asked.

use std::path::Path;

use chorale_protocol::manifest::AdapterSpec;
use tch::Tensor;

use super::{
    Cache, Evaluation, Factors, Llama, LlamaConfig, Lora, evaluate, generate::pick, optim::floats, read_weights, step,
};
use crate::train::{
    DeviceChoice, Dtype, Options, TrainError,
    data::{Sequence, Side, Silo},
    text::Tokenizer,
};

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// New tokens at most.
    pub max_tokens: usize,
    /// 0: always the most likely token.
    pub temperature: f64,
    /// The least set of tokens whose chance reaches this is drawn from (Holtzman et al. 2020); 1: all.
    pub top_p: f64,
    /// The draw's seed.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { max_tokens: 256, temperature: 0.0, top_p: 1.0, seed: 0 }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model ended it.
    End,
    /// As many tokens as were asked for, or as fit.
    Length,
    /// Whoever listens had enough.
    Listener,
}

/// A continuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Its text.
    pub text: String,
    /// Its tokens, less the end token.
    pub ids: Vec<u32>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// A model with an adapter, or bare.
#[derive(Debug)]
pub struct Inference {
    model: Llama,
    tokenizer: Tokenizer,
    factors: Factors,
}

impl Inference {
    /// Opens a model folder, with an adapter if there is one (its values in layout order).
    ///
    /// # Errors
    /// An unusable folder or device, or an adapter of another model.
    pub fn open(
        folder: &Path,
        adapter: Option<(&AdapterSpec, &[f32])>,
        dtype: Dtype,
        device: DeviceChoice,
    ) -> Result<Self, TrainError> {
        let device = step::device(device)?;
        let config = LlamaConfig::open(folder)?;
        let model = Llama::assemble(&config, &read_weights(folder, &config, step::kind(dtype), device)?)?;
        let tokenizer = Tokenizer::open(folder, u32::try_from(config.vocabulary).unwrap_or(u32::MAX))?;
        let mut inference = Self { model, tokenizer, factors: Factors::default() };
        if let Some((spec, values)) = adapter {
            inference.adapt(spec, values)?;
        }
        Ok(inference)
    }

    /// Puts another adapter on.
    ///
    /// # Errors
    /// An adapter of another model.
    pub fn adapt(&mut self, spec: &AdapterSpec, values: &[f32]) -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        let mut lora = Lora::new(self.model.config(), spec, self.model.device())?;
        lora.set(values)?;
        self.factors = lora.factors(self.model.kind(), None)?;
        Ok(())
    }

    /// The tokenizer.
    #[must_use]
    pub const fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Loss and exact answers over a data file; format and row length from `options`.
    ///
    /// # Errors
    /// The file cannot be read, or a line is unusable and the format strict.
    pub fn evaluate(&self, data: &Path, options: &Options) -> Result<Evaluation, TrainError> {
        options.check()?;
        let mut silo = Silo::new(data, Side::HeldOut, options);
        silo.read(&self.tokenizer)?;
        let sequences: Vec<&Sequence> = silo.held_out().iter().collect();
        Ok(evaluate(&self.model, &self.factors, &sequences, options.sequence_length.min(self.model.positions()))?)
    }

    /// Goes on from `prompt` until the model ends the text. `listen` gets each new piece of text and returns whether to
    /// go on. A prompt too long for the model loses its beginning.
    ///
    /// # Errors
    /// libtorch or the tokenizer fails.
    pub fn complete(
        &self,
        prompt: &str,
        sampling: &Sampling,
        listen: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Completion, TrainError> {
        let _guard = tch::no_grad_guard();
        let mut prompt = self.tokenizer.encode(prompt, true)?;
        let room = self.model.positions();
        let kept = room.saturating_sub(sampling.max_tokens.min(room / 2)).max(1);
        prompt.drain(..prompt.len().saturating_sub(kept));
        if prompt.is_empty() {
            // Something must come first; the end token also begins a text.
            prompt.push(self.tokenizer.ends().first().copied().unwrap_or(0));
        }
        let limit = sampling.max_tokens.min(room - prompt.len().min(room));
        let prompt_tokens = prompt.len();
        let (mut ids, mut told, mut cache) = (Vec::new(), String::new(), Cache::default());
        let mut input: Vec<i64> = prompt.into_iter().map(i64::from).collect();
        let mut stop = Stop::Length;
        while ids.len() < limit {
            let next = pick(&self.logits(&input, &mut cache)?, sampling, ids.len());
            if self.tokenizer.is_end(next) {
                stop = Stop::End;
                break;
            }
            ids.push(next);
            input = vec![i64::from(next)];
            let text = self.tokenizer.decode(&ids)?;
            // An unfinished character waits for its other bytes.
            if !text.ends_with('\u{fffd}')
                && let Some(new) = text.strip_prefix(&told).filter(|new| !new.is_empty())
            {
                let go_on = listen(new);
                told = text;
                if !go_on {
                    stop = Stop::Listener;
                    break;
                }
            }
        }
        Ok(Completion { text: self.tokenizer.decode(&ids)?, ids, prompt_tokens, stop })
    }

    /// Logits after the last of `input`.
    fn logits(&self, input: &[i64], cache: &mut Cache) -> Result<Vec<f32>, TrainError> {
        let ids = Tensor::f_from_slice(input)?.f_unsqueeze(0)?.f_to_device(self.model.device())?;
        let hidden = self.model.hidden(&ids, &self.factors, Some(cache))?;
        Ok(floats(&self.model.logits(&hidden.f_narrow(0, hidden.size()[0] - 1, 1)?)?)?)
    }
}
