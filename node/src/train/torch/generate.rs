//! The next token: the most likely one, or a draw that a seed decides.

use super::Sampling;

/// The next token after `logits` at place `at` of a text.
pub(super) fn pick(logits: &[f32], sampling: &Sampling, at: usize) -> u32 {
    let best = logits.iter().enumerate().fold(
        (0, f32::NEG_INFINITY),
        |best, (id, &logit)| {
            if logit > best.1 { (id, logit) } else { best }
        },
    );
    let id = if sampling.temperature > 0.0 { draw(logits, best.1, sampling, at) } else { best.0 };
    u32::try_from(id).unwrap_or(u32::MAX)
}

fn draw(logits: &[f32], top: f32, sampling: &Sampling, at: usize) -> usize {
    let chance = |logit: f32| (f64::from(logit - top) / sampling.temperature).exp();
    let mut chances: Vec<(usize, f64)> = logits.iter().map(|&logit| chance(logit)).enumerate().collect();
    chances.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
    let all: f64 = chances.iter().map(|(_, chance)| chance).sum();
    let mut mass = 0.0;
    let kept = chances.iter().position(|(_, chance)| {
        mass += chance;
        mass >= sampling.top_p * all
    });
    chances.truncate(kept.map_or(chances.len(), |last| last + 1));
    let mut left = uniform(sampling.seed, at) * chances.iter().map(|(_, chance)| chance).sum::<f64>();
    for &(id, chance) in &chances {
        left -= chance;
        if left < 0.0 {
            return id;
        }
    }
    chances.last().map_or(0, |&(id, _)| id)
}

/// A number in [0, 1) from a seed and a place.
fn uniform(seed: u64, at: usize) -> f64 {
    let mut hasher = blake3::Hasher::new_derive_key("chorale v1 sampling");
    hasher.update(&seed.to_le_bytes()).update(&(at as u64).to_le_bytes());
    let mut word = [0; 8];
    hasher.finalize_xof().fill(&mut word);
    (u64::from_le_bytes(word) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_temperature_the_most_likely_token_comes() {
        assert_eq!(pick(&[0.0, 3.0, 2.9], &Sampling::default(), 0), 1);
    }

    #[test]
    fn draws_follow_the_chances_and_top_p_cuts_the_tail() {
        let logits = [2.0_f32.ln(), 1.0_f32.ln(), 1.0_f32.ln()];
        let drawn = |top_p| {
            let mut counts = [0; 3];
            for seed in 0..2000 {
                counts
                    [pick(&logits, &Sampling { temperature: 1.0, top_p, seed, ..Sampling::default() }, 0) as usize] +=
                    1;
            }
            counts
        };
        let all = drawn(1.0);
        assert!((900..1100).contains(&all[0]) && all[1] > 400 && all[2] > 400, "{all:?}");
        assert_eq!(drawn(0.4), [2000, 0, 0]);
        assert_eq!(drawn(0.7)[2], 0);
    }
}
