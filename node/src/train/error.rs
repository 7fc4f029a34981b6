//! Why training, loading or exporting failed.

use std::{io, path::PathBuf};

/// Why a round, a load or an export failed. Every variant says what came, what was wanted, what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss stopped being a number; nothing was changed.
    #[error("the loss became {loss} at step {step}; lower the learning rate (learning_rate in chorale.toml)")]
    NotFinite {
        /** what it became */
        loss: f64,
        /** when */
        step: u64,
    },
    /// There is nothing to train on.
    #[error("{path}: no usable training example; add lines such as {{\"prompt\": …, \"completion\": …}}")]
    EmptySilo {
        /** the data file */
        path: String,
    },
    /// A line of the data file is unusable and the options are strict.
    #[error("{path}, line {line}: {why}; mend the line, or turn strict off to skip such lines")]
    BadLine {
        /** the data file */
        path: PathBuf,
        /** its line, from 1 */
        line: u64,
        /** what is wrong */
        why: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /** the file */
        path: PathBuf,
        /** the system's word */
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /** the file */
        path: PathBuf,
        /** the system's word */
        source: io::Error,
    },
    /// The model's configuration is not one that can be trained.
    #[error("{path}: {why}")]
    Config {
        /** config.json */
        path: PathBuf,
        /** what came and what was wanted */
        why: String,
    },
    /// The model's tensors are not those that its configuration asks for; all problems are named.
    #[error("{path}: {}", .problems.join("; "))]
    Weights {
        /** the model folder or shard */
        path: PathBuf,
        /** one sentence each */
        problems: Vec<String>,
    },
    /// The tokenizer is unusable, or does not fit the model.
    #[error("tokenizer {path}: {why}")]
    Tokenizer {
        /** tokenizer.json */
        path: PathBuf,
        /** what is wrong */
        why: String,
    },
    /// An option is out of its range.
    #[error("option {name} is {got}, wanted {want}")]
    Option {
        /** its name */
        name: &'static str,
        /** what came */
        got: String,
        /** what is allowed */
        want: &'static str,
    },
    /// Something to train that only the format knows.
    #[error(
        "{what}: this version of chorale trains LoRA factors only, no tensor of the base model as a whole (kind dense)"
    )]
    Dense {
        /** the tensor, or the option */
        what: String,
    },
    /// A promise to the network that only the format knows.
    #[error("the network wants a privacy claim with every update, and this version of chorale makes none")]
    Private,
    /// The device asked for is not there.
    #[error("device {got:?}: {why}")]
    Device {
        /** what was asked for */
        got: String,
        /** why not, and what to do */
        why: &'static str,
    },
    /// An adapter of another size.
    #[error("an adapter of {got} values, the layout has {want}")]
    Values {
        /** values that came */
        got: usize,
        /** values of the layout */
        want: usize,
    },
    /// A value of the adapter is not finite.
    #[error("value {index} of the adapter is {value}, wanted a finite number")]
    Value {
        /** its place in layout order */
        index: usize,
        /** what came */
        value: f32,
    },
    /// Not a saved state of this trainer.
    #[error("saved training state: {0}; it belongs to another adapter or was damaged, start with reset moments")]
    State(&'static str),
    /// libtorch refused, for instance for lack of memory; nothing was changed.
    #[error("libtorch: {0}")]
    Torch(String),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl TrainError {
    /// For `map_err` on reading `path`.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// For `map_err` on writing `path`.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}

#[cfg(feature = "torch")]
impl From<tch::TchError> for TrainError {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends its C++ stack; the first line is for people.
        Self::Torch(error.to_string().lines().next().unwrap_or("unknown error").to_owned())
    }
}
