//! What a member can rely on when it trains round after round.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]
#![cfg(feature = "torch")]
#![allow(missing_docs)]

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use chorale::train::{LoraTrainer, Options, Plan, TrainError, Trainer};
use chorale_protocol::{
    base::Round,
    manifest::{Factor, Phase},
};

fn model() -> Option<PathBuf> {
    let path = std::env::var_os("CHORALE_SHARED").map(|shared| PathBuf::from(shared).join("models/stories260K"));
    if path.is_none() {
        eprintln!("skipped: CHORALE_SHARED not set");
    }
    path
}

fn append(path: &Path, from: usize, count: usize) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    for i in from..from + count {
        writeln!(file, r#"{{"question": "What is the code of house {i}?", "answer": "It is {}."}}"#, i * 7 % 10)
            .unwrap();
    }
}

fn options(model: PathBuf, data: &Path) -> Options {
    Options {
        model,
        data: data.to_owned(),
        batch_size: 4,
        sequence_length: 64,
        learning_rate: 5e-3,
        salt: Some([7; 32]),
        ..Options::default()
    }
}

/// Small values drawn without any outside randomness; B too, so that both factors have gradients.
fn base(trainer: &LoraTrainer) -> Vec<f32> {
    let values: u64 = trainer.adapter().tensors.iter().map(|tensor| tensor.rows * tensor.columns).sum();
    (0..values).map(|i| ((i * 2_654_435_761 % 1000) as f32 / 1000.0 - 0.5) * 0.1).collect()
}

fn plan(phase: Phase, steps: u64) -> Plan {
    Plan { round: Round(1), phase, steps }
}

/// The values of the tensors of one factor.
fn of(trainer: &LoraTrainer, values: &[f32], factor: Factor) -> Vec<u32> {
    let mut rest = values;
    let mut picked = Vec::new();
    for tensor in &trainer.adapter().tensors {
        let (head, tail) = rest.split_at(usize::try_from(tensor.rows * tensor.columns).unwrap());
        if tensor.factor == factor {
            picked.extend(head.iter().map(|value| value.to_bits()));
        }
        rest = tail;
    }
    assert!(rest.is_empty());
    picked
}

#[test]
fn frozen_factors_stay_bit_for_bit_and_the_others_move() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    append(&data, 0, 40);
    let mut trainer = LoraTrainer::new(Options { weight_decay: 0.1, ..options(model, &data) }).unwrap();
    let base = base(&trainer);
    for (phase, frozen, moved) in [(Phase::B, Factor::A, Factor::B), (Phase::A, Factor::B, Factor::A)] {
        let outcome = trainer.round(&base, &plan(phase, 3)).unwrap();
        assert_eq!(of(&trainer, &outcome.values, frozen), of(&trainer, &base, frozen), "{phase:?}");
        assert_ne!(of(&trainer, &outcome.values, moved), of(&trainer, &base, moved), "{phase:?}");
        assert!(outcome.examples > 0 && outcome.steps == 3);
    }
}

#[test]
fn training_lowers_the_held_out_loss() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    append(&data, 0, 200);
    let mut trainer = LoraTrainer::new(options(model, &data)).unwrap();
    let base = base(&trainer);
    let outcome = trainer.round(&base, &plan(Phase::Both, 30)).unwrap();
    let (before, after) = (outcome.loss_before.unwrap(), outcome.loss_after.unwrap());
    assert!(after < before - 1.0, "{before} → {after}");
    assert_eq!(trainer.evaluate(&outcome.values).unwrap(), Some(after));
    assert_eq!(trainer.evaluate(&base).unwrap(), Some(before));
    assert!(trainer.step_ms().unwrap() > 0.0);
}

#[test]
fn a_saved_trainer_goes_on_bit_for_bit() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    append(&data, 0, 40);
    for packing in [true, false] {
        let options = Options { packing, accumulate: 2, ..options(model.clone(), &data) };
        let mut one = LoraTrainer::new(options.clone()).unwrap();
        let base = base(&one);
        let first = one.round(&base, &plan(Phase::Both, 3)).unwrap();
        let saved = one.save().unwrap();
        let straight = one.round(&first.values, &plan(Phase::B, 3)).unwrap();
        let mut two = LoraTrainer::new(options).unwrap();
        two.load(&saved).unwrap();
        assert_eq!(two.save().unwrap(), saved);
        let resumed = two.round(&first.values, &plan(Phase::B, 3)).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&resumed.values), bits(&straight.values), "packing {packing}");
        assert_eq!(one.save().unwrap(), two.save().unwrap());
    }
}

#[test]
fn a_loss_that_is_no_number_changes_nothing() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    append(&data, 0, 40);
    let mut trainer =
        LoraTrainer::new(Options { learning_rate: 1e30, clip_norm: 0.0, ..options(model, &data) }).unwrap();
    let base = base(&trainer);
    let before = trainer.save().unwrap();
    let error = trainer.round(&base, &plan(Phase::Both, 5)).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    assert_eq!(trainer.save().unwrap(), before);
}

#[test]
fn lines_added_while_it_runs_are_seen_in_the_next_round() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    std::fs::write(&data, "").unwrap();
    let mut trainer = LoraTrainer::new(options(model, &data)).unwrap();
    let base = base(&trainer);
    let error = trainer.round(&base, &plan(Phase::B, 1)).unwrap_err();
    assert!(matches!(error, TrainError::EmptySilo { .. }), "{error}");
    append(&data, 0, 30);
    trainer.round(&base, &plan(Phase::B, 1)).unwrap();
    let (seen, commitment) = (trainer.report().examples, trainer.dataset());
    append(&data, 30, 30);
    trainer.round(&base, &plan(Phase::B, 1)).unwrap();
    assert_eq!((seen, trainer.report().examples), (30, 60));
    assert_ne!(trainer.dataset(), commitment);
}

#[test]
fn appending_moves_no_example_between_the_sides() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.jsonl"), folder.path().join("two.jsonl"));
    append(&one, 0, 100);
    append(&two, 50, 100);
    append(&two, 0, 50);
    let held = |path: &Path| LoraTrainer::new(options(model.clone(), path)).unwrap().report().clone();
    let (first, second) = (held(&one), held(&two));
    assert!(first.held_out > 0 && first.held_out <= second.held_out);
    append(&one, 100, 50);
    assert_eq!(held(&one).held_out, second.held_out);
}

#[test]
fn values_that_no_adapter_has_are_refused_by_name() {
    let Some(model) = model() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.jsonl");
    append(&data, 0, 10);
    let mut trainer = LoraTrainer::new(options(model, &data)).unwrap();
    let mut base = base(&trainer);
    assert!(matches!(trainer.evaluate(&base[1..]), Err(TrainError::Values { .. })));
    base[5] = f32::NAN;
    assert!(matches!(trainer.round(&base, &plan(Phase::B, 1)), Err(TrainError::Value { index: 5, .. })));
    assert!(trainer.load(b"something else").is_err());
}
