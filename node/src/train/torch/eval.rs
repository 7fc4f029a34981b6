//! Held-out loss, and how many answers greedy decoding would give word for word.

use tch::{Kind, TchError};

use super::{Factors, Llama, loss_sum, step::counted};
use crate::train::data::{Batch, IGNORE, Piece, Sequence};

/// Inputs in one evaluation batch, padding included.
const BATCH_INPUTS: usize = 1 << 13;

/// What an evaluation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evaluation {
    /// Mean loss, nats per counted token.
    pub loss: f64,
    /// Tokens that counted.
    pub tokens: u64,
    /// Examples.
    pub examples: u64,
    /// Of these, how many greedy decoding answers exactly, end token included.
    pub exact: u64,
}

impl Evaluation {
    /// The share of exact answers; 0 without examples.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        if self.examples == 0 { 0.0 } else { self.exact as f64 / self.examples as f64 }
    }
}

/// Mean loss over `sequences`, nats per counted token; `None` without any. Rows of `columns` inputs.
///
/// # Errors
/// libtorch fails.
pub fn mean_loss(
    model: &Llama,
    factors: &Factors,
    sequences: &[&Sequence],
    columns: usize,
) -> Result<Option<f64>, TchError> {
    let _guard = tch::no_grad_guard();
    let (mut sum, mut tokens) = (0.0, 0);
    for (_, batch) in batches(sequences, columns) {
        sum += loss_sum(model, factors, &batch)?.f_double_value(&[])?;
        tokens += batch.counted();
    }
    Ok((tokens > 0).then(|| sum / tokens as f64))
}

/// Loss and exact answers over `sequences`.
///
/// An answer is exact if greedy decoding of its prompt gives its tokens and then the end token. That holds just when
/// every one of them is the most likely after those before it, so one pass over the whole text decides; nothing is
/// generated. An example split over rows is exact if all its rows are.
///
/// # Errors
/// libtorch fails.
pub fn evaluate(
    model: &Llama,
    factors: &Factors,
    sequences: &[&Sequence],
    columns: usize,
) -> Result<Evaluation, TchError> {
    let _guard = tch::no_grad_guard();
    let mut exact = vec![true; sequences.len()];
    let mut evaluation = Evaluation { examples: sequences.len() as u64, ..Evaluation::default() };
    let mut sum = 0.0;
    for (owners, batch) in batches(sequences, columns) {
        let (hidden, labels) = counted(model, factors, &batch)?;
        let logits = model.logits(&hidden)?;
        let loss = logits.f_cross_entropy_loss(&labels, None::<&tch::Tensor>, tch::Reduction::Sum, IGNORE, 0.0)?;
        sum += loss.f_double_value(&[])?;
        evaluation.tokens += batch.counted() as u64;
        let hits = logits.f_argmax(-1, false)?.f_eq_tensor(&labels)?.f_to_device(tch::Device::Cpu)?;
        let hits: Vec<i64> = Vec::try_from(hits.f_to_kind(Kind::Int64)?)?;
        let width = usize::try_from(batch.shape()[1]).unwrap_or(1).max(1);
        let places = batch.labels().iter().enumerate().filter(|&(_, &label)| label != IGNORE);
        let all = hits.len() == batch.labels().len();
        for (rank, (place, _)) in places.enumerate() {
            if hits.get(if all { place } else { rank }) == Some(&0) {
                exact[owners[place / width]] = false;
            }
        }
    }
    evaluation.loss = if evaluation.tokens == 0 { 0.0 } else { sum / evaluation.tokens as f64 };
    evaluation.exact = exact.iter().filter(|&&hit| hit).count() as u64;
    Ok(evaluation)
}

/// Rows of about the same length together; with each batch the index of the sequence of each row.
fn batches(sequences: &[&Sequence], columns: usize) -> impl Iterator<Item = (Vec<usize>, Batch)> {
    let mut pieces: Vec<(usize, Piece<'_>)> = sequences
        .iter()
        .enumerate()
        .flat_map(|(owner, sequence)| sequence.pieces(columns).map(move |piece| (owner, piece)))
        .collect();
    pieces.sort_by_key(|(_, piece)| piece.ids.len());
    let mut rest = pieces.into_iter().peekable();
    std::iter::from_fn(move || {
        let (mut owners, mut rows): (Vec<usize>, Vec<Piece<'_>>) = (Vec::new(), Vec::new());
        // Lengths ascend: the next row is the widest.
        while let Some((owner, piece)) =
            rest.next_if(|(_, piece)| rows.is_empty() || (rows.len() + 1) * piece.ids.len() <= BATCH_INPUTS)
        {
            owners.push(owner);
            rows.push(piece);
        }
        (!rows.is_empty()).then(|| (owners, Batch::padded(&rows)))
    })
}
