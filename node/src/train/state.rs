//! A trainer's state as bytes: moments, step counts and data position, behind a digest.
//!
//! Layout, little-endian: magic (8 bytes), version u32, BLAKE3 of the adapter's tensors (32), steps u64, steps of A u64,
//! steps of B u64, epoch u64, index u64, offset u64, count u64, number of values u64, first moments f32…, second
//! moments f32…, BLAKE3 of all that (32). Its length follows from the adapter, so foreign bytes never decide an allocation.

use chorale_protocol::manifest::AdapterSpec;

use super::{TrainError, data::Position};

const MAGIC: &[u8; 8] = b"chorale\x01";
const VERSION: u32 = 1;
const HEAD: usize = 8 + 4 + 32 + 8 * 8;

/// Everything that training carries from one round to the next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    /// Optimiser steps taken, for the schedule.
    pub(crate) steps: u64,
    /// Steps in which A trained, for its bias correction.
    pub(crate) steps_a: u64,
    /// Steps in which B trained.
    pub(crate) steps_b: u64,
    /// Where drawing stands.
    pub(crate) position: Position,
    /// First moments, layout order.
    pub(crate) first: Vec<f32>,
    /// Second moments, layout order.
    pub(crate) second: Vec<f32>,
}

impl State {
    /// The bytes of this state of a trainer of `spec`.
    pub(crate) fn encode(&self, spec: &AdapterSpec) -> Vec<u8> {
        let Position { epoch, index, offset, count } = self.position;
        let values = self.first.len() as u64;
        let mut bytes = Vec::with_capacity(HEAD + 8 * self.first.len() + 32);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&shape_digest(spec));
        for number in [self.steps, self.steps_a, self.steps_b, epoch, index, offset, count, values] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for value in self.first.iter().chain(&self.second) {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    /// The state in `bytes`, if they are one of a trainer of `spec`.
    pub(crate) fn decode(bytes: &[u8], spec: &AdapterSpec) -> Result<Self, TrainError> {
        let values = values(spec);
        if bytes.len() != HEAD + 8 * values + 32 {
            return Err(TrainError::State("its length is another adapter's"));
        }
        let (body, digest) = bytes.split_at(bytes.len() - 32);
        if blake3::hash(body).as_bytes() != digest {
            return Err(TrainError::State("its digest does not match"));
        }
        let (head, moments) = body.split_at(HEAD);
        if !head.starts_with(MAGIC) || head[8..12] != VERSION.to_le_bytes() {
            return Err(TrainError::State("it is of another version"));
        }
        if head[12..44] != shape_digest(spec) {
            return Err(TrainError::State("it is of another adapter"));
        }
        let numbers: Vec<u64> = head[44..].as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let [steps, steps_a, steps_b, epoch, index, offset, count, held] = numbers[..] else {
            return Err(TrainError::State("its head is short"));
        };
        let floats: Vec<f32> = moments.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if held != values as u64 || !floats.iter().all(|value| value.is_finite()) {
            return Err(TrainError::State("a moment is not finite"));
        }
        let (first, second) = floats.split_at(values);
        if second.iter().any(|&value| value < 0.0) {
            return Err(TrainError::State("a second moment is negative"));
        }
        let position = Position { epoch, index, offset, count };
        Ok(Self { steps, steps_a, steps_b, position, first: first.to_vec(), second: second.to_vec() })
    }
}

/// Values of an adapter. The spec is this node's own, made from a loaded model.
pub(crate) fn values(spec: &AdapterSpec) -> usize {
    let of = |tensor: &chorale_protocol::manifest::TensorSpec| tensor.rows.saturating_mul(tensor.columns);
    usize::try_from(spec.tensors.iter().map(of).fold(0, u64::saturating_add)).unwrap_or(usize::MAX / 16)
}

fn shape_digest(spec: &AdapterSpec) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for tensor in &spec.tensors {
        hasher.update(&(tensor.name.len() as u64).to_le_bytes()).update(tensor.name.as_bytes());
        hasher.update(&tensor.rows.to_le_bytes()).update(&tensor.columns.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use chorale_protocol::manifest::{Factor, TensorSpec};

    use super::*;

    fn spec(columns: u64) -> AdapterSpec {
        let tensor = TensorSpec { name: "a".into(), factor: Factor::A, rows: 2, columns };
        AdapterSpec { rank: 2, alpha: 4, seed: 0, start: [0; 32], tensors: vec![tensor] }
    }

    fn state() -> State {
        let position = Position { epoch: 1, index: 2, offset: 3, count: 4 };
        State { steps: 9, steps_a: 5, steps_b: 4, position, first: vec![-1.5; 6], second: vec![0.25; 6] }
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        assert_eq!(State::decode(&state().encode(&spec(3)), &spec(3)).unwrap(), state());
    }

    #[test]
    fn a_damaged_or_foreign_state_is_refused() {
        let bytes = state().encode(&spec(3));
        assert!(State::decode(&bytes, &spec(4)).is_err());
        assert!(State::decode(&bytes[1..], &spec(3)).is_err());
        assert!(State::decode(&[], &spec(3)).is_err());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(State::decode(&damaged, &spec(3)).is_err(), "byte {at}");
        }
        let endless = State { first: vec![f32::NAN; 6], ..state() };
        assert!(State::decode(&endless.encode(&spec(3)), &spec(3)).is_err());
    }
}
