//! Transitions fitted to the teacher by maximum likelihood (docs/math.md, "The CRF's teacher").

use rayon::prelude::*;

use crate::{
    crf::transitions::{Transitions, legal},
    numbers::count,
};
use encoder::crf::{Crf, CrfGradient, repair};
use text::labels::Labels;

/// A text as the fit sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// `[words, labels]` log q: what the teacher says of each word, projected.
    pub emissions: Vec<f32>,
    /// `[words]` its tags.
    pub path: Vec<usize>,
}

/// Of the prior on each weight, in observations: hard tags of an IO teacher never have B-X after X, and without it that
/// weight would fall for ever.
const RIDGE: f64 = 1.0;

/// Texts summed one after another: however many threads there are, the same sums.
const CHUNK: usize = 64;

/// A CRF's transitions and start whose likelihood of the tags, on frozen emissions, is greatest, under a normal prior of
/// variance 1. `end` takes no part.
#[must_use]
pub fn fitted(labels: &Labels, texts: &[Emitted]) -> Transitions {
    let n = labels.len();
    let free: Vec<usize> = legal(labels).enumerate().filter_map(|(at, legal)| legal.then_some(at)).collect();
    let texts: Vec<&Emitted> = texts.iter().filter(|text| !text.path.is_empty()).collect();
    let words = count(texts.iter().map(|text| text.path.len()).sum::<usize>().max(1));
    let paths: Vec<Vec<usize>> = texts
        .iter()
        .map(|text| {
            let mut path = text.path.clone();
            repair(labels, &mut path);
            path
        })
        .collect();
    let spread = |weights: &[f64]| {
        let mut scores = vec![f64::NEG_INFINITY; (n + 1) * n];
        free.iter().zip(weights).for_each(|(&at, &weight)| scores[at] = weight);
        scores
    };
    let loss = |weights: &[f64]| {
        let scores = spread(weights);
        let crf = Crf::exact(labels, &scores[..n * n], &scores[n * n..], &vec![0.0; n]);
        let sums: Vec<(f64, CrfGradient)> = texts
            .par_chunks(CHUNK)
            .zip(paths.par_chunks(CHUNK))
            .map(|(texts, paths)| {
                let mut by_weight = CrfGradient::zero(n);
                let nll = texts.iter().zip(paths).map(|(text, path)| {
                    crf.nll(&text.emissions, path, &mut vec![0.0; text.emissions.len()], &mut by_weight)
                });
                (nll.sum(), by_weight)
            })
            .collect();
        let mut value = weights.iter().map(|w| 0.5 * RIDGE * w * w).sum::<f64>();
        let mut by_weight = CrfGradient::zero(n);
        for (nll, gradient) in &sums {
            value += nll;
            by_weight.add(gradient);
        }
        let whole: Vec<f64> = by_weight.transitions.into_iter().chain(by_weight.start).collect();
        let gradient = free.iter().zip(weights).map(|(&at, weight)| (whole[at] + RIDGE * weight) / words);
        (value / words, gradient.collect())
    };
    Transitions { scores: spread(&minimise(vec![0.0; free.len()], loss)) }
}

/// Steps of [`minimise`]; some tens are enough for some tens of weights.
const STEPS: usize = 300;

/// No slope is steeper at the minimum that [`minimise`] finds.
const FLAT: f64 = 1e-9;

/// The minimum of a convex function of some tens of variables, by BFGS with backtracking (Nocedal and Wright 2006, ch. 6).
fn minimise(mut place: Vec<f64>, function: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    let size = place.len();
    let (mut value, mut gradient) = function(&place);
    let mut inverse: Vec<f64> =
        (0..size * size).map(|at| if at / size == at % size { 1.0 } else { 0.0 }).collect();
    for step in 0..STEPS {
        if gradient.iter().all(|slope| slope.abs() < FLAT) {
            break;
        }
        let direction: Vec<f64> = inverse.chunks_exact(size).map(|row| -dot(row, &gradient)).collect();
        let slope = dot(&direction, &gradient);
        let tries = (0..40).map(|half| {
            let length = 0.5_f64.powi(half);
            let next: Vec<f64> = place.iter().zip(&direction).map(|(at, by)| at + length * by).collect();
            let found = function(&next);
            (length, next, found)
        });
        let lower = |(length, _, (found, _)): &(f64, Vec<f64>, (f64, Vec<f64>))| {
            *found <= value + 1e-4 * length * slope
        };
        // None: all that is left is rounding.
        let Some((_, next, (found, there))) = { tries }.find(lower) else { break };
        let moved: Vec<f64> = next.iter().zip(&place).map(|(next, here)| next - here).collect();
        let turned: Vec<f64> = there.iter().zip(&gradient).map(|(there, here)| there - here).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 0.0 {
            if step == 0 {
                let scale = curvature / dot(&turned, &turned);
                for entry in &mut inverse {
                    *entry *= scale;
                }
            }
            let through: Vec<f64> = inverse.chunks_exact(size).map(|row| dot(row, &turned)).collect();
            let own = (1.0 + dot(&turned, &through) / curvature) / curvature;
            for (at, entry) in inverse.iter_mut().enumerate() {
                let (row, column) = (at / size, at % size);
                *entry += own * moved[row] * moved[column]
                    - (through[row] * moved[column] + moved[row] * through[column]) / curvature;
            }
        }
        (place, value, gradient) = (next, found, there);
    }
    place
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
