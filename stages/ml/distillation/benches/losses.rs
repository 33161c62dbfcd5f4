//! Soft targets and the CRF on the CPU, each as it is computed there (numbers of the host, f64) and as other backends compute
//! it (tensors), value and gradient, in turn in one run: `cargo bench -p distillation --bench losses`.
//!
//! This is why both forms exist: ratios above 1 are in favour of the host's.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark needs a clock")]

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use distillation::{crf::likelihood::crf_nll, losses::kd, projection::project, soft};
use encoder::{network::CrfWeights, testing::elsewhere};
use text::labels::Labels;

const ROUNDS: usize = 15;
const TEXTS: usize = 40;
const WORDS: usize = 20;

fn main() {
    let teacher = ["O", "I-LOC", "I-PER", "I-MISC", "I-ORG"].map(str::to_owned);
    let (teacher, student) = (Labels::parse(&teacher).expect("labels"), Labels::bio(["PER", "LOC", "ORG"]));
    let device = Device::flex().autodiff();
    let words = TEXTS * WORDS;
    let texts: Vec<u32> = (0..=TEXTS).map(|text| u32::try_from(text * WORDS).expect("small")).collect();
    let said: Vec<f32> = numbers(words * teacher.len());
    let leaf = |columns: usize| {
        Tensor::<2>::from_data(TensorData::new(numbers(words * columns), [words, columns]), &device)
            .require_grad()
    };
    let host_kd = || {
        let q = project(&teacher, &student, &said, &texts, 2.5).q;
        kd::distillation(leaf(student.len()), &q, &student, 2.5, 0.5).backward();
    };
    let tensor_kd = || {
        let said = TensorData::new(said.clone(), [words, teacher.len()]);
        let said = Tensor::from_data(said, &Device::flex());
        let q = soft::project(&teacher, &student, said, &texts, 2.5);
        soft::distillation(leaf(student.len()), Tensor::from_inner(q), &student, 2.5, 0.5).backward();
    };
    let n = student.len();
    let gold: Vec<usize> = (0..words).map(|word| word * 5 % n).collect();
    let crf = || {
        let vector = |size: usize| {
            Tensor::<1>::from_data(TensorData::new(numbers(size), [size]), &device).require_grad()
        };
        let transitions = Tensor::from_data(TensorData::new(numbers(n * n), [n, n]), &device).require_grad();
        let weights = CrfWeights { transitions, start: vector(n), end: vector(n) };
        crf_nll(leaf(n), &weights, &gold, &texts, &student).backward();
    };
    println!("{TEXTS} texts of {WORDS} words, {n} labels; best of {ROUNDS} rounds, in turn");
    report("soft targets", &host_kd, &tensor_kd);
    report("CRF likelihood", &crf, &|| elsewhere(crf));
}

fn report(name: &str, host: &dyn Fn(), tensors: &dyn Fn()) {
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (best, work) in best.iter_mut().zip([host, tensors]) {
            let start = Instant::now();
            work();
            *best = (*best).min(start.elapsed());
        }
    }
    let [host, tensors] = best.map(|time| time.as_secs_f64() * 1e3);
    println!("{name:15} host {host:8.3} ms   tensors {tensors:8.3} ms   ratio {:.2}", tensors / host);
}

/// Numbers between -2 and 2 without a pattern.
fn numbers(count: usize) -> Vec<f32> {
    let step = |i: usize| (u16::try_from(i * 7919 % 4001).expect("small"), 1000.0_f32);
    (0..count).map(step).map(|(number, by)| f32::from(number) / by - 2.0).collect()
}
