//! A member's data file as token sequences on two sides: training and held out.

use std::path::{Path, PathBuf};

use super::{Chunk, Report, Sequence, Watch, example::held_out, parse_line};
use crate::train::{Format, Long, Options, TrainError, data::Example, text::Tokenizer};

/// On which side a file's examples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// All are for training: there is a validation file.
    Training,
    /// All are held out: this is the validation file.
    HeldOut,
    /// The hash of the example decides.
    ByHash,
}

/// A data file, read so far.
#[derive(Debug)]
pub struct Silo {
    path: PathBuf,
    side: Side,
    format: Format,
    plain: bool,
    fraction: f64,
    long: Long,
    columns: usize,
    watch: Watch,
    report: Report,
    training: Vec<Sequence>,
    held_out: Vec<Sequence>,
}

impl Silo {
    /// A silo of which nothing was read yet.
    #[must_use]
    pub fn new(path: &Path, side: Side, options: &Options) -> Self {
        Self {
            path: path.to_owned(),
            side,
            format: options.format.clone(),
            plain: path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt")),
            fraction: options.holdout_fraction,
            long: options.long,
            columns: options.sequence_length,
            watch: Watch::new(path, options.format.line_bytes),
            report: Report::default(),
            training: Vec::new(),
            held_out: Vec::new(),
        }
    }

    /// Reads what was added to the file since the last call; a replaced file is read anew. Returns whether anything
    /// changed.
    ///
    /// # Errors
    /// The file cannot be read, the tokenizer fails, or a line is unusable and the format strict; nothing changed.
    pub fn read(&mut self, tokenizer: &Tokenizer) -> Result<bool, TrainError> {
        let mut watch = self.watch.clone();
        let format = &self.format;
        let plain = self.plain;
        let chunk = watch.read(|text| plain || parse_line(text, format).is_ok())?;
        if !chunk.replaced && chunk.lines.is_empty() {
            return Ok(false);
        }
        let mut report = if chunk.replaced { Report::default() } else { self.report.clone() };
        report.lines += chunk.lines.len() as u64;
        let examples = if plain { self.paragraphs(chunk, &mut report)? } else { self.objects(chunk, &mut report)? };
        let (mut training, mut held) = (Vec::new(), Vec::new());
        for example in &examples.list {
            if let Some(sequence) = self.fit(tokenizer.sequence(example)?, &mut report) {
                if self.is_held_out(&sequence) { held.push(sequence) } else { training.push(sequence) }
            }
        }
        if examples.replaced {
            self.training.clear();
            self.held_out.clear();
        }
        self.training.append(&mut training);
        self.held_out.append(&mut held);
        report.training = self.training.len() as u64;
        report.held_out = self.held_out.len() as u64;
        self.watch = watch;
        self.report = report;
        Ok(true)
    }

    /// Sequences to train on, in file order.
    #[must_use]
    pub fn training(&self) -> &[Sequence] {
        &self.training
    }

    /// Sequences held out, in file order.
    #[must_use]
    pub fn held_out(&self) -> &[Sequence] {
        &self.held_out
    }

    /// What the file holds, as far as it was read.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The report, with an unfinished last line as unusable.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn finished_report(&self) -> Result<Report, TrainError> {
        let mut report = self.report.clone();
        if let Some(number) = self.watch.unfinished()? {
            report.lines += 1;
            report.add_bad(number, super::BadReason::Unfinished);
        }
        Ok(report)
    }

    fn is_held_out(&self, sequence: &Sequence) -> bool {
        match self.side {
            Side::Training => false,
            Side::HeldOut => true,
            Side::ByHash => held_out(sequence.hash(), self.fraction),
        }
    }

    fn objects(&self, chunk: Chunk, report: &mut Report) -> Result<Examples, TrainError> {
        let mut list = Vec::new();
        for line in chunk.lines {
            let parsed = match line.text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => parse_line(&text, &self.format),
                Err(why) => Err(why),
            };
            match parsed {
                Ok(example) => list.push(example),
                Err(why) if self.format.strict => {
                    let why = why.to_string();
                    return Err(TrainError::BadLine { path: self.path.clone(), line: line.number, why });
                }
                Err(why) => report.add_bad(line.number, why),
            }
        }
        Ok(Examples { list, replaced: chunk.replaced })
    }

    /// Plain text: an example is what stands between blank lines.
    fn paragraphs(&self, chunk: Chunk, report: &mut Report) -> Result<Examples, TrainError> {
        let mut list = Vec::new();
        let mut paragraph = String::new();
        for line in chunk.lines {
            match line.text {
                Ok(text) if text.trim().is_empty() => {
                    list.extend(Example::text(paragraph.trim_end()));
                    paragraph.clear();
                }
                Ok(text) => {
                    paragraph.push_str(&text);
                    paragraph.push('\n');
                }
                Err(why) if self.format.strict => {
                    let why = why.to_string();
                    return Err(TrainError::BadLine { path: self.path.clone(), line: line.number, why });
                }
                Err(why) => report.add_bad(line.number, why),
            }
        }
        list.extend(Example::text(paragraph.trim_end()));
        Ok(Examples { list, replaced: chunk.replaced })
    }

    /// Deals with an example longer than a row, and counts.
    fn fit(&self, mut sequence: Sequence, report: &mut Report) -> Option<Sequence> {
        // A row of n inputs predicts n tokens and so holds n + 1.
        let room = self.columns + 1;
        if sequence.ids().len() > room {
            match self.long {
                Long::Split => report.split += 1,
                Long::Truncate => {
                    sequence.truncate(room);
                    report.truncated += 1;
                }
                Long::Skip => {
                    report.skipped += 1;
                    return None;
                }
            }
        }
        if sequence.counted() == 0 {
            report.skipped += 1;
            return None;
        }
        report.examples += 1;
        report.tokens += sequence.ids().len() as u64;
        report.counted += sequence.counted() as u64;
        Some(sequence)
    }
}

struct Examples {
    list: Vec<Example>,
    replaced: bool,
}
