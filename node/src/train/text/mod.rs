//! Text to token ids and back.

mod build;
mod tokenizer;

pub use build::build_tokenizer;
pub use tokenizer::Tokenizer;
