//! The loss counts what it says it counts, and evaluation and generation agree with it.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]
#![cfg(feature = "torch")]
#![allow(missing_docs)]

use std::path::PathBuf;

use chorale::train::{
    DeviceChoice, Dtype, Long, Options,
    data::{Batch, Example, Order, Sequence, check, rows},
    text::Tokenizer,
    torch::{Factors, Inference, Llama, LlamaConfig, Sampling, Stop, evaluate, loss_sum, mean_loss, read_weights},
};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn folder() -> Option<PathBuf> {
    let path = std::env::var_os("CHORALE_SHARED").map(|shared| PathBuf::from(shared).join("models/stories260K"));
    if path.is_none() {
        eprintln!("skipped: CHORALE_SHARED not set");
    }
    path
}

fn open(folder: &std::path::Path) -> (Llama, Tokenizer) {
    let config = LlamaConfig::open(folder).unwrap();
    let weights = read_weights(folder, &config, Kind::Float, Device::Cpu).unwrap();
    (Llama::assemble(&config, &weights).unwrap(), Tokenizer::open(folder, 512).unwrap())
}

/// −ln p of every id of a sequence after those before it, by the definition.
fn by_hand(model: &Llama, ids: &[u32]) -> Vec<f64> {
    let _guard = tch::no_grad_guard();
    let input: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    let hidden = model.hidden(&Tensor::from_slice(&input).view([1, -1]), &Factors::default(), None).unwrap();
    let logits = model.logits(&hidden).unwrap().to_kind(Kind::Double);
    (1..ids.len())
        .map(|at| {
            let row: Vec<f64> = Vec::try_from(logits.get(at as i64 - 1)).unwrap();
            row.iter().map(|logit| logit.exp()).sum::<f64>().ln() - row[ids[at] as usize]
        })
        .collect()
}

fn sequences(tokenizer: &Tokenizer) -> Vec<Sequence> {
    let texts = [
        ("Once upon a time", ", there was a dog."),
        ("Lily", " saw a cat. It was red and big."),
        ("The sun", " was hot."),
    ];
    texts.iter().map(|(p, c)| tokenizer.sequence(&Example::prompted(p, c).unwrap()).unwrap()).collect()
}

#[test]
fn the_loss_is_that_of_the_completion_alone() {
    let Some(folder) = folder() else { return };
    let (model, tokenizer) = open(&folder);
    let sequences = sequences(&tokenizer);
    let (mut want, mut count) = (0.0, 0);
    for sequence in &sequences {
        assert!(sequence.masked() > 1 && sequence.ids().last() == Some(&2));
        want += by_hand(&model, sequence.ids())[sequence.masked() - 1..].iter().sum::<f64>();
        count += sequence.counted();
    }
    let all: Vec<&Sequence> = sequences.iter().collect();
    let mean = mean_loss(&model, &Factors::default(), &all, 64).unwrap().unwrap();
    assert!((mean - want / count as f64).abs() < 1e-4, "{mean}, by hand {}", want / count as f64);
    let evaluation = evaluate(&model, &Factors::default(), &all, 64).unwrap();
    assert!((evaluation.loss - mean).abs() < 1e-5);
    assert_eq!((evaluation.tokens, evaluation.examples), (count as u64, 3));
    let mut order = Order::new(0, 3);
    let batch = rows(&sequences, &mut order, 3, 64, false);
    let sum = loss_sum(&model, &Factors::default(), &batch).unwrap().double_value(&[]);
    assert!((sum - want).abs() < 1e-3 && batch.counted() == count, "{sum}, by hand {want}");
}

#[test]
fn a_packed_row_counts_what_its_examples_count() {
    let Some(folder) = folder() else { return };
    let (model, tokenizer) = open(&folder);
    let sequences = sequences(&tokenizer);
    let mut order = Order::new(0, 3);
    let batch: Batch = rows(&sequences, &mut order, 1, 40, true);
    let ids: Vec<u32> = batch.ids().iter().map(|&id| u32::try_from(id).unwrap()).collect();
    let losses = by_hand(&model, &ids);
    let inside = batch.labels().iter().zip(&losses).filter(|(label, _)| **label >= 0).map(|(_, loss)| loss);
    let last = *batch.labels().last().unwrap() >= 0;
    let sum = loss_sum(&model, &Factors::default(), &batch).unwrap().double_value(&[]);
    assert!(last || (sum - inside.sum::<f64>()).abs() < 1e-3);
    assert!(batch.counted() < 40 && batch.counted() > 10);
}

#[test]
fn an_answer_is_exact_if_greedy_decoding_gives_it() {
    let Some(folder) = folder() else { return };
    let inference = Inference::open(&folder, None, Dtype::F32, DeviceChoice::Cpu).unwrap();
    let sampling = Sampling { max_tokens: 16, ..Sampling::default() };
    let prompts = ["Once upon a time", "Lily and Tom", "The dog"];
    let (model, tokenizer) = open(&folder);
    let made: Vec<Sequence> = prompts
        .iter()
        .map(|prompt| {
            let completion = inference.complete(prompt, &sampling, &mut |_| true).unwrap();
            assert_eq!((completion.ids.len(), completion.stop), (16, Stop::Length));
            let before = tokenizer.encode(prompt, true).unwrap();
            Sequence::new([&before[..], &completion.ids].concat(), before.len(), [0; 32])
        })
        .collect();
    let mut other = made[0].ids().to_vec();
    *other.last_mut().unwrap() ^= 1;
    let other = Sequence::new(other, made[0].masked(), [1; 32]);
    let all: Vec<&Sequence> = made.iter().chain([&other]).collect();
    let evaluation = evaluate(&model, &Factors::default(), &all, 64).unwrap();
    assert_eq!((evaluation.examples, evaluation.exact), (4, 3));
    assert!((evaluation.accuracy() - 0.75).abs() < 1e-9);
}

#[test]
fn greedy_text_is_the_published_one_and_arrives_in_pieces() {
    let Some(folder) = folder() else { return };
    let golden: Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    let inference = Inference::open(&folder, None, Dtype::F32, DeviceChoice::Cpu).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let ids: Vec<u32> =
            case["greedy_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let before = case["ids"].as_array().unwrap().len();
        let sampling = Sampling { max_tokens: ids.len() - before, ..Sampling::default() };
        let mut heard = String::new();
        let prompt = case["prompt"].as_str().unwrap();
        let completion = inference
            .complete(prompt, &sampling, &mut |piece| {
                heard.push_str(piece);
                true
            })
            .unwrap();
        assert_eq!(completion.ids, ids[before..], "{prompt:?}");
        assert_eq!(heard, completion.text);
        assert!(case["greedy_text"].as_str().unwrap().ends_with(completion.text.trim_start()), "{prompt:?}");
    }
    let mut pieces = 0;
    let completion = inference
        .complete("Once", &Sampling::default(), &mut |_| {
            pieces += 1;
            pieces < 3
        })
        .unwrap();
    assert_eq!((pieces, completion.stop), (3, Stop::Listener));
}

#[test]
fn bfloat16_is_near_float32() {
    let Some(folder) = folder() else { return };
    let config = LlamaConfig::open(&folder).unwrap();
    let (model, tokenizer) = open(&folder);
    let weights = read_weights(&folder, &config, Kind::BFloat16, Device::Cpu).unwrap();
    let brain = Llama::assemble(&config, &weights).unwrap();
    let sequences = sequences(&tokenizer);
    let all: Vec<&Sequence> = sequences.iter().collect();
    let loss = |model| mean_loss(model, &Factors::default(), &all, 64).unwrap().unwrap();
    assert!((loss(&model) - loss(&brain)).abs() < 0.05, "{} and {}", loss(&model), loss(&brain));
}

#[test]
fn every_unusable_line_is_counted_and_named_and_strict_stops_at_the_first() {
    let Some(model) = folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    let long = "word ".repeat(200);
    let text = format!("{{\"text\": \"{long}\"}}");
    let lines =
        ["{\"text\": \"fine\"}", "", "no json", "{\"a\": 1}", &text, "{\"prompt\": \"x\", \"completion\": \"\"}", "[]"];
    let bytes = [lines.join("\n").as_bytes(), b"\n\xff\xfe\n{\"text\": \"unfin"].concat();
    std::fs::write(&data, bytes).unwrap();
    let options = Options { model, data, sequence_length: 64, long: Long::Truncate, ..Options::default() };
    let (report, none) = check(&options).unwrap();
    assert!(none.is_none());
    let numbers: Vec<u64> = report.named.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [3, 4, 6, 7, 8, 9], "{report:?}");
    assert_eq!((report.lines, report.examples, report.truncated, report.bad), (9, 2, 1, 6));
    assert!(report.tokens >= 65 && report.counted < report.tokens);
    let split = check(&Options { long: Long::Split, ..options.clone() }).unwrap().0;
    assert_eq!((split.split, split.truncated), (1, 0));
    let skipped = check(&Options { long: Long::Skip, ..options.clone() }).unwrap().0;
    assert_eq!((skipped.skipped, skipped.examples), (1, 1));
    let strict = chorale::train::Format { strict: true, ..options.format.clone() };
    let error = check(&Options { format: strict, ..options }).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}
