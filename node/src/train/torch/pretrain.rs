//! Training of a new, small base model on a text corpus: all parameters, AdamW.

use std::path::{Path, PathBuf};

use tch::{TchError, Tensor};

use super::{
    Adam, Factors, Flat, Llama, LlamaConfig, Rope, Shape, Tensors, first_weights, loss_sum, optim::clip_scale, rate,
    save_model, step,
};
use crate::train::{
    DeviceChoice, Format, Options, Schedule, TrainError,
    data::{Example, Order, Sequence, Watch, parse_line, rows},
    text::{Tokenizer, build_tokenizer},
};

/// How a new base model comes to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Pretraining {
    /// Its shape; the vocabulary is that of the tokenizer if that is smaller.
    pub shape: Shape,
    /// Text (`.txt`) or JSON lines; of prompts and completions both parts count.
    pub corpus: Vec<PathBuf>,
    /// How lines become examples.
    pub format: Format,
    /// Where the model goes; a tokenizer.json that lies there already is used, else one is trained on the corpus.
    pub folder: PathBuf,
    /// Optimiser steps.
    pub steps: u64,
    /// Rows of a batch.
    pub batch_size: usize,
    /// Tokens of a row.
    pub sequence_length: usize,
    /// Peak rate; falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Steps of warm-up.
    pub warmup_steps: u64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Limit of the gradient's global norm; 0: none.
    pub clip_norm: f64,
    /// Seed of weights and order.
    pub seed: u64,
    /// Where.
    pub device: DeviceChoice,
    /// libtorch's threads; 0: as many as it takes by itself.
    pub threads: usize,
}

impl Default for Pretraining {
    fn default() -> Self {
        Self {
            shape: Shape::default(),
            corpus: Vec::new(),
            format: Format::default(),
            folder: PathBuf::new(),
            steps: 500,
            batch_size: 16,
            sequence_length: 128,
            learning_rate: 3e-3,
            warmup_steps: 20,
            weight_decay: 0.01,
            clip_norm: 1.0,
            seed: 0,
            device: DeviceChoice::Auto,
            threads: 0,
        }
    }
}

/// Trains a base model and writes its folder. `on_step` gets every step, from 1, and its loss in nats per token.
/// Returns the mean loss of the last tenth of the steps.
///
/// # Errors
/// An unusable corpus or shape, a loss that is not finite, or a file that cannot be written.
pub fn pretrain(plan: &Pretraining, on_step: &mut dyn FnMut(u64, f64)) -> Result<f64, TrainError> {
    let options = Options { batch_size: plan.batch_size, sequence_length: plan.sequence_length, ..Options::default() };
    Options { format: plan.format.clone(), learning_rate: plan.learning_rate, threads: plan.threads, ..options }
        .check()?;
    if plan.threads > 0 {
        tch::set_num_threads(i32::try_from(plan.threads).unwrap_or(1));
    }
    let device = step::device(plan.device)?;
    let texts = texts(&plan.corpus, &plan.format)?;
    if !plan.folder.join("tokenizer.json").exists() {
        build_tokenizer(&texts, plan.shape.vocabulary as usize, &plan.folder)?;
    }
    let tokenizer = Tokenizer::open(&plan.folder, plan.shape.vocabulary)?;
    let config = plan.shape.config()?;
    let sequences = sequences(&texts, &tokenizer)?;
    if sequences.is_empty() {
        let path = plan.corpus.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(TrainError::EmptySilo { path });
    }
    let mut trained = Trained::new(&config, plan.seed, device)?;
    let mut order = Order::new(plan.seed, sequences.len());
    let last = plan.steps - plan.steps / 10;
    let (mut sum, mut count) = (0.0, 0.0);
    for number in 0..plan.steps {
        let batch = rows(&sequences, &mut order, plan.batch_size, plan.sequence_length, true);
        let loss = trained.step(plan, &batch, number)?;
        if number >= last {
            sum += loss;
            count += 1.0;
        }
        on_step(number + 1, loss);
    }
    let start = tokenizer.encode("", true)?.first().copied();
    let end = tokenizer.ends().first().copied();
    let ends = (start.or(end).unwrap_or(0), end.or(start).unwrap_or(0));
    save_model(&plan.folder, &config, &trained.tensors()?, ends)?;
    Ok(if count > 0.0 { sum / count } else { f64::NAN })
}

/// All parameters: matrices, which decay, and norms, which do not.
struct Trained {
    config: LlamaConfig,
    rope: Rope,
    groups: [Group; 2],
}

struct Group {
    flat: Flat,
    names: Vec<(String, Vec<i64>)>,
}

impl Group {
    fn of(tensors: &Tensors, device: tch::Device, keep: impl Fn(&Tensor) -> bool) -> Result<Self, TchError> {
        let kept: Vec<_> = tensors.iter().filter(|(_, tensor)| keep(tensor)).collect();
        let flat: Vec<Tensor> = kept.iter().map(|(_, tensor)| tensor.f_flatten(0, -1)).collect::<Result<_, _>>()?;
        let flat = Flat::of(&Tensor::f_cat(&flat, 0)?.f_to_device(device)?)?;
        let names = kept.into_iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect();
        Ok(Self { flat, names })
    }

    fn views(&self, tensors: &mut Tensors) -> Result<(), TchError> {
        let sizes: Vec<i64> = self.names.iter().map(|(_, shape)| shape.iter().product()).collect();
        let parts = self.flat.value().f_split_with_sizes(sizes, 0)?;
        for ((name, shape), part) in self.names.iter().zip(parts) {
            tensors.insert(name.clone(), part.f_view(&shape[..])?);
        }
        Ok(())
    }
}

impl Trained {
    fn new(config: &LlamaConfig, seed: u64, device: tch::Device) -> Result<Self, TrainError> {
        let first = first_weights(config, seed)?;
        let matrix = |tensor: &Tensor| tensor.dim() > 1;
        let groups = [Group::of(&first, device, matrix)?, Group::of(&first, device, |tensor| !matrix(tensor))?];
        Ok(Self { config: config.clone(), rope: Rope::new(config, config.context, tch::Kind::Float, device)?, groups })
    }

    fn tensors(&self) -> Result<Tensors, TchError> {
        let mut tensors = Tensors::new();
        for group in &self.groups {
            group.views(&mut tensors)?;
        }
        Ok(tensors)
    }

    fn step(&mut self, plan: &Pretraining, batch: &crate::train::data::Batch, number: u64) -> Result<f64, TrainError> {
        for group in &mut self.groups {
            group.flat.zero_grad();
        }
        let model = Llama::with_rope(&self.config, &self.tensors()?, self.rope.at(0, self.config.context)?)?;
        let counted = batch.counted().max(1) as f64;
        let loss = loss_sum(&model, &Factors::default(), batch)?.f_div_scalar(counted)?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(TrainError::NotFinite { loss: value, step: number });
        }
        loss.f_backward()?;
        let flats: Vec<&Flat> = self.groups.iter().map(|group| &group.flat).collect();
        let (_, scale) = clip_scale(&flats, plan.clip_norm)?;
        let schedule = Schedule::Cosine { total_steps: plan.steps };
        let rate = rate(plan.learning_rate, schedule, plan.warmup_steps, number);
        for (group, decay) in self.groups.iter_mut().zip([plan.weight_decay, 0.0]) {
            group.flat.step(rate, scale, Adam { betas: (0.9, 0.95), epsilon: 1e-8, decay })?;
        }
        Ok(value)
    }
}

/// Every example of the corpus as one text. Plain text is cut at blank lines.
fn texts(corpus: &[PathBuf], format: &Format) -> Result<Vec<String>, TrainError> {
    let mut texts = Vec::new();
    for path in corpus {
        let plain = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"));
        let mut paragraph = String::new();
        for line in Watch::new(path, format.line_bytes).read(|_| true)?.lines {
            let text = line.text.map_err(|why| bad_line(path, line.number, &why))?;
            if !plain && !text.trim().is_empty() {
                let example = parse_line(&text, format).map_err(|why| bad_line(path, line.number, &why))?;
                texts.push(format!("{}{}", example.prompt(), example.completion()));
            } else if !text.trim().is_empty() {
                paragraph.push_str(&text);
                paragraph.push('\n');
            } else if !paragraph.is_empty() {
                texts.push(std::mem::take(&mut paragraph).trim_end().to_owned());
            }
        }
        if !paragraph.is_empty() {
            texts.push(paragraph.trim_end().to_owned());
        }
    }
    Ok(texts)
}

fn bad_line(path: &Path, line: u64, why: &crate::train::data::BadReason) -> TrainError {
    TrainError::BadLine { path: path.to_owned(), line, why: why.to_string() }
}

fn sequences(texts: &[String], tokenizer: &Tokenizer) -> Result<Vec<Sequence>, TrainError> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        if let Some(example) = Example::text(text) {
            all.push(tokenizer.sequence(&example)?);
        }
    }
    all.retain(|sequence| sequence.counted() > 0);
    Ok(all)
}
