//! The encoder in Burn's own operations and fused, side by side in one run, round by round:
//! `cargo bench -p stages --bench encoder [-- LAYERS HIDDEN HEADS FFN WINDOWS LENGTH]`.
//!
//! Windows of equal and of mixed lengths; forward, and a training step with its optimiser (Burn's step does not even
//! clip). Best wall time of the rounds and mean CPU time; ratios above 1 are in favour of the fused form.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "rates")]

use std::time::Instant;

use burn::{
    module::Module,
    optim::{AdamWConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, activation::log_softmax},
};
use encoder::{
    arch::roberta::Roberta,
    batch::Batch,
    config::{Config, Decode, LayerShape},
    inputs::Inputs,
    network::Network,
};
use text::labels::Labels;
use train::optimizer::{Groups, Groupwise, Norm};

const ROUNDS: usize = 7;

fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: usize| given.get(place).copied().unwrap_or(default);
    let (layers, hidden, heads, ffn) = (number(0, 12), number(1, 384), number(2, 12), number(3, 1536));
    let (windows, length) = (number(4, 32), number(5, 32));
    let config = Config {
        architecture: &Roberta,
        vocab: 15_000,
        hidden,
        head_dim: hidden / heads,
        layers: (0..layers)
            .map(|i| LayerShape { heads, ffn, from_teacher_layer: i, ..LayerShape::default() })
            .collect(),
        positions: 514,
        pad: 1,
        eps: 1e-5,
        settings: encoder::arch::Settings::default(),
        labels: Labels::bio(["PER", "LOC", "ORG"]),
        crf: false,
        decode: Decode::Types,
        stock: serde_json::Value::Null,
    };
    let device = Device::flex();
    let network = Network::init(&config, 42, &device);
    println!("{layers} x {hidden}, {heads} heads, FFN {ffn}, {windows} windows of {length}");
    let mixed: Vec<_> = (0..windows).map(|i| length - i * length / (2 * windows)).collect();
    for (name, lengths) in [("equal", vec![length; windows]), ("mixed, half to all of it", mixed)] {
        let batch = batch(&config, &lengths);
        let tokens = batch.ids.len();
        println!("{name}: {tokens} tokens");
        compare(
            "forward",
            tokens,
            || forward(&network, &Inputs::reference(&batch, &config, &device)),
            || forward(&network, &Inputs::new(&batch, &config, &device)),
        );

        let autodiff = device.clone().autodiff();
        let mut stock = Some(network.clone().fork(&device).train());
        let mut burn = ModuleOptimizer::from(AdamWConfig::new().with_weight_decay(0.01).build());
        let mut fused = Some(network.clone().fork(&device).train());
        let mut ours = Groupwise::new(Groups { head: 1.0, crf: 1.0, layer: 1.0, weight_decay: 0.01 }, 0);
        compare(
            "training step",
            tokens,
            || {
                let network = stock.take().expect("left by the last round");
                let gradients = backward(&network, &Inputs::reference(&batch, &config, &autodiff));
                stock = Some(burn.step(1e-5, network, gradients));
            },
            || {
                let network = fused.take().expect("left by the last round");
                let gradients = backward(&network, &Inputs::new(&batch, &config, &autodiff));
                let norm = Norm::of(&network, &gradients, &network.device());
                fused = Some(ours.step(1e-5, network, gradients, &norm, 1.0));
            },
        );
    }
}

fn forward(network: &Network, batch: &Inputs) {
    let logits: Tensor<2> = network.forward(batch, &[]).logits;
    assert!(logits.sum().into_scalar::<f32>().is_finite());
}

fn backward(network: &Network, batch: &Inputs) -> GradientsParams {
    let loss = log_softmax(network.forward(batch, &[]).logits, 1).mean().neg();
    GradientsParams::from_grads(loss.backward(), network)
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

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("benchmarks are small")
}

/// Both forms in turn, after one round of each that does not count.
fn compare(name: &str, tokens: usize, mut stock: impl FnMut(), mut fused: impl FnMut()) {
    stock();
    fused();
    let mut spent = [Spent::default(), Spent::default()];
    for _ in 0..ROUNDS {
        spent[0].add(&mut stock);
        spent[1].add(&mut fused);
    }
    for (form, spent) in ["Burn", "kernels"].iter().zip(&spent) {
        println!("  {name:14} {form} {}", spent.line(tokens));
    }
    let [stock, fused] = spent;
    println!(
        "  {name:14} Burn / kernels: {:.2} of wall time, {:.2} of CPU time",
        stock.best / fused.best,
        stock.cpu as f64 / fused.cpu.max(1) as f64
    );
}

struct Spent {
    /// Seconds.
    best: f64,
    /// Hundredths of a second.
    cpu: u64,
}

impl Default for Spent {
    fn default() -> Self {
        Self { best: f64::INFINITY, cpu: 0 }
    }
}

impl Spent {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
    fn add(&mut self, work: &mut impl FnMut()) {
        let (start, cpu) = (Instant::now(), cpu_ticks());
        work();
        self.cpu += cpu_ticks() - cpu;
        self.best = self.best.min(start.elapsed().as_secs_f64());
    }

    fn line(&self, tokens: usize) -> String {
        let cpu = self.cpu as f64 * 10.0 / ROUNDS as f64;
        format!(
            "{:8.1} ms best {cpu:8.1} ms of CPU {:8.0} tokens/s",
            self.best * 1e3,
            tokens as f64 / self.best
        )
    }
}

/// CPU time of this process in hundredths of a second, which other work on the machine hardly changes; 0 elsewhere than
/// on Linux.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 (proc_pid_stat(5)), counted after the command's closing bracket, which is field 2.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}
