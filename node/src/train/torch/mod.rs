//! Training on libtorch.

mod attention;
mod config;
mod eval;
mod lora;
mod model;
mod optim;
mod rope;
mod schedule;
mod step;
mod trainer;
mod weights;

pub use attention::Cache;
pub use config::{LlamaConfig, Projection, RopeConfig, RopeScaling};
pub use eval::{Evaluation, evaluate, mean_loss};
pub use lora::{Factors, Lora};
pub use model::Llama;
pub use optim::{Adam, Flat};
pub use rope::Rope;
pub use schedule::rate;
pub use step::{device, kind, loss_sum};
pub use trainer::LoraTrainer;
pub use weights::{Tensors, fingerprint, read_weights, shards};
