//! The learning rate of a step.

use crate::train::Schedule;

/// The rate of step `step` (from 0): linear warm-up, then constant or half a cosine.
#[must_use]
pub fn rate(peak: f64, schedule: Schedule, warmup: u64, step: u64) -> f64 {
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    match schedule {
        Schedule::Constant => peak,
        Schedule::Cosine { total_steps } => {
            let length = total_steps.saturating_sub(warmup).max(1) as f64;
            let done = ((step - warmup) as f64 / length).min(1.0);
            peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_nothing() {
        let cosine = Schedule::Cosine { total_steps: 110 };
        let at = |step| rate(2.0, cosine, 10, step);
        assert!((at(0) - 0.2).abs() < 1e-12 && (at(9) - 2.0).abs() < 1e-12 && (at(10) - 2.0).abs() < 1e-12);
        assert!((at(60) - 1.0).abs() < 1e-12);
        assert!(at(110).abs() < 1e-12 && at(10_000).abs() < 1e-12);
        assert!((rate(2.0, Schedule::Constant, 0, 7) - 2.0).abs() < 1e-12);
    }
}
