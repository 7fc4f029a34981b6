//! Training on libtorch.

mod alone;
mod attention;
mod config;
mod eval;
mod export;
mod generate;
mod inference;
mod init;
mod lora;
mod model;
mod optim;
mod pretrain;
mod rope;
mod schedule;
mod step;
mod trainer;
mod weights;

pub use alone::{Alone, train_alone};
pub use attention::Cache;
pub use config::{LlamaConfig, Projection, RopeConfig, RopeScaling};
pub use eval::{Evaluation, evaluate, mean_loss};
pub use export::{export_merged, export_peft};
pub use inference::{Completion, Inference, Sampling, Stop};
pub use init::{Shape, first_weights, save_model};
pub use lora::{Factors, Lora};
pub use model::Llama;
pub use optim::{Adam, Flat};
pub use pretrain::{Pretraining, pretrain};
pub use rope::Rope;
pub use schedule::rate;
pub use step::{Step, device, kind, loss_sum};
pub use trainer::LoraTrainer;
pub use weights::{Tensors, fingerprint, read_weights, shards};
