//! Models and adapters go back and forth between the node and Hugging Face libraries. Needs a Python with transformers
//! and peft, named by the environment variable `CHORALE_PYTHON`.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]
#![cfg(feature = "torch")]
#![allow(missing_docs)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chorale::train::{
    DeviceChoice, Dtype, PROJECTIONS, TrainError,
    torch::{
        Factors, Inference, Llama, LlamaConfig, Lora, Pretraining, Sampling, Shape, export_merged, export_peft,
        first_weights, pretrain, read_weights, save_model,
    },
};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn python() -> Option<PathBuf> {
    let path = std::env::var_os("CHORALE_PYTHON").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: CHORALE_PYTHON not set");
    }
    path
}

/// Runs a script in `folder`; it must succeed.
fn run(python: &Path, folder: &Path, script: &str) {
    let output = Command::new(python)
        .args(["-c", script])
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("OMP_NUM_THREADS", "1")
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const IDS: [i64; 24] = [1, 5, 9, 44, 2, 17, 8, 8, 63, 30, 12, 7, 3, 60, 51, 20, 33, 41, 6, 1, 0, 19, 27, 38];

/// Logits of [`IDS`], flat.
fn logits(model: &Llama, factors: &Factors) -> Vec<f32> {
    let _guard = tch::no_grad_guard();
    let hidden = model.hidden(&Tensor::from_slice(&IDS).view([1, -1]), factors, None).unwrap();
    Vec::try_from(model.logits(&hidden).unwrap().view([-1])).unwrap()
}

fn open(folder: &Path) -> Llama {
    let config = LlamaConfig::open(folder).unwrap();
    Llama::assemble(&config, &read_weights(folder, &config, Kind::Float, Device::Cpu).unwrap()).unwrap()
}

fn compare(what: &str, got: &[f32], want: &Value, tolerance: f64) {
    let want: Vec<f64> = want.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert_eq!(got.len(), want.len(), "{what}");
    let worst = got.iter().zip(&want).map(|(&got, want)| (f64::from(got) - want).abs()).fold(0.0, f64::max);
    assert!(worst < tolerance, "{what}: logits differ by {worst}");
}

const MODELS: &str = r#"
import json, torch
from transformers import LlamaConfig, LlamaForCausalLM
ids = torch.tensor([[1, 5, 9, 44, 2, 17, 8, 8, 63, 30, 12, 7, 3, 60, 51, 20, 33, 41, 6, 1, 0, 19, 27, 38]])
base = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=64, tie_word_embeddings=False, initializer_range=0.3)
llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
cases = {
    "plain": {}, "tied": dict(tie_word_embeddings=True), "grouped": dict(num_key_value_heads=2),
    "one_key_head": dict(num_key_value_heads=1), "biases": dict(attention_bias=True, mlp_bias=True),
    "wide_heads": dict(head_dim=16), "llama3": dict(rope_scaling=llama3, rope_parameters=dict(llama3, rope_theta=500.0)),
    "linear": dict(rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=10000.0)),
    "eps": dict(rms_norm_eps=0.1), "sharded": {}, "half": {}, "brain": {},
}
out = {}
for seed, (name, extra) in enumerate(cases.items()):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**(base | extra))).eval()
    for key, parameter in model.named_parameters():
        if key.endswith("bias") or "norm" in key:
            torch.nn.init.normal_(parameter, 0.5, 0.3)
    model = model.to({"half": torch.float16, "brain": torch.bfloat16}.get(name, torch.float32))
    model.save_pretrained(name, **(dict(max_shard_size="12KB") if name == "sharded" else {}))
    model = LlamaForCausalLM.from_pretrained(name, dtype=torch.float32).eval()
    with torch.no_grad():
        out[name] = model(ids).logits.flatten().tolist()
json.dump(out, open("logits.json", "w"))
"#;

#[test]
fn random_models_of_every_shape_give_the_reference_logits() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    run(&python, folder.path(), MODELS);
    let wanted = json(&folder.path().join("logits.json"));
    assert!(folder.path().join("sharded/model.safetensors.index.json").exists());
    assert_eq!(wanted.as_object().unwrap().len(), 12);
    for (name, want) in wanted.as_object().unwrap() {
        compare(name, &logits(&open(&folder.path().join(name)), &Factors::default()), want, 1e-4);
    }
}

fn shape() -> Shape {
    Shape { hidden: 32, intermediate: 48, layers: 2, heads: 4, kv_heads: 2, vocabulary: 64, context: 64, tied: false }
}

const ADAPTERS: &str = r#"
import json, torch
from transformers import AutoModelForCausalLM
from peft import PeftModel
ids = torch.tensor([[1, 5, 9, 44, 2, 17, 8, 8, 63, 30, 12, 7, 3, 60, 51, 20, 33, 41, 6, 1, 0, 19, 27, 38]])
out = {}
with torch.no_grad():
    out["bare"] = AutoModelForCausalLM.from_pretrained("base").float()(ids).logits.flatten().tolist()
    for name in ["all", "some"]:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("base").float(), name).eval()
        out[name] = model(ids).logits.flatten().tolist()
    out["merged"] = AutoModelForCausalLM.from_pretrained("merged").float()(ids).logits.flatten().tolist()
json.dump(out, open("logits.json", "w"))
"#;

#[test]
fn an_exported_adapter_does_in_peft_what_it_does_here() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    let config = shape().config().unwrap();
    let mut weights = first_weights(&config, 3).unwrap();
    weights.values_mut().filter(|tensor| tensor.dim() > 1).for_each(|tensor| *tensor = &*tensor * 10.0);
    save_model(&base, &config, &weights, (1, 2)).unwrap();
    let model = open(&base);
    let all = PROJECTIONS.map(str::to_owned).to_vec();
    let some = vec!["q_proj".to_owned(), "down_proj".to_owned()];
    let mut own = Vec::new();
    for (name, rank, alpha, targets) in [("all", 4, 8, &all), ("some", 3, 16, &some)] {
        let spec = Lora::spec(&config, rank, alpha, 0, targets);
        let mut lora = Lora::new(&config, &spec, Device::Cpu).unwrap();
        let values: Vec<f32> = (0..lora.len()).map(|i| ((i * 7919) % 1000) as f32 * 2e-4 - 0.1).collect();
        lora.set(&values).unwrap();
        export_peft(&spec, &values, "base", &folder.path().join(name)).unwrap();
        if name == "all" {
            export_merged(&base, &spec, &values, &folder.path().join("merged")).unwrap();
        }
        own.push((name, logits(&model, &lora.factors(Kind::Float, None).unwrap())));
    }
    run(&python, folder.path(), ADAPTERS);
    let wanted = json(&folder.path().join("logits.json"));
    compare("bare", &logits(&model, &Factors::default()), &wanted["bare"], 1e-4);
    for (name, got) in &own {
        compare(name, got, &wanted[name], 1e-4);
        assert_ne!(wanted[name], wanted["bare"]);
    }
    compare("merged", &own[0].1, &wanted["merged"], 1e-4);
}

const LOADED: &str = r#"
import json, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained("made").float(), AutoTokenizer.from_pretrained("made")
ids = tokenizer("the house", return_tensors="pt").input_ids
made = model.generate(ids, max_new_tokens=12, do_sample=False)[0][ids.shape[1]:]
json.dump({"ids": ids[0].tolist(), "text": tokenizer.decode(made, skip_special_tokens=True)}, open("made.json", "w"))
"#;

#[test]
fn a_base_model_made_here_is_one_for_hugging_face_too() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus.txt");
    std::fs::write(&corpus, "the house is red\n\nthe tree is green\n\nthe house is old\n".repeat(20)).unwrap();
    let made = folder.path().join("made");
    let plan = Pretraining {
        shape: Shape { vocabulary: 280, ..shape() },
        corpus: vec![corpus],
        folder: made.clone(),
        steps: 40,
        batch_size: 8,
        sequence_length: 16,
        device: DeviceChoice::Cpu,
        ..Pretraining::default()
    };
    let mut losses = Vec::new();
    let last = pretrain(&plan, &mut |_, loss| losses.push(loss)).unwrap();
    assert!(losses.len() == 40 && last < losses[0] / 2.0, "{losses:?}");
    run(&python, folder.path(), LOADED);
    let wanted = json(&folder.path().join("made.json"));
    let inference = Inference::open(&made, None, Dtype::F32, DeviceChoice::Cpu).unwrap();
    let ids = inference.tokenizer().encode("the house", true).unwrap();
    assert_eq!(serde_json::json!(ids), wanted["ids"]);
    let sampling = Sampling { max_tokens: 12, ..Sampling::default() };
    assert_eq!(inference.complete("the house", &sampling, &mut |_| true).unwrap().text, wanted["text"]);
}

#[test]
fn every_fault_of_a_model_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = shape().config().unwrap();
    let mut weights = first_weights(&config, 0).unwrap();
    weights.remove("model.layers.1.mlp.up_proj.weight");
    weights.insert("model.norm.weight".into(), Tensor::ones([31], (Kind::Float, Device::Cpu)));
    weights.insert("model.layers.0.self_attn.q_norm.weight".into(), Tensor::ones([8], (Kind::Float, Device::Cpu)));
    save_model(folder.path(), &config, &weights, (1, 2)).unwrap();
    let error = read_weights(folder.path(), &config, Kind::Float, Device::Cpu).unwrap_err().to_string();
    for name in ["layers.1.mlp.up_proj.weight is missing", "[31], wanted [32]", "q_norm.weight is not part"] {
        assert!(error.contains(name), "{error}");
    }
    let path = folder.path().join("config.json");
    let good = std::fs::read_to_string(&path).unwrap();
    for (from, to, named) in [
        ("\"llama\"", "\"gpt2\"", "gpt2"),
        ("\"silu\"", "\"gelu\"", "gelu"),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "do not divide"),
        ("\"hidden_size\": 32", "\"hidden_size\": -1", "hidden_size"),
        ("\"rope_theta\"", "\"rope_scaling\": {\"rope_type\": \"yarn\"}, \"rope_theta\"", "yarn"),
    ] {
        assert!(good.contains(from), "{good}");
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let error = LlamaConfig::open(folder.path()).unwrap_err();
        assert!(matches!(error, TrainError::Config { .. }) && error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_damaged_weight_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = shape().config().unwrap();
    save_model(folder.path(), &config, &first_weights(&config, 0).unwrap(), (1, 2)).unwrap();
    let path = folder.path().join("model.safetensors");
    let good = std::fs::read(&path).unwrap();
    let huge = [&u64::MAX.to_le_bytes()[..], &good[8..]].concat();
    for bytes in [&good[..good.len() - 1], &good[..7], &[], &huge[..]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(read_weights(folder.path(), &config, Kind::Float, Device::Cpu).is_err());
    }
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, r#"{"weight_map": {"model.norm.weight": "../model.safetensors"}}"#).unwrap();
    std::fs::write(&path, &good).unwrap();
    let error = read_weights(folder.path(), &config, Kind::Float, Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("of this folder"), "{error}");
}
