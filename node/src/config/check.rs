//! From what was typed to what is meant.

use std::{collections::BTreeMap, fmt::Debug, path::PathBuf, str::FromStr, time::Duration};

use libp2p::Multiaddr;

use super::{Config, ConfigError, Home, Network, Source, TrainerKind, raw};
use crate::train::{DeviceChoice, Dtype, Long, Options, Schedule, TrainError};

/// Turns raw values into checked ones; remembers where each came from.
pub(super) struct Check<'a> {
    pub(super) home: &'a Home,
    pub(super) sources: &'a BTreeMap<String, Source>,
}

impl Check<'_> {
    pub(super) fn config(&self, raw: raw::Raw) -> Result<Config, ConfigError> {
        let label = raw.label.unwrap_or_else(|| "member".into());
        if !label_is_fine(&label) {
            return Err(self.value("label", &label, "1 to 64 characters of a-z 0-9 . _ -"));
        }
        let trainer = self.choice("train.trainer", raw.train.trainer.as_deref().unwrap_or("torch"), TRAINERS)?;
        let cosine = self.choice("train.schedule", raw.train.schedule.as_deref().unwrap_or("constant"), SCHEDULES)?;
        let cosine_steps = self.count("train.schedule_steps", raw.train.schedule_steps, 0, 1 << 40)?;
        let mut options = self.options(&raw.model, &raw.data, &raw.train)?;
        if cosine {
            options.schedule = Schedule::Cosine { total_steps: cosine_steps };
        }
        options.check().map_err(|error| self.option(&error))?;
        let network = Network {
            listen: self.addresses("network.listen", raw.network.listen, &["/ip4/0.0.0.0/tcp/0"])?,
            bootstrap: self.addresses("network.bootstrap", raw.network.bootstrap, &[])?,
            mdns: raw.network.mdns.unwrap_or(false),
        };
        let wait_percent = self.count("node.wait_percent", raw.node.wait_percent, 100, 10_000)?;
        let gather = self.count("node.gather_max_ms", raw.node.gather_max_ms, 30_000, 3_600_000)?;
        let start = self.count("node.start_wait_ms", raw.node.start_wait_ms, 5000, 3_600_000)?;
        let checkpoint = self.count("node.checkpoint_ms", raw.node.checkpoint_ms, 30_000, 86_400_000)?;
        let merge_threads = self.count("node.merge_threads", raw.node.merge_threads, 1, 1024)?;
        Ok(Config {
            label,
            trainer,
            train: options,
            network,
            merge_threads: self.size("node.merge_threads", merge_threads.max(1))?,
            wait_percent,
            gather_max: Duration::from_millis(gather),
            start_wait: Duration::from_millis(start),
            checkpoint: Duration::from_millis(checkpoint.max(100)),
            log: raw.node.log.unwrap_or_else(|| "info".into()),
        })
    }

    fn options(&self, model: &raw::Model, data: &raw::Data, train: &raw::Train) -> Result<Options, ConfigError> {
        let mut options = Options::default();
        let text = |to: &mut String, from: &Option<String>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        options.model = self.path(model.path.as_deref().unwrap_or("model"));
        options.data = self.path(data.train.as_deref().unwrap_or("data.jsonl"));
        options.validation = data.held_out.as_deref().filter(|path| !path.is_empty()).map(|path| self.path(path));
        options.holdout_fraction = data.holdout_fraction.unwrap_or(options.holdout_fraction);
        options.holdout_limit = self.sized("data.holdout_limit", data.holdout_limit, options.holdout_limit)?;
        text(&mut options.format.text, &data.text);
        text(&mut options.format.prompt, &data.prompt);
        text(&mut options.format.completion, &data.completion);
        text(&mut options.format.question, &data.question);
        text(&mut options.format.answer, &data.answer);
        text(&mut options.format.template, &data.template);
        options.format.strict = data.strict.unwrap_or(options.format.strict);
        options.sequence_length = self.sized("data.sequence_length", data.sequence_length, options.sequence_length)?;
        options.packing = data.packing.unwrap_or(options.packing);
        options.long = self.choice("data.long", data.long.as_deref().unwrap_or("split"), LONG)?;
        options.data_seed = self.count("data.seed", data.seed, 0, 1 << 53)?;
        options.device = self.choice("train.device", train.device.as_deref().unwrap_or("auto"), DEVICES)?;
        options.dtype = self.choice("train.precision", train.precision.as_deref().unwrap_or("f32"), PRECISIONS)?;
        options.learning_rate = train.learning_rate.unwrap_or(options.learning_rate);
        options.weight_decay = train.weight_decay.unwrap_or(options.weight_decay);
        options.clip_norm = train.clip_norm.unwrap_or(options.clip_norm);
        options.warmup_steps = self.count("train.warmup_steps", train.warmup_steps, 0, 1 << 40)?;
        options.batch_size = self.sized("train.batch", train.batch, options.batch_size)?;
        options.accumulate = self.sized("train.accumulate", train.accumulate, options.accumulate)?;
        options.threads = self.sized("train.threads", train.threads, options.threads)?;
        Ok(options)
    }

    fn value(&self, key: &'static str, got: impl ToString, want: &'static str) -> ConfigError {
        let from = self.sources.get(key).cloned().unwrap_or(Source::Default);
        ConfigError::Value { from, key, got: got.to_string(), want }
    }

    /// A range that the trainer knows, under the name that the file gives it.
    fn option(&self, error: &TrainError) -> ConfigError {
        let TrainError::Option { name, got, want } = error else {
            return self.value("train", error.to_string(), "options that can train");
        };
        let key = OPTION_KEYS.iter().find(|(option, _)| option == name).map_or("train", |(_, key)| key);
        self.value(key, got, want)
    }

    fn count(&self, key: &'static str, raw: Option<i64>, default: u64, max: u64) -> Result<u64, ConfigError> {
        let Some(raw) = raw else { return Ok(default) };
        u64::try_from(raw)
            .ok()
            .filter(|count| *count <= max)
            .ok_or_else(|| self.value(key, raw, "a whole number from 0, within reason"))
    }

    fn size(&self, key: &'static str, count: u64) -> Result<usize, ConfigError> {
        usize::try_from(count).map_err(|_| self.value(key, count, "a number that fits this machine"))
    }

    fn sized(&self, key: &'static str, raw: Option<i64>, default: usize) -> Result<usize, ConfigError> {
        match raw {
            None => Ok(default),
            Some(_) => self.size(key, self.count(key, raw, 0, 1 << 40)?),
        }
    }

    /// One of a few words. The last of `words` is what was wanted.
    fn choice<T: Copy + Debug>(&self, key: &'static str, got: &str, words: Words<T>) -> Result<T, ConfigError> {
        let found = words.0.iter().find(|(word, _)| *word == got).map(|(_, value)| *value);
        found.ok_or_else(|| self.value(key, format!("{got:?}"), words.1))
    }

    fn addresses(
        &self,
        key: &'static str,
        raw: Option<Vec<String>>,
        default: &[&str],
    ) -> Result<Vec<Multiaddr>, ConfigError> {
        let texts = raw.unwrap_or_else(|| default.iter().map(|&text| text.to_owned()).collect());
        let want = "multiaddresses such as /ip4/192.0.2.7/tcp/4001";
        texts
            .iter()
            .map(|text| Multiaddr::from_str(text).map_err(|_| self.value(key, format!("{text:?}"), want)))
            .collect()
    }

    /// Relative paths are relative to the home folder.
    fn path(&self, text: &str) -> PathBuf {
        self.home.root().join(text)
    }
}

/// 1 to 64 of `a-z 0-9 . _ -`.
#[must_use]
pub fn label_is_fine(label: &str) -> bool {
    (1..=64).contains(&label.len())
        && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

type Words<T> = (&'static [(&'static str, T)], &'static str);

const TRAINERS: Words<TrainerKind> =
    (&[("torch", TrainerKind::Torch), ("fake", TrainerKind::Fake)], "\"torch\" or \"fake\"");
const SCHEDULES: Words<bool> = (&[("constant", false), ("cosine", true)], "\"constant\" or \"cosine\"");
const LONG: Words<Long> = (
    &[("split", Long::Split), ("truncate", Long::Truncate), ("skip", Long::Skip)],
    "\"split\", \"truncate\" or \"skip\"",
);
const DEVICES: Words<DeviceChoice> = (
    &[("auto", DeviceChoice::Auto), ("cpu", DeviceChoice::Cpu), ("cuda", DeviceChoice::Cuda)],
    "\"auto\", \"cpu\" or \"cuda\"",
);
const PRECISIONS: Words<Dtype> = (&[("f32", Dtype::F32), ("bf16", Dtype::Bf16)], "\"f32\" or \"bf16\"");

/// The trainer's names for options, and the file's.
const OPTION_KEYS: [(&str, &str); 11] = [
    ("learning_rate", "train.learning_rate"),
    ("weight_decay", "train.weight_decay"),
    ("batch_size", "train.batch"),
    ("accumulate", "train.accumulate"),
    ("clip_norm", "train.clip_norm"),
    ("threads", "train.threads"),
    ("sequence_length", "data.sequence_length"),
    ("holdout_fraction", "data.holdout_fraction"),
    ("template", "data.template"),
    ("line_bytes", "data"),
    ("betas", "train"),
];
