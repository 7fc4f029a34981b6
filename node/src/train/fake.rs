//! A deterministic trainer without libtorch, for tests, simulations and benchmarks of everything else.

/// Pulls every value towards a target that its seed draws; the loss is the mean squared distance to it.
#[derive(Debug)]
pub struct FakeTrainer {}
