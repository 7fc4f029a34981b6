//! Mixing follows the closed form for pulling s of N − 1: E‖yᵢ − x̄‖² / V = (1/(s + 1)) · (1 − s/(N − 1)).

use chorale_tests::sim::{Setup, Training, World, seed};

/// Values of every node's publications of the first two rounds.
fn two_rounds(nodes: usize, draw: u64, seed: u64) -> [Vec<Vec<f32>>; 2] {
    let mut setup = Setup::new(nodes, seed);
    setup.policy.draw = draw;
    setup.training = Training::Spread;
    setup.link.duplicate = 0.0;
    setup.step_ms = 500;
    let mut world = World::running(&setup);
    let done = world.run_until(60_000, |world| world.nodes().iter().all(|node| node.rounds().count() >= 2));
    assert!(done, "no two rounds: {}", world.tag());
    [0, 1].map(|round| {
        let values = (0..nodes).map(|node| {
            let report = world.nodes()[node].rounds().nth(round).unwrap().1;
            if round == 1 {
                assert_eq!(report.contributors.len() as u64, draw + 1, "{}", world.tag());
            }
            world.published(node, &report.record).unwrap()
        });
        values.collect()
    })
}

/// Mean squared distance to `mean`, over nodes and values.
fn spread(values: &[Vec<f32>], mean: &[f64]) -> f64 {
    let squares = values
        .iter()
        .map(|values| values.iter().zip(mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum::<f64>());
    squares.sum::<f64>() / (values.len() * mean.len()) as f64
}

fn ratio(nodes: usize, draw: u64, seed: u64) -> f64 {
    let [before, after] = two_rounds(nodes, draw, seed);
    let length = before[0].len();
    let mean = |at: usize| before.iter().map(|values| f64::from(values[at])).sum::<f64>() / nodes as f64;
    let mean: Vec<f64> = (0..length).map(mean).collect();
    spread(&after, &mean) / spread(&before, &mean)
}

/// Student's t for so many degrees of freedom: beyond it, either way, one of a thousand.
fn quantile(freedom: u64) -> f64 {
    match freedom {
        0..=3 => 12.92,
        4..=18 => 8.61,
        19..=28 => 3.88,
        29..=38 => 3.66,
        _ => 3.56,
    }
}

fn follows(nodes: usize, draw: u64, runs: u64) {
    let first = seed(10);
    let ratios: Vec<f64> = (first..first + runs).map(|seed| ratio(nodes, draw, seed)).collect();
    let count = runs as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let error = (variance / count).sqrt();
    let s = draw as f64;
    let form = (1.0 / (s + 1.0)) * (1.0 - s / (nodes as f64 - 1.0));
    println!("N = {nodes}, s = {draw}: measured {mean:.5} ± {error:.5}, closed form {form:.5}");
    assert!(
        (mean - form).abs() <= quantile(runs - 1) * error.max(1e-6),
        "{mean} ± {error}, wanted {form}; CHORALE_SEED={first}"
    );
}

#[test]
fn four_members_mix_as_the_closed_form_says() {
    follows(4, 1, 40);
    follows(4, 2, 40);
}

#[test]
fn eight_members_mix_as_the_closed_form_says() {
    follows(8, 2, 30);
    follows(8, 4, 30);
}

#[test]
fn sixteen_members_mix_as_the_closed_form_says() {
    follows(16, 4, 20);
}

#[test]
fn sixty_four_members_mix_as_the_closed_form_says() {
    follows(64, 4, 5);
    follows(64, 8, 4);
}

#[test]
fn everybody_pulling_everybody_agrees_in_one_round() {
    assert!(ratio(4, 3, seed(10)) < 1e-6);
    assert!(ratio(16, 15, seed(10)) < 1e-6);
}
