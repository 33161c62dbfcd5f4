//! What each kernel reaches: `cargo bench -p kernels [-- TOKENS HIDDEN FFN LENGTH]`. CPU time on one thread, best of
//! several rounds, so that other work on the machine hardly shows.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "rates")]

use std::hint::black_box;

use kernels::{
    adamw::{AdamW, squares},
    attention::Attention,
    float::F32,
    gelu::{gelu_backward, gelu_of},
    int8::Int8,
    linear::{self, Linear},
    matrix::Matrix,
    norm::Norm,
    packed::Packed,
    prepacked::{Layer, Parts},
};
use pulp::{Arch, Simd, WithSimd};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 15;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool").install(all);
}

fn all() {
    let given: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: usize| given.get(place).copied().unwrap_or(default);
    let (tokens, hidden, ffn, length) = (number(0, 512), number(1, 768), number(2, 3072), number(3, 32));
    println!("{tokens} tokens, {hidden} wide, FFN {ffn}, sequences of {length}");
    rate("what products cannot exceed", Peak::FLOPS, "GFLOP/s", || Arch::new().dispatch(Peak));
    for (name, inner, out) in
        [("hidden x hidden", hidden, hidden), ("up", hidden, ffn), ("down", ffn, hidden)]
    {
        let (values_of_x, weight, bias) = (values(tokens * inner), values(inner * out), values(out));
        let g = values(tokens * out);
        let flops = 2.0 * (tokens * inner * out) as f64;
        let layer = Linear { weight: Matrix::new(&weight, out), bias: &bias };
        let (x, gradient) = (Matrix::new(&values_of_x, inner), Matrix::new(&g, out));
        rate(&format!("{name} forward"), flops, "GFLOP/s", || linear::forward(x, &[layer]));
        let packed = F32::pack(&[layer]);
        rate(&format!("{name} packed"), flops, "GFLOP/s", || packed.forward(&values_of_x, tokens));
        let int8 = Int8::pack(&[layer]);
        rate(&format!("{name} in 8 bits"), flops, "Gop/s", || int8.forward(&values_of_x, tokens));
        rate(&format!("{name} by input"), flops, "GFLOP/s", || linear::by_input(gradient, &[layer.weight]));
        rate(&format!("{name} by weight"), flops, "GFLOP/s", || linear::by_weight(x, gradient));
        rate(&format!("{name} by bias"), (4 * g.len()) as f64, "GB/s", || linear::by_bias(&g, out));
    }

    let x = values(tokens * ffn);
    rate("gelu", (8 * x.len()) as f64, "GB/s", || gelu_of(&x));
    let mut g = values(tokens * ffn);
    rate("gelu backward", (12 * x.len()) as f64, "GB/s", || gelu_backward(&x, &mut g));

    let (x, residual) = (values(tokens * hidden), values(tokens * hidden));
    let (gamma, beta) = (values(hidden), values(hidden));
    let norm = Norm { gamma: &gamma, beta: &beta, epsilon: 1e-5 };
    let mut sums = x.clone();
    rate("residual + norm", (16 * x.len()) as f64, "GB/s", || norm.forward_kept(&mut sums, Some(&residual)));
    let mut sums = x.clone();
    let (_, statistics) = norm.forward_kept(&mut sums, None);
    let mut g = values(tokens * hidden);
    rate("norm backward", (12 * x.len()) as f64, "GB/s", || norm.backward(&sums, &statistics, &mut g));

    let starts: Vec<_> = (0..=tokens / length).map(|i| u32::try_from(i * length).expect("small")).collect();
    let attention = Attention { starts: &starts, heads: hidden / 64, width: 64 };
    let rows = values(tokens * 3 * hidden);
    let flops = 4.0 * (tokens * length * hidden) as f64;
    rate("attention", flops, "GFLOP/s", || attention.forward(&rows));
    let g = values(tokens * hidden);
    rate("attention backward", 2.5 * flops, "GFLOP/s", || attention.backward(&rows, &g));

    let (square, up, down) = (values(hidden * hidden), values(hidden * ffn), values(ffn * hidden));
    let bias = values(ffn);
    let linear = |weight, out| Linear { weight: Matrix::new(weight, out), bias: &bias[..out] };
    let parts = Parts {
        attention: [linear(&square, hidden); 3],
        output: linear(&square, hidden),
        attention_norm: norm,
        up: linear(&up, ffn),
        down: linear(&down, hidden),
        ffn_norm: norm,
        heads: hidden / 64,
    };
    let (packed, int8) = (Layer::<F32>::new(&parts), Layer::<Int8>::new(&parts));
    let mut x = values(tokens * hidden);
    let flops = 2.0 * (tokens * hidden * (4 * hidden + 2 * ffn)) as f64;
    rate("layer packed", flops, "GFLOP/s", || packed.forward(&mut x, &starts));
    rate("layer in 8 bits", flops, "Gop/s", || int8.forward(&mut x, &starts));

    let size = 20_000_000;
    let (mut parameter, g) = (values(size), values(size));
    let (mut first, mut second) = (values(size), vec![0.1; size]);
    let step =
        AdamW { rate: 1e-5, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, decay: 0.01, time: 7, scale: 0.5 };
    rate("AdamW", (28 * size) as f64, "GB/s", || step.step(&mut parameter, &g, &mut first, &mut second));
    rate("squares", (4 * size) as f64, "GB/s", || squares(&g));
}

/// Fused multiplications and additions alone: sums enough to hide how long one takes, and nothing from memory.
struct Peak;

impl Peak {
    const SUMS: usize = 24;
    const TURNS: usize = 1_000_000;
    /// As AVX-512 does them, 16 at once; with less it takes longer for as many.
    const FLOPS: f64 = (2 * 16 * Self::SUMS * Self::TURNS) as f64;
}

impl WithSimd for Peak {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (x, y) = (simd.splat_f32s(black_box(0.5)), simd.splat_f32s(black_box(0.25)));
        let mut sums = [simd.splat_f32s(0.0); Self::SUMS];
        for _ in 0..Self::TURNS * 16 / S::F32_LANES {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, x, y);
            }
        }
        simd.reduce_sum_f32s(sums.into_iter().reduce(|a, b| simd.add_f32s(a, b)).expect("sums"))
    }
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn rate<R>(name: &str, amount: f64, unit: &str, mut work: impl FnMut() -> R) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = cpu_seconds();
            black_box(work());
            cpu_seconds() - start
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:28} {:8.3} ms {:7.1} {unit}", best * 1e3, amount / best / 1e9);
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
