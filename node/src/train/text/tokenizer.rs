//! A model folder's tokenizer.json with its end-of-text tokens.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::train::{
    TrainError,
    data::{Example, Sequence},
};

/// The largest tokenizer.json that is read.
const TOKENIZER_BYTES: u64 = 256 << 20;

/// A tokenizer whose ids all lie below the model's vocabulary.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    ends: Vec<u32>,
    limit: u32,
}

impl Tokenizer {
    /// Reads `folder`/tokenizer.json, and end-of-text ids from generation_config.json, config.json or
    /// tokenizer_config.json, the first that has them. Ids at or above `vocabulary` are refused.
    ///
    /// # Errors
    /// Unreadable, or not a tokenizer.
    pub fn open(folder: &Path, vocabulary: u32) -> Result<Self, TrainError> {
        let path = folder.join("tokenizer.json");
        let bytes = crate::train::read_bounded(&path, TOKENIZER_BYTES)?;
        let wrong = |why: String| TrainError::Tokenizer { path: path.clone(), why };
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| wrong(error.to_string()))?;
        // Truncation and padding are this crate's business.
        inner.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        inner.with_padding(None);
        let mut ends = Vec::new();
        for name in ["generation_config.json", "config.json", "tokenizer_config.json"] {
            let file = folder.join(name);
            if ends.is_empty() && file.exists() {
                let bytes = crate::train::read_bounded(&file, TOKENIZER_BYTES)?;
                ends = end_ids(&serde_json::from_slice(&bytes).unwrap_or(Value::Null), &inner);
            }
        }
        ends.retain(|&id| id < vocabulary);
        Ok(Self { path, inner, ends, limit: vocabulary })
    }

    /// Ids of `text`; with `special`, what the tokenizer puts around a text (such as a start token), less an end token.
    ///
    /// # Errors
    /// The tokenizer fails, or gives an id that the model does not have.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, TrainError> {
        let wrong = |why: String| TrainError::Tokenizer { path: self.path.clone(), why };
        let encoding = self.inner.encode_fast(text, special).map_err(|error| wrong(error.to_string()))?;
        let mut ids = encoding.get_ids().to_vec();
        if special && ids.last().is_some_and(|id| self.ends.contains(id)) && !text.is_empty() {
            ids.pop();
        }
        if let Some(id) = ids.iter().find(|&&id| id >= self.limit) {
            return Err(wrong(format!(
                "gives id {id}, the model has {} embeddings: it is another model's",
                self.limit
            )));
        }
        Ok(ids)
    }

    /// Text of `ids` without special tokens.
    ///
    /// # Errors
    /// The tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TrainError> {
        let wrong =
            |error: tokenizers::Error| TrainError::Tokenizer { path: self.path.clone(), why: error.to_string() };
        self.inner.decode(ids, true).map_err(wrong)
    }

    /// Prompt and completion and an end token. The prompt's ids are those that [`Self::encode`] gives for it alone, so
    /// that the model meets at inference what it met in training.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn sequence(&self, example: &Example) -> Result<Sequence, TrainError> {
        let (prompt, completion) = (example.prompt(), example.completion());
        let mut ids;
        let mut masked = 0;
        if prompt.is_empty() {
            ids = self.encode(completion, true)?;
        } else {
            let before = self.encode(prompt, true)?;
            masked = before.len();
            ids = self.encode(&format!("{prompt}{completion}"), true)?;
            if !ids.starts_with(&before) {
                ids = before;
                ids.extend(self.encode(completion, false)?);
            }
        }
        ids.extend(self.ends.first());
        Ok(Sequence::new(ids, masked, example.hash()))
    }

    /// Whether `id` ends a text.
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// Token ids that end a text; the first is put behind training examples. May be empty.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }
}

fn end_ids(config: &Value, tokenizer: &tokenizers::Tokenizer) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match config.get("eos_token_id") {
        Some(Value::Array(many)) => many.iter().filter_map(id).collect(),
        Some(one) if one.is_u64() => id(one).into_iter().collect(),
        _ => {
            let token = config.get("eos_token");
            let text = token.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
            text.and_then(|text| tokenizer.token_to_id(text)).into_iter().collect()
        }
    }
}
