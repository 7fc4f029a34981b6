//! What a privacy claim costs at least: a table of lower bounds, the same in every language.

use std::sync::OnceLock;

use super::Privacy;

/// Written by scripts/privacy_table.py.
const TEXT: &str = include_str!("../../tables/privacy.txt");

/// For each point of a grid the least epsilon, in thousandths.
#[derive(Debug, Default)]
struct Table {
    rates: Vec<u64>,
    sigmas: Vec<u64>,
    steps: Vec<u64>,
    deltas: Vec<u64>,
    /// By rate, sigma, steps and delta, the last one fastest.
    least: Vec<u64>,
}

impl Table {
    fn read(text: &str) -> Self {
        let mut table = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ').peekable();
            let list = match words.peek().copied() {
                Some("rate") => &mut table.rates,
                Some("sigma") => &mut table.sigmas,
                Some("steps") => &mut table.steps,
                Some("delta") => &mut table.deltas,
                _ => &mut table.least,
            };
            list.extend(words.filter_map(|word| word.parse::<u64>().ok()));
        }
        table
    }

    /// What a claim costs at least: 0 where the grid ends.
    fn least(&self, claim: &Privacy) -> u64 {
        let below = |grid: &[u64], value: u64| grid.partition_point(|point| *point <= value).checked_sub(1);
        let place = || {
            let rate = below(&self.rates, claim.rate_micro)?;
            let sigma = self.sigmas.partition_point(|point| *point < claim.sigma_milli);
            let steps = below(&self.steps, claim.steps)?;
            let delta = below(&self.deltas, claim.delta_log10_milli / 1000)?;
            let at = (rate * self.sigmas.len() + sigma) * self.steps.len() + steps;
            (sigma < self.sigmas.len()).then_some(at * self.deltas.len() + delta)
        };
        place().and_then(|at| self.least.get(at)).copied().unwrap_or(0)
    }
}

impl Privacy {
    /// What its steps cost at least, ε in thousandths: that of the point of the grid with no less noise, no higher rate, no more steps
    /// and no smaller δ.
    #[must_use]
    pub fn least_epsilon_milli(&self) -> u64 {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Table::read(TEXT)).least(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = (1 << 53) - 1;

    fn claim(rate_micro: u64, sigma_milli: u64, steps: u64, delta_log10_milli: u64) -> Privacy {
        Privacy { sigma_milli, clip_milli: 1, rate_micro, steps, epsilon_milli: 0, delta_log10_milli }
    }

    #[test]
    fn the_table_is_whole_and_rises_with_rate_steps_and_confidence_and_falls_with_noise() {
        let table = Table::read(TEXT);
        let Table { rates, sigmas, steps, deltas, least } = &table;
        assert_eq!(least.len(), rates.len() * sigmas.len() * steps.len() * deltas.len());
        assert!([rates, sigmas, steps, deltas].iter().all(|grid| grid.is_sorted_by(|a, b| a < b) && !grid.is_empty()));
        let at = |rate: usize, sigma: usize, step: usize, delta: usize| {
            table.least(&claim(rates[rate], sigmas[sigma], steps[step], deltas[delta] * 1000))
        };
        for rate in 0..rates.len() {
            for sigma in 0..sigmas.len() {
                for step in 0..steps.len() {
                    for delta in 0..deltas.len() {
                        let here = at(rate, sigma, step, delta);
                        assert!(delta == 0 || at(rate, sigma, step, delta - 1) <= here);
                        assert!(step == 0 || at(rate, sigma, step - 1, delta) <= here);
                    }
                }
            }
        }
        assert!(least.iter().max() > Some(&10_000) && least.contains(&0));
    }

    #[test]
    fn between_the_points_of_the_grid_a_claim_costs_what_the_cheaper_point_does() {
        let least = |rate, sigma, steps, delta| claim(rate, sigma, steps, delta).least_epsilon_milli();
        let point = least(10_000, 1_000, 1_000, 6_000);
        assert!(point > 1_000, "{point}");
        assert_eq!(least(10_001, 999, 1_001, 6_001), point);
        assert_eq!(least(19_999, 900, 2_999, 7_999), point);
        assert!(least(9_999, 1_000, 1_000, 6_000) < point);
        assert!(least(10_000, 1_001, 1_000, 6_000) < point);
        assert!(least(10_000, 1_000, 999, 6_000) < point);
        assert!(least(10_000, 1_000, 1_000, 5_999) < point);
    }

    #[test]
    fn beyond_the_grid_nothing_is_known_to_cost_anything_or_no_more_than_at_its_end() {
        assert_eq!(claim(1, 1_000, MAX, MAX).least_epsilon_milli(), 0);
        assert_eq!(claim(1_000_000, MAX, MAX, MAX).least_epsilon_milli(), 0);
        assert_eq!(claim(1_000_000, 1_000, MAX, 1_999).least_epsilon_milli(), 0);
        assert!(claim(MAX, 1, MAX, MAX).least_epsilon_milli() > 10_000);
    }

    /// Upper bounds that accountants of moments give: Rényi differential privacy (Mironov et al. 2019), converted as Balle et al. 2020.
    #[test]
    fn what_an_honest_accountant_says_is_never_below_the_table() {
        for (rate, sigma, steps, delta, epsilon) in
            [(4_267, 1_100, 14_062, 5_000, 2_597), (4_167, 1_300, 3_600, 5_000, 943), (1_000_000, 5_000, 1, 5_000, 795)]
        {
            let least = claim(rate, sigma, steps, delta).least_epsilon_milli();
            assert!(least > 0 && least <= epsilon, "{least} for {epsilon}");
        }
    }
}
