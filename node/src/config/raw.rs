//! The configuration as it is typed: every key optional, none unknown.

use serde::Deserialize;

/// `chorale.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) label: Option<String>,
    pub(super) model: Model,
    pub(super) data: Data,
    pub(super) train: Train,
    pub(super) network: Network,
    pub(super) node: Node,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Model {
    pub(super) path: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Data {
    pub(super) train: Option<String>,
    pub(super) held_out: Option<String>,
    pub(super) holdout_fraction: Option<f64>,
    pub(super) holdout_limit: Option<i64>,
    pub(super) text: Option<String>,
    pub(super) prompt: Option<String>,
    pub(super) completion: Option<String>,
    pub(super) question: Option<String>,
    pub(super) answer: Option<String>,
    pub(super) template: Option<String>,
    pub(super) strict: Option<bool>,
    pub(super) sequence_length: Option<i64>,
    pub(super) packing: Option<bool>,
    pub(super) long: Option<String>,
    pub(super) seed: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Train {
    pub(super) trainer: Option<String>,
    pub(super) device: Option<String>,
    pub(super) precision: Option<String>,
    pub(super) learning_rate: Option<f64>,
    pub(super) schedule: Option<String>,
    pub(super) schedule_steps: Option<i64>,
    pub(super) warmup_steps: Option<i64>,
    pub(super) weight_decay: Option<f64>,
    pub(super) batch: Option<i64>,
    pub(super) accumulate: Option<i64>,
    pub(super) clip_norm: Option<f64>,
    pub(super) threads: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Network {
    pub(super) listen: Option<Vec<String>>,
    pub(super) bootstrap: Option<Vec<String>>,
    pub(super) mdns: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Node {
    pub(super) merge_threads: Option<i64>,
    pub(super) wait_percent: Option<i64>,
    pub(super) gather_max_ms: Option<i64>,
    pub(super) start_wait_ms: Option<i64>,
    pub(super) checkpoint_ms: Option<i64>,
    pub(super) log: Option<String>,
}
