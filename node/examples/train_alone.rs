//! A lone LoRA run from the command line: the loss of every stretch, as JSON lines.
//!
//! `cargo run --release --example train_alone -- <model folder> <train.jsonl> <valid.jsonl> [steps] [every]`

#[cfg(not(feature = "torch"))]
fn main() {}

#[cfg(feature = "torch")]
fn main() -> anyhow::Result<()> {
    use anyhow::Context as _;
    use chorale::train::{Options, Schedule, torch::train_alone};

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = |at: usize| arguments.get(at).map(Into::into).context("wanted: model folder, train file, valid file");
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (steps, every) = (number(3, 60)?, number(4, 20)?);
    let options = Options {
        model: path(0)?,
        data: path(1)?,
        validation: Some(path(2)?),
        learning_rate: 5e-3,
        schedule: Schedule::Cosine { total_steps: steps.max(300) },
        ..Options::default()
    };
    train_alone(options, steps, every, &mut |stretch| {
        let line = serde_json::json!({
            "steps": stretch.steps, "train_loss": stretch.train_loss,
            "loss_before": stretch.loss_before, "loss_after": stretch.loss_after,
        });
        println!("{line}");
    })?;
    Ok(())
}
