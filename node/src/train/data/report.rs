//! What a data file holds, for people: the answer of `data check`.

use std::path::Path;

use super::{BadReason, Side, Silo};
use crate::train::{Options, TrainError, text::Tokenizer};

/// How many unusable lines are named; all are counted.
const NAMED: usize = 100;

/// What the lines of a silo came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines read, blank ones included.
    pub lines: u64,
    /// Usable examples, on both sides.
    pub examples: u64,
    /// Examples to train on.
    pub training: u64,
    /// Examples held out.
    pub held_out: u64,
    /// Tokens of all examples.
    pub tokens: u64,
    /// Of these, how many count in the loss.
    pub counted: u64,
    /// Examples longer than a row that go on in the next.
    pub split: u64,
    /// Examples whose end was cut off.
    pub truncated: u64,
    /// Examples left out because they are longer than a row, or because nothing of them would count.
    pub skipped: u64,
    /// Unusable lines.
    pub bad: u64,
    /// The first of them.
    pub named: Vec<BadLine>,
}

/// An unusable line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub number: u64,
    /// Why.
    pub why: BadReason,
}

impl Report {
    pub(super) fn add_bad(&mut self, number: u64, why: BadReason) {
        self.bad += 1;
        if self.named.len() < NAMED {
            self.named.push(BadLine { number, why });
        }
    }
}

/// Reads `options.data` (and `options.validation`) as training would, without a model: only the tokenizer of
/// `options.model` is needed. The second report is of the validation file.
///
/// # Errors
/// A file cannot be read, or a line is unusable and the options are strict.
pub fn check(options: &Options) -> Result<(Report, Option<Report>), TrainError> {
    options.check()?;
    let tokenizer = Tokenizer::open(&options.model, u32::MAX)?;
    let one = |path: &Path, side| -> Result<Report, TrainError> {
        let mut silo = Silo::new(path, side, options);
        silo.read(&tokenizer)?;
        silo.finished_report()
    };
    let validation = options.validation.as_deref().map(|path| one(path, Side::HeldOut)).transpose()?;
    let side = if validation.is_some() { Side::Training } else { Side::ByHash };
    Ok((one(&options.data, side)?, validation))
}
