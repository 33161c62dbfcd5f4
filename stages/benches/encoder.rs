//! Tokens per second of the encoder: `cargo bench -p stages --bench encoder [-- LAYERS HIDDEN HEADS FFN WINDOWS LENGTH]`.
//! Windows of equal and of mixed lengths; forward, forward with backward, and that in two halves at once.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::time::Instant;

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, activation::log_softmax},
};
use rayon::prelude::*;
use stages::ml::{
    batch::Batch,
    config::{Config, LayerShape},
    labels::Labels,
    model::{Network, Packed},
};

const ROUNDS: usize = 9;

fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: usize| given.get(place).copied().unwrap_or(default);
    let (layers, hidden, heads, ffn) = (number(0, 12), number(1, 384), number(2, 12), number(3, 1536));
    let (windows, length) = (number(4, 32), number(5, 32));
    let config = Config {
        vocab: 15_000,
        hidden,
        head_dim: hidden / heads,
        layers: (0..layers).map(|i| LayerShape { heads, ffn, from_teacher_layer: i }).collect(),
        positions: 514,
        pad: 1,
        eps: 1e-5,
        labels: Labels::student(false),
        crf: false,
        stock: serde_json::Value::Null,
    };
    let device = Device::flex();
    let network = Network::init(&config, 42, &device);
    // Mixed: as a bucket has them, within an eighth of the longest.
    let equal = batch(&config, &vec![length; windows]);
    let mixed: Vec<_> = (0..windows).map(|i| length - i % (length / 8 + 1)).collect();
    let mixed = batch(&config, &mixed);
    println!("{layers} x {hidden}, {heads} heads, FFN {ffn}, {windows} windows of {length}");
    for (name, batch) in [("equal", &equal), ("mixed", &mixed)] {
        rate(&format!("{name} forward"), batch.ids.len(), || {
            let packed = Packed::new(batch, &config, &device);
            assert!(network.forward(&packed, &[]).logits.sum().into_scalar::<f32>().is_finite());
        });
        let training = network.clone().train();
        let autodiff = device.clone().autodiff();
        rate(&format!("{name} forward and backward"), batch.ids.len(), || {
            let packed = Packed::new(batch, &config, &autodiff);
            let logits = training.forward(&packed, &[]).logits;
            let loss = log_softmax(logits, 1).mean().neg();
            assert!(!GradientsParams::from_grads(loss.backward(), &training).is_empty());
        });
        // Element-wise operations use one core, so two halves at once should win where matrix products do not fill all.
        let halves = halves(batch);
        rate(&format!("{name} in two halves at once"), batch.ids.len(), || {
            halves.par_iter().for_each(|batch| {
                let training = training.clone().fork(&autodiff);
                let packed = Packed::new(batch, &config, &autodiff);
                let loss = log_softmax(training.forward(&packed, &[]).logits, 1).mean().neg();
                assert!(!GradientsParams::from_grads(loss.backward(), &training).is_empty());
            });
        });
    }
}

fn batch(config: &Config, lengths: &[usize]) -> Batch {
    let tokens: usize = lengths.iter().sum();
    let starts = [0].into_iter().chain(lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    }));
    Batch {
        ids: (0..tokens).map(|i| index(5 + i * 7919 % (config.vocab - 5))).collect(),
        starts: starts.map(index).collect(),
        ..Batch::default()
    }
}

fn halves(batch: &Batch) -> Vec<Batch> {
    let middle = batch.starts.len() / 2;
    [&batch.starts[..=middle], &batch.starts[middle..]]
        .into_iter()
        .map(|starts| Batch {
            ids: batch.ids[starts[0] as usize..starts[starts.len() - 1] as usize].to_vec(),
            starts: starts.iter().map(|start| start - starts[0]).collect(),
            ..Batch::default()
        })
        .collect()
}

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("benchmarks are small")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
fn rate(name: &str, tokens: usize, mut work: impl FnMut()) {
    work();
    let cpu = cpu_ticks();
    let mut seconds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let (best, median) = (seconds[0] * 1e3, seconds[ROUNDS / 2] * 1e3);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let (cpu, rate) = ((cpu_ticks() - cpu) as f64 * 10.0 / ROUNDS as f64, tokens as f64 * 1e3 / median);
    println!("{name:28} {median:7.0} ms median {best:7.0} ms best {cpu:7.0} ms of CPU {rate:7.0} tokens/s");
}

/// CPU time of this process in hundredths of a second, which other work on the machine hardly changes; 0 elsewhere than
/// on Linux.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 (proc_pid_stat(5)), counted after the command's closing bracket, which is field 2.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}
