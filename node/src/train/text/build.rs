//! A small tokenizer trained on a corpus: byte-level BPE (Sennrich et al. 2016), lossless on any text.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    pre_tokenizers::byte_level::ByteLevel,
};

use crate::train::TrainError;

/// The special tokens, ids 0, 1 and 2.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// Trains a tokenizer of at most `vocabulary` tokens (at least 259: every byte and `<unk>`, `<s>`, `</s>`) on `texts` and
/// writes tokenizer.json and tokenizer_config.json into `folder`. `<s>` is put before every text.
///
/// # Errors
/// A vocabulary out of range, or the files cannot be written.
pub fn build_tokenizer<T: AsRef<str> + Sync>(texts: &[T], vocabulary: usize, folder: &Path) -> Result<(), TrainError> {
    if !(259..=1 << 17).contains(&vocabulary) {
        let got = vocabulary.to_string();
        return Err(TrainError::Option { name: "vocabulary", got, want: "259 to 131072" });
    }
    let path = folder.join("tokenizer.json");
    let wrong = |error: tokenizers::Error| TrainError::Tokenizer { path: path.clone(), why: error.to_string() };
    let mut tokenizer = TokenizerBuilder::<
        ModelWrapper,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    >::new()
    .with_model(BPE::default().into())
    .with_pre_tokenizer(Some(ByteLevel::new(false, true, true).into()))
    .with_decoder(Some(ByteLevel::default().into()))
    .build()
    .map_err(wrong)?;
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocabulary)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(SPECIAL.iter().map(|&token| AddedToken::from(token, true)).collect())
        .build();
    let mut model: TrainerWrapper = trainer.into();
    tokenizer.train(&mut model, texts.iter().map(AsRef::as_ref)).map_err(wrong)?;
    let text = tokenizer.to_string(false).map_err(wrong)?;
    let mut file: Value = serde_json::from_str(&text).map_err(|error| wrong(error.into()))?;
    file["post_processor"] = start_token();
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "unk_token": SPECIAL[0],
        "clean_up_tokenization_spaces": false,
    });
    std::fs::create_dir_all(folder).map_err(TrainError::write(folder))?;
    for (path, value) in [(path, file), (folder.join("tokenizer_config.json"), config)] {
        std::fs::write(&path, format!("{value:#}\n")).map_err(TrainError::write(&path))?;
    }
    Ok(())
}

/// The post-processor that puts `<s>` before a text.
fn start_token() -> Value {
    let [_, start, _] = SPECIAL;
    let special = json!({ "SpecialToken": { "id": start, "type_id": 0 } });
    let first = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let second = json!({ "Sequence": { "id": "B", "type_id": 0 } });
    json!({
        "type": "TemplateProcessing",
        "single": [special, first],
        "pair": [special, first, second],
        "special_tokens": { start: { "id": start, "ids": [1], "tokens": [start] } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{data::Example, text::Tokenizer};

    #[test]
    fn a_built_tokenizer_is_lossless_and_starts_every_text() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["the code of the house is seven", "the code of the tree is nine"];
        build_tokenizer(&texts, 300, folder.path()).unwrap();
        let tokenizer = Tokenizer::open(folder.path(), 300).unwrap();
        for text in ["the code", " naïve 日本 🙂\n\n", ""] {
            let ids = tokenizer.encode(text, true).unwrap();
            assert_eq!(ids[0], 1);
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
        assert_eq!(tokenizer.ends(), [2]);
        assert!(tokenizer.encode("the code of the house", false).unwrap().len() < 12);
    }

    #[test]
    fn a_sequence_masks_its_prompt_and_ends_its_text() {
        let folder = tempfile::tempdir().unwrap();
        build_tokenizer(&["Question: why? Answer: so"], 280, folder.path()).unwrap();
        let tokenizer = Tokenizer::open(folder.path(), 280).unwrap();
        let sequence = tokenizer.sequence(&Example::prompted("Question: why?", " so").unwrap()).unwrap();
        assert_eq!(sequence.ids()[..sequence.masked()], tokenizer.encode("Question: why?", true).unwrap());
        assert_eq!(sequence.ids().last(), Some(&2));
        assert_eq!(tokenizer.decode(&sequence.ids()[sequence.masked()..]).unwrap(), " so");
    }

    #[test]
    fn a_tokenizer_of_another_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        build_tokenizer(&["abc"], 300, folder.path()).unwrap();
        let error = Tokenizer::open(folder.path(), 20).unwrap().encode("zzz", false).unwrap_err();
        assert!(error.to_string().contains("20 embeddings"), "{error}");
    }
}
