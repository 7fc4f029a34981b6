//! What a demo run works with: a model, a file of private examples for each member, one common test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use chorale::{
    config::label_is_fine,
    train::torch::{Pretraining, Shape, pretrain},
};

use super::{RunArgs, clinics};
use crate::cli::out::Out;

/// One member's private examples.
#[derive(Debug)]
pub(crate) struct Silo {
    pub(crate) label: String,
    pub(crate) data: PathBuf,
}

/// Everything that training needs.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) model: PathBuf,
    pub(crate) silos: Vec<Silo>,
    pub(crate) pooled: PathBuf,
    pub(crate) test: PathBuf,
    /// Tokens in a row.
    pub(crate) sequence_length: usize,
    /// Whether rows are filled up.
    pub(crate) packing: bool,
}

/// Tokens of a row of the generated text: a question and its answer.
const GENERATED_ROW: usize = 48;

/// Makes the synthetic consortium and its base model, or takes the user's own.
pub(crate) fn prepare(args: &RunArgs, folder: &Path, out: &Out) -> Result<Material> {
    let data = folder.join("data");
    fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
    if args.data.is_empty() { generated(args, folder, &data, out) } else { own(args, &data) }
}

fn generated(args: &RunArgs, folder: &Path, data: &Path, out: &Out) -> Result<Material> {
    let files = clinics::write(data, args.size, args.seed)?;
    out.line(format!("made four clinics' facts, a common test and public text in {}", data.display()));
    let model = match &args.model {
        Some(model) => model.clone(),
        None => base_model(args, folder, &files.public, out)?,
    };
    let silos: Vec<Silo> = clinics::CLINICS
        .iter()
        .zip(files.silos)
        .map(|(label, data)| Silo { label: (*label).to_owned(), data })
        .collect();
    let pooled = union(data, "pooled.jsonl", silos.iter().map(|silo| silo.data.as_path()))?;
    let sequence_length = args.sequence_length.unwrap_or(GENERATED_ROW);
    Ok(Material { model, silos, pooled, test: files.test, sequence_length, packing: false })
}

fn base_model(args: &RunArgs, folder: &Path, corpus: &Path, out: &Out) -> Result<PathBuf> {
    let model = folder.join("model");
    let shape = Shape {
        hidden: 96,
        intermediate: 256,
        layers: 3,
        heads: 4,
        kv_heads: 4,
        vocabulary: 512,
        context: 64,
        tied: true,
    };
    let plan = Pretraining {
        shape,
        corpus: vec![corpus.to_path_buf()],
        folder: model.clone(),
        steps: args.pretrain_steps,
        batch_size: 16,
        sequence_length: 64,
        learning_rate: 4e-3,
        seed: args.seed,
        ..Pretraining::default()
    };
    let bar = out.bar("base model", args.pretrain_steps);
    let loss = pretrain(&plan, &mut |step, loss| {
        bar.set_position(step);
        bar.set_message(format!("pre-training, loss {loss:.3}"));
    })?;
    bar.finish_and_clear();
    out.line(format!("pre-trained a base model on public text, loss {loss:.3}: {}", model.display()));
    Ok(model)
}

fn own(args: &RunArgs, folder: &Path) -> Result<Material> {
    let model = args.model.clone().context("--model: with --data a Hugging Face folder is needed, too")?;
    ensure!(args.data.len() >= 2, "--data: got one file, wanted one for each of two members or more");
    let (mut silos, mut tests) = (Vec::<Silo>::new(), Vec::new());
    for (at, path) in args.data.iter().enumerate() {
        let mut data = path.clone();
        if path.is_dir() {
            data = path.join("train.jsonl");
            if args.test.is_empty() {
                tests.push(path.join("test.jsonl"));
            }
        }
        let label = label(&data, at, &silos);
        silos.push(Silo { label, data });
    }
    tests.extend(args.test.iter().cloned());
    if tests.is_empty() {
        for silo in &mut silos {
            let (train, test) = split(&silo.data, folder, &silo.label)?;
            silo.data = train;
            tests.push(test);
        }
    }
    let pooled = union(folder, "pooled.jsonl", silos.iter().map(|silo| silo.data.as_path()))?;
    let test = union(folder, "test.jsonl", tests.iter().map(PathBuf::as_path))?;
    Ok(Material { model, silos, pooled, test, sequence_length: args.sequence_length.unwrap_or(256), packing: true })
}

/// The file's name, or its folder's if that says nothing, made into a label.
fn label(path: &Path, at: usize, taken: &[Silo]) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = if matches!(stem.as_str(), "train" | "data") {
        path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase()).unwrap_or(stem)
    } else {
        stem
    };
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    if label_is_fine(&name) && taken.iter().all(|silo| silo.label != name) { name } else { format!("member-{at}") }
}

/// Every tenth line is held out for the test.
fn split(path: &Path, folder: &Path, label: &str) -> Result<(PathBuf, PathBuf)> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let (mut train, mut test) = (String::new(), String::new());
    for (at, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
        let side = if at % 10 == 9 { &mut test } else { &mut train };
        side.push_str(line);
        side.push('\n');
    }
    ensure!(!test.is_empty(), "{}: fewer than ten lines; name a test file with --test", path.display());
    let paths = (folder.join(format!("{label}.train.jsonl")), folder.join(format!("{label}.test.jsonl")));
    fs::write(&paths.0, train).with_context(|| paths.0.display().to_string())?;
    fs::write(&paths.1, test).with_context(|| paths.1.display().to_string())?;
    Ok(paths)
}

fn union<'a>(folder: &Path, name: &str, files: impl Iterator<Item = &'a Path>) -> Result<PathBuf> {
    let mut all = String::new();
    for path in files {
        all += &fs::read_to_string(path).with_context(|| path.display().to_string())?;
        if !all.ends_with('\n') {
            all.push('\n');
        }
    }
    let path = folder.join(name);
    fs::write(&path, all).with_context(|| path.display().to_string())?;
    Ok(path)
}
