//! How long members lag behind our own publication, and the deadline that follows from it.

use std::collections::VecDeque;

/// Observations kept.
const KEPT: usize = 64;
/// Fewer do not make a median worth trusting.
const ENOUGH: usize = 4;

/// Recent lags in milliseconds: from our announcement to a member's publication of the same round, payload included.
#[derive(Debug, Default)]
pub(super) struct Lags(VecDeque<u64>);

impl Lags {
    pub(super) fn observe(&mut self, ms: u64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(ms);
    }

    /// How long to wait for members in step: median + 4·MAD of what was observed, `guess` as long as that is little. The MAD
    /// counts as at least an eighth of the median, so that perfectly even members are not dropped for a hair.
    pub(super) fn deadline(&self, guess: u64, min: u64, max: u64) -> u64 {
        let max = max.max(min);
        if self.0.len() < ENOUGH {
            return guess.clamp(min, max);
        }
        let median = median(self.0.iter().copied().collect());
        let mad = median_deviation(&self.0, median).max(median / 8);
        median.saturating_add(mad.saturating_mul(4)).clamp(min, max)
    }
}

fn median_deviation(values: &VecDeque<u64>, median_value: u64) -> u64 {
    median(values.iter().map(|value| value.abs_diff(median_value)).collect())
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Lags;

    #[test]
    fn the_guess_counts_until_four_lags_are_known() {
        let mut lags = Lags::default();
        assert_eq!(lags.deadline(700, 100, 10_000), 700);
        assert_eq!(lags.deadline(70_000, 100, 10_000), 10_000);
        for lag in [40, 50, 60, 50] {
            lags.observe(lag);
        }
        assert_eq!(lags.deadline(700, 10, 10_000), 50 + 4 * 10);
    }

    #[test]
    fn one_very_late_member_does_not_move_the_deadline() {
        let mut lags = Lags::default();
        for lag in [100, 110, 90, 100, 105, 95, 3_600_000] {
            lags.observe(lag);
        }
        assert!(lags.deadline(0, 10, 100_000) < 200);
    }

    #[test]
    fn even_members_keep_half_a_median_of_slack() {
        let mut lags = Lags::default();
        for _ in 0..10 {
            lags.observe(800);
        }
        assert_eq!(lags.deadline(0, 10, 100_000), 1200);
    }
}
