//! What simulated members train: nothing, or towards a point of their own.

use super::rng::Rng;

/// How a member's values move in a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Training {
    /// Normal values of the member's own in its first round, unchanged from then on: what remains is mixing.
    Spread,
    /// A step of this share towards a point of the member's own, every round.
    Pull(f64),
}

impl Training {
    /// The values after training from `base`; `first`: the member never published.
    pub(super) fn train(self, seed: u64, member: usize, first: bool, base: &[f32]) -> Vec<f32> {
        let mut rng = Rng::new(seed, 1_000 + member as u64);
        match self {
            Self::Spread if first => base.iter().map(|_| rng.normal() as f32).collect(),
            Self::Spread => base.to_vec(),
            Self::Pull(share) => {
                let toward = |value: &f32| f64::from(*value) + share * (rng.normal() - f64::from(*value));
                base.iter().map(toward).map(|value| value as f32).collect()
            }
        }
    }
}
