//! What a member configures about its own training.

use std::path::PathBuf;

use super::TrainError;

/// The projections that LoRA can adapt, as Llama names them.
pub const PROJECTIONS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// What a member configures about its own training. `Default` is a sensible start; `model` and `data` must be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Hugging Face folder: config.json, *.safetensors, tokenizer.json.
    pub model: PathBuf,
    /// Private examples: JSON lines, or plain text when the name ends in `.txt`.
    pub data: PathBuf,
    /// Held-out examples in a file of their own; then nothing of `data` is held out.
    pub validation: Option<PathBuf>,
    /// How a line becomes an example.
    pub format: Format,
    /// r, 1 to 1024. Shared by all members.
    pub rank: u64,
    /// α; the scale is α / r. Shared by all members.
    pub alpha: u64,
    /// Which projections are adapted, of [`PROJECTIONS`]. Shared by all members.
    pub targets: Vec<String>,
    /// Seed of the starting A factors, as in the adapter spec. Shared by all members.
    pub seed: u64,
    /// Seed of the order in which examples are drawn; may differ between members.
    pub data_seed: u64,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// AdamW's β₁ and β₂.
    pub betas: (f64, f64),
    /// Optimiser steps over which the rate rises linearly from 0.
    pub warmup_steps: u64,
    /// What the rate does afterwards.
    pub schedule: Schedule,
    /// Rows of a micro-batch.
    pub batch_size: usize,
    /// Micro-batches whose gradients make one step.
    pub accumulate: usize,
    /// Tokens in a row.
    pub sequence_length: usize,
    /// Fill rows with one example after the other (true) or give each example a row of its own (false).
    pub packing: bool,
    /// What happens to an example longer than a row.
    pub long: Long,
    /// Gradients are shortened to this global norm; 0: never.
    pub clip_norm: f64,
    /// What the frozen model and the activations are computed in; LoRA and its moments are f32 always.
    pub dtype: Dtype,
    /// Where.
    pub device: DeviceChoice,
    /// libtorch's threads on the CPU; 0: one for each physical core.
    pub threads: usize,
    /// Share of examples held out by the hash of the example, 0 to 0.9.
    pub holdout_fraction: f64,
    /// At most so many held-out examples are used for a loss; 0: all.
    pub holdout_limit: usize,
    /// Salt of the commitment to the data set; without it there is no commitment.
    pub salt: Option<[u8; 32]>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            data: PathBuf::new(),
            validation: None,
            format: Format::default(),
            rank: 8,
            alpha: 16,
            targets: PROJECTIONS.iter().map(|&name| name.to_owned()).collect(),
            seed: 0,
            data_seed: 0,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            betas: (0.9, 0.999),
            warmup_steps: 0,
            schedule: Schedule::Constant,
            batch_size: 16,
            accumulate: 1,
            sequence_length: 256,
            packing: true,
            long: Long::Split,
            clip_norm: 1.0,
            dtype: Dtype::F32,
            device: DeviceChoice::Auto,
            threads: 0,
            holdout_fraction: 0.1,
            holdout_limit: 256,
            salt: None,
        }
    }
}

/// How a line of the data file becomes an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Field of running text: all of it counts in the loss.
    pub text: String,
    /// Field of a prompt, masked from the loss.
    pub prompt: String,
    /// Field of what follows the prompt.
    pub completion: String,
    /// Field of a question, put into `template`.
    pub question: String,
    /// Field of its answer.
    pub answer: String,
    /// `{question}` and then `{answer}`; everything before the answer is masked from the loss.
    pub template: String,
    /// An unusable line is an error rather than a counted warning.
    pub strict: bool,
    /// Bytes of the longest line that is read.
    pub line_bytes: usize,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            text: "text".into(),
            prompt: "prompt".into(),
            completion: "completion".into(),
            question: "question".into(),
            answer: "answer".into(),
            template: "Question: {question}\nAnswer: {answer}".into(),
            strict: false,
            line_bytes: 4 << 20,
        }
    }
}

/// What the learning rate does after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// Half a cosine from the peak to 0 at `total_steps` (all rounds together), then 0.
    Cosine {
        /** optimiser steps of the whole run, warm-up included */
        total_steps: u64,
    },
}

/// What happens to an example longer than a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// It goes on in the next row.
    Split,
    /// Its end is cut off.
    Truncate,
    /// It is left out.
    Skip,
}

/// What the frozen model is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// bfloat16.
    Bf16,
}

/// Where tensors live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA if libtorch has it, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device, or an error.
    Cuda,
}

impl Options {
    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainError::Option`], the first that is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        fn want(ok: bool, name: &'static str, got: impl ToString, want: &'static str) -> Result<(), TrainError> {
            if ok { Ok(()) } else { Err(TrainError::Option { name, got: got.to_string(), want }) }
        }
        let (b1, b2) = self.betas;
        want((1..=1024).contains(&self.rank), "rank", self.rank, "1 to 1024")?;
        want((1..=1 << 20).contains(&self.alpha), "alpha", self.alpha, "1 to 2^20")?;
        want(!self.targets.is_empty(), "targets", "empty", "one projection or more")?;
        for target in &self.targets {
            want(
                PROJECTIONS.contains(&target.as_str()),
                "targets",
                target,
                "some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
            )?;
        }
        let rate = self.learning_rate;
        want(rate.is_finite() && rate >= 0.0, "learning_rate", rate, "a finite number from 0")?;
        let decay = self.weight_decay;
        want(decay.is_finite() && decay >= 0.0, "weight_decay", decay, "a finite number from 0")?;
        want((0.0..1.0).contains(&b1) && (0.0..1.0).contains(&b2), "betas", format!("{b1}, {b2}"), "0 to below 1")?;
        want((1..=1 << 16).contains(&self.batch_size), "batch_size", self.batch_size, "1 to 65536")?;
        want((1..=1 << 16).contains(&self.accumulate), "accumulate", self.accumulate, "1 to 65536")?;
        want((2..=1 << 20).contains(&self.sequence_length), "sequence_length", self.sequence_length, "2 to 2^20")?;
        want(self.clip_norm.is_finite() && self.clip_norm >= 0.0, "clip_norm", self.clip_norm, "0 or more")?;
        want(self.threads <= 1024, "threads", self.threads, "0 to 1024")?;
        want((0.0..=0.9).contains(&self.holdout_fraction), "holdout_fraction", self.holdout_fraction, "0 to 0.9")?;
        let template = &self.format.template;
        let order = template.find("{question}").zip(template.find("{answer}")).is_some_and(|(q, a)| q < a);
        want(order, "template", template, "a text with {question} and then {answer}")?;
        want(self.format.line_bytes >= 64, "line_bytes", self.format.line_bytes, "64 or more")
    }
}
