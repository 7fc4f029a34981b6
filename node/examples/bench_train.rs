//! One LoRA training step of the node's trainer, for comparison with `scripts/bench_train.py`: the same model, batch,
//! adapter and optimiser. Prints one line of JSON a measurement.
//!
//! `cargo run --release --example bench_train -- [steps] [threads] [model folder]`

#[cfg(feature = "torch")]
fn main() -> anyhow::Result<()> {
    bench::main()
}

#[cfg(not(feature = "torch"))]
fn main() {}

#[cfg(feature = "torch")]
mod bench {
    use std::{path::PathBuf, time::Instant};

    use chorale::train::{
        PROJECTIONS,
        data::{Batch, Piece},
        torch::{Adam, Llama, LlamaConfig, Lora, Shape, Step, first_weights, read_weights},
    };
    use chorale_protocol::manifest::Phase;
    use serde_json::json;
    use tch::{Device, Kind};

    const ROWS: usize = 16;
    const COLUMNS: usize = 256;

    pub(super) fn main() -> anyhow::Result<()> {
        let mut arguments = std::env::args().skip(1);
        let steps: usize = arguments.next().map_or(Ok(20), |text| text.parse())?;
        let threads: i32 = arguments.next().map_or(Ok(0), |text| text.parse())?;
        if threads > 0 {
            tch::set_num_threads(threads);
        }
        if let Some(folder) = arguments.next().map(PathBuf::from) {
            let config = LlamaConfig::open(&folder)?;
            let weights = read_weights(&folder, &config, Kind::Float, Device::Cpu)?;
            bench("folder", &config, &Llama::assemble(&config, &weights)?, steps)?;
        }
        let shape = Shape {
            hidden: 256,
            intermediate: 704,
            layers: 16,
            heads: 8,
            kv_heads: 4,
            vocabulary: 4096,
            context: 256,
            tied: true,
        };
        let config = shape.config()?;
        let model = Llama::assemble(&config, &first_weights(&config, 0)?)?;
        bench("small", &config, &model, (steps / 3).max(3))
    }

    fn bench(name: &str, config: &LlamaConfig, model: &Llama, steps: usize) -> anyhow::Result<()> {
        let spec = Lora::spec(config, 8, 16, 0, &PROJECTIONS.map(str::to_owned));
        let mut lora = Lora::new(config, &spec, Device::Cpu)?;
        lora.set(&(0..lora.len()).map(|i| (i % 97) as f32 * 1e-4 - 5e-3).collect::<Vec<_>>())?;
        let optimiser = Step { phase: Phase::Both, rate: 1e-3, adam: Adam::default(), clip_norm: 1.0 };
        let (mut times, mut cpu) = (Vec::new(), Vec::new());
        for step in 0..=steps {
            let rows = tokens(step, config.vocabulary);
            let pieces: Vec<_> = rows.iter().map(|ids| Piece { ids, masked: 1 }).collect();
            let batch = Batch::padded(&pieces);
            let (start, busy) = (Instant::now(), process_ms());
            optimiser.take(model, &mut lora, &[batch], step as u64)?;
            times.push(start.elapsed().as_secs_f64());
            cpu.push(process_ms() - busy);
        }
        let mut times = times.split_off(1);
        let mut cpu = cpu.split_off(1);
        times.sort_by(f64::total_cmp);
        cpu.sort_by(f64::total_cmp);
        let (median, best) = (times[times.len() / 2], times[0]);
        let per_second = |seconds: f64| ((ROWS * COLUMNS) as f64 / seconds).round();
        let parameters: i64 = config.tensors().iter().map(|(_, shape)| shape.iter().product::<i64>()).sum();
        let line = json!({
            "side": "chorale", "model": name, "parameters": parameters + i64::try_from(lora.len())?,
            "threads": tch::get_num_threads(), "steps": steps,
            "ms_median": (median * 1e5).round() / 100.0, "ms_best": (best * 1e5).round() / 100.0,
            "cpu_ms_median": (cpu[cpu.len() / 2] * 100.0).round() / 100.0, "tokens_per_s": per_second(median), "best_tokens_per_s": per_second(best),
        });
        println!("{line}");
        Ok(())
    }

    /// Milliseconds of processor time of this process, in steps of 10, where the system tells: unlike wall time they
    /// hardly depend on what else runs. With one thread the two sides compare by them. All threads count, because
    /// libtorch may run the backward pass on one of its own.
    fn process_ms() -> f64 {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name in parentheses may hold blanks; utime and stime are the 12th and 13th field behind it.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
    }

    /// Rows of ids that look random.
    fn tokens(step: usize, vocabulary: i64) -> Vec<Vec<u32>> {
        let vocabulary = u64::try_from(vocabulary).unwrap_or(1);
        let id = |place: usize| {
            let hash = blake3::hash(&(place as u64).to_le_bytes());
            let word = hash.as_bytes().first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            u32::try_from(word % vocabulary).unwrap_or(0)
        };
        let first = step * ROWS * (COLUMNS + 1);
        (0..ROWS).map(|row| (0..=COLUMNS).map(|at| id(first + row * (COLUMNS + 1) + at)).collect()).collect()
    }
}
