//! The shared model and tokenizers give what the reference implementation gave: logits, gradients and ids.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]
#![cfg(feature = "torch")]
#![allow(missing_docs)]

use std::path::PathBuf;

use chorale::train::{
    text::Tokenizer,
    torch::{Factors, Flat, Llama, LlamaConfig, Tensors, fingerprint, read_weights},
};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("CHORALE_SHARED").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: CHORALE_SHARED not set");
    }
    path
}

fn golden(folder: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

#[test]
fn logits_of_the_shared_model_agree_to_a_thousandth() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("models/stories260K");
    let config = LlamaConfig::open(&folder).unwrap();
    let model = Llama::assemble(&config, &read_weights(&folder, &config, Kind::Float, Device::Cpu).unwrap()).unwrap();
    let tokenizer = Tokenizer::open(&folder, 512).unwrap();
    let golden = golden(&folder);
    for case in golden["cases"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        let ids = ids(&case["ids"]);
        let own: Vec<i64> = tokenizer.encode(prompt, true).unwrap().into_iter().map(i64::from).collect();
        assert_eq!(own, ids, "{prompt:?}");
        let _guard = tch::no_grad_guard();
        let input = Tensor::from_slice(&ids).view([1, -1]);
        let hidden = model.hidden(&input, &Factors::default(), None).unwrap();
        let all = model.logits(&hidden).unwrap();
        let logits = all.get(-1);
        for pair in case["last_logits_top10"].as_array().unwrap() {
            let (id, want) = (pair[0].as_i64().unwrap(), pair[1].as_f64().unwrap());
            let got = logits.double_value(&[id]);
            assert!((got - want).abs() < 1e-3, "{prompt:?}: logit {id} is {got}, wanted {want}");
        }
        let sum = all.sum(Kind::Double).double_value(&[]);
        let want = case["logits_sum"].as_f64().unwrap();
        assert!((sum - want).abs() < 2e-2, "{prompt:?}: the sum of logits is {sum}, wanted {want}");
    }
}

#[test]
fn loss_and_gradients_of_the_shared_model_agree() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("models/stories260K");
    let config = LlamaConfig::open(&folder).unwrap();
    let tensors = read_weights(&folder, &config, Kind::Float, Device::Cpu).unwrap();
    let flats: Vec<(String, Vec<i64>, Flat)> =
        tensors.iter().map(|(name, tensor)| (name.clone(), tensor.size(), Flat::of(tensor).unwrap())).collect();
    let views: Tensors = flats.iter().map(|(name, size, flat)| (name.clone(), flat.value().view(&size[..]))).collect();
    let model = Llama::assemble(&config, &views).unwrap();
    let golden = golden(&folder);
    let ids = ids(&golden["grad"]["ids"]);
    let (inputs, labels) = (&ids[..ids.len() - 1], &ids[1..]);
    let hidden = model.hidden(&Tensor::from_slice(inputs).view([1, -1]), &Factors::default(), None).unwrap();
    let loss = model.logits(&hidden).unwrap().cross_entropy_for_logits(&Tensor::from_slice(labels));
    let want = golden["grad"]["loss"].as_f64().unwrap();
    assert!((loss.double_value(&[]) - want).abs() < 1e-4, "loss {loss:?}, wanted {want}");
    loss.backward();
    for (name, _, flat) in &flats {
        let norm = flat.gradient2().unwrap().sqrt();
        let want = golden["grad"]["grad_norms"][name].as_f64().unwrap();
        assert!((norm - want).abs() < 1e-4 + 1e-3 * want, "{name}: gradient norm {norm}, wanted {want}");
    }
}

#[test]
fn every_shared_tokenizer_gives_its_golden_ids() {
    let Some(shared) = shared() else { return };
    let text = std::fs::read_to_string(shared.join("tokenizers/golden.jsonl")).unwrap();
    let mut seen = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["tokenizer"].as_str().unwrap();
        let folder =
            if name == "stories260K" { shared.join("models").join(name) } else { shared.join("tokenizers").join(name) };
        let tokenizer = Tokenizer::open(&folder, u32::MAX).unwrap();
        let text = case["text"].as_str().unwrap();
        for (field, special) in [("ids", false), ("ids_special", true)] {
            let got: Vec<i64> = tokenizer.encode(text, special).unwrap().into_iter().map(i64::from).collect();
            assert_eq!(got, ids(&case[field]), "{name} {text:?} {field}");
        }
        seen += 1;
    }
    assert_eq!(seen, 30);
}

#[test]
fn a_fingerprint_changes_with_any_byte_of_the_folder() {
    let Some(shared) = shared() else { return };
    let source = shared.join("models/stories260K");
    let folder = tempfile::tempdir().unwrap();
    let files = ["config.json", "model.safetensors", "tokenizer.json"];
    for file in files {
        std::fs::copy(source.join(file), folder.path().join(file)).unwrap();
    }
    let base = fingerprint(folder.path()).unwrap();
    assert_eq!(base, fingerprint(&source).unwrap());
    for file in files {
        let path = folder.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        std::fs::write(&path, other).unwrap();
        assert_ne!(base, fingerprint(folder.path()).unwrap(), "{file}");
        std::fs::write(&path, bytes).unwrap();
    }
}
