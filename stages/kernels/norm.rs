//! A residual and `LayerNorm` (Ba et al. 2016) in one: y = norm(x + residual) * gamma + beta, row by row.

use rayon::prelude::*;

use crate::vector::{changed_copy, each_piece, rows, run, sum, sum_pairs, work};

/// Gain, offset and the ε under the root.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[width]`
    pub gamma: &'a [f32],
    /// `[width]`
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// What the backward pass needs beside the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// `[rows]`
    mean: Vec<f32>,
    /// `[rows]` 1 / standard deviation.
    scale: Vec<f32>,
}

/// Gradients of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// `[width]`
    pub gamma: Vec<f32>,
    /// `[width]`
    pub beta: Vec<f32>,
}

impl Norm<'_> {
    fn check(&self, x: &[f32], residual: Option<&[f32]>) {
        let width = self.gamma.len();
        assert!(width > 0 && self.beta.len() == width && x.len().is_multiple_of(width), "rows of {width}");
        assert!(residual.is_none_or(|residual| residual.len() == x.len()), "a residual for each element");
    }

    /// x = norm(x + residual), in place.
    ///
    /// # Panics
    /// When lengths do not fit.
    pub fn forward(&self, x: &mut [f32], residual: Option<&[f32]>) {
        self.check(x, residual);
        let piece = rows(self.gamma.len()) * self.gamma.len();
        each_piece(x, piece, |number, x| {
            let residual = residual.map(|residual| &residual[number * piece..][..x.len()]);
            run(InPlace, (self, x, residual));
        });
    }

    /// As [`Norm::forward`], on this thread alone.
    pub(crate) fn forward_here(&self, x: &mut [f32], residual: &[f32]) {
        self.check(x, Some(residual));
        run(InPlace, (self, x, Some(residual)));
    }

    /// x becomes the sum x + residual, and the result is new: what [`Norm::backward`] needs stays.
    ///
    /// # Panics
    /// When lengths do not fit.
    #[must_use]
    pub fn forward_kept(&self, x: &mut [f32], residual: Option<&[f32]>) -> (Vec<f32>, Statistics) {
        self.check(x, residual);
        let width = self.gamma.len();
        let count = rows(width);
        let piece = count * width;
        let mut statistics =
            Statistics { mean: vec![0.0; x.len() / width], scale: vec![0.0; x.len() / width] };
        x.par_chunks_mut(piece)
            .zip(statistics.mean.par_chunks_mut(count))
            .zip(statistics.scale.par_chunks_mut(count))
            .enumerate()
            .for_each(|(number, ((x, means), scales))| {
                let residual = residual.map(|residual| &residual[number * piece..][..x.len()]);
                run(Measure, (self, x, residual, means, scales));
            });
        let y = changed_copy(x, piece, |number, y| {
            let rows = number * count..number * count + y.len() / width;
            run(Apply, (self, y, &statistics.mean[rows.clone()], &statistics.scale[rows]));
        });
        (y, statistics)
    }

    /// From the gradient of the output to that of the sum (and so of x and of the residual), in place.
    ///
    /// # Panics
    /// When lengths do not fit.
    pub fn backward(&self, sums: &[f32], statistics: &Statistics, gradient: &mut [f32]) -> Gradients {
        self.check(gradient, Some(sums));
        let width = self.gamma.len();
        let count = rows(width);
        let piece = count * width;
        let pieces = sums.len().div_ceil(piece);
        // Of each piece its own sums, which are then added in order: the same bits on any number of threads.
        let mut parts = vec![0.0; pieces * 2 * width];
        gradient
            .par_chunks_mut(piece)
            .zip(sums.par_chunks(piece))
            .zip(statistics.mean.par_chunks(count).zip(statistics.scale.par_chunks(count)))
            .zip(parts.par_chunks_mut(2 * width))
            .for_each(|(((gradient, sums), (mean, scale)), part)| {
                run(Backward, (self, gradient, sums, (mean, scale), part));
            });
        let mut total = vec![0.0; 2 * width];
        for part in parts.chunks_exact(2 * width) {
            add(&mut total, Some(part));
        }
        let beta = total.split_off(width);
        Gradients { gamma: total, beta }
    }
}

work!(InPlace = in_place((&Norm<'_>, &mut [f32], Option<&[f32]>)));

#[inline(always)]
fn in_place((norm, x, residual): (&Norm<'_>, &mut [f32], Option<&[f32]>)) {
    add(x, residual);
    for row in x.chunks_exact_mut(norm.gamma.len()) {
        let (mean, scale) = moments(row, norm.epsilon);
        apply_row(norm, row, mean, scale);
    }
}

type Measured<'a> = (&'a Norm<'a>, &'a mut [f32], Option<&'a [f32]>, &'a mut [f32], &'a mut [f32]);

work!(Measure = measure(Measured<'_>));

#[inline(always)]
fn measure((norm, x, residual, means, scales): Measured<'_>) {
    add(x, residual);
    for ((row, mean), scale) in x.chunks_exact(norm.gamma.len()).zip(means).zip(scales) {
        (*mean, *scale) = moments(row, norm.epsilon);
    }
}

work!(Apply = apply((&Norm<'_>, &mut [f32], &[f32], &[f32])));

#[inline(always)]
fn apply((norm, x, means, scales): (&Norm<'_>, &mut [f32], &[f32], &[f32])) {
    for ((row, mean), scale) in x.chunks_exact_mut(norm.gamma.len()).zip(means).zip(scales) {
        apply_row(norm, row, *mean, *scale);
    }
}

#[inline(always)]
fn apply_row(norm: &Norm<'_>, row: &mut [f32], mean: f32, scale: f32) {
    for ((x, gamma), beta) in row.iter_mut().zip(norm.gamma).zip(norm.beta) {
        *x = ((*x - mean) * scale).mul_add(*gamma, *beta);
    }
}

type Task<'a> = (&'a Norm<'a>, &'a mut [f32], &'a [f32], (&'a [f32], &'a [f32]), &'a mut [f32]);

work!(Backward = backward(Task<'_>));

/// With x̂ = (s - mean) scale and h = g gamma: dL/ds = scale (h - mean(h) - x̂ mean(h x̂)).
#[inline(always)]
fn backward((norm, gradient, sums, (means, scales), part): Task<'_>) {
    let width = norm.gamma.len();
    let (by_gamma, by_beta) = part.split_at_mut(width);
    let rows = gradient.chunks_exact_mut(width).zip(sums.chunks_exact(width));
    for ((gradient, row), (mean, scale)) in rows.zip(means.iter().zip(scales)) {
        let parameters = norm.gamma.iter().zip(&mut *by_gamma).zip(&mut *by_beta);
        for ((g, x), ((gamma, by_gamma), by_beta)) in gradient.iter_mut().zip(row).zip(parameters) {
            *by_gamma += *g * ((x - mean) * scale);
            *by_beta += *g;
            *g *= gamma;
        }
        let plain = sum(gradient, |h| h) / count(width);
        let along = sum_pairs(gradient, row, |h, x| h * ((x - mean) * scale)) / count(width);
        for (h, x) in gradient.iter_mut().zip(row) {
            *h = scale * (*h - plain - (x - mean) * scale * along);
        }
    }
}

#[inline(always)]
fn add(x: &mut [f32], residual: Option<&[f32]>) {
    if let Some(residual) = residual {
        for (x, residual) in x.iter_mut().zip(residual) {
            *x += residual;
        }
    }
}

/// Mean and 1 / √(variance + ε), in two passes over a row that is in the cache. A variance beyond f32 is no division by
/// infinity, which would make an overflow read as a row of zeros.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let width = count(row.len());
    let mean = sum(row, |x| x) / width;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / width;
    let scale = if variance.is_finite() { 1.0 / (variance + epsilon).sqrt() } else { f32::NAN };
    (mean, scale)
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "a row is some thousands wide")]
fn count(width: usize) -> f32 {
    width as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{Draw, assert_near, derivative, wide};

    const EPSILON: f64 = 1e-5;

    fn naive(x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
        let width = gamma.len();
        x.chunks_exact(width)
            .flat_map(|row| {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let scale = 1.0 / (variance + EPSILON).sqrt();
                let y = row.iter().zip(gamma).zip(beta).map(|((x, g), b)| (x - mean) * scale * g + b);
                y.collect::<Vec<_>>()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn forward_and_backward_are_those_of_the_definition(
            rows in 1_usize..5, width in 2_usize..80, seed in any::<u64>(),
        ) {
            let mut draw = Draw::new(seed);
            let (x, residual, slope) = (draw.values(rows * width), draw.values(rows * width), draw.values(rows * width));
            let (gamma, beta) = (draw.values(width), draw.values(width));
            let norm = Norm { gamma: &gamma, beta: &beta, epsilon: EPSILON as f32 };
            let sums: Vec<f64> = wide(&x).iter().zip(wide(&residual)).map(|(a, b)| a + b).collect();

            let expected = naive(&sums, &wide(&gamma), &wide(&beta));
            let mut in_place = x.clone();
            norm.forward(&mut in_place, Some(&residual));
            assert_near(&in_place, &expected, 1e-5);
            let mut kept = x.clone();
            let (y, statistics) = norm.forward_kept(&mut kept, Some(&residual));
            assert_eq!(y, in_place);

            let mut gradient = slope.clone();
            let found = norm.backward(&kept, &statistics, &mut gradient);
            let loss = |y: Vec<f64>| y.iter().zip(&slope).map(|(y, s)| y * f64::from(*s)).sum::<f64>();
            let by_x = derivative(&sums, |x| loss(naive(x, &wide(&gamma), &wide(&beta))));
            assert_near(&gradient, &by_x, 1e-3);
            let by_gamma = derivative(&wide(&gamma), |gamma| loss(naive(&sums, gamma, &wide(&beta))));
            assert_near(&found.gamma, &by_gamma, 1e-4);
            let by_beta = derivative(&wide(&beta), |beta| loss(naive(&sums, &wide(&gamma), beta)));
            assert_near(&found.beta, &by_beta, 1e-4);
        }
    }

    #[test]
    fn a_row_whose_variance_overflows_is_no_row_of_zeros() {
        let (gamma, beta) = ([1.0; 4], [0.0; 4]);
        let norm = Norm { gamma: &gamma, beta: &beta, epsilon: 1e-5 };
        let mut rows = [1e30, -1e30, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0];
        norm.forward(&mut rows, None);
        assert!(rows[..4].iter().all(|x| x.is_nan()) && rows[4..].iter().all(|x| x.is_finite()), "{rows:?}");
    }

    #[test]
    fn many_pieces_give_the_bits_of_one_thread() {
        let (rows, width) = (400, 130);
        let mut draw = Draw::new(5);
        let (x, slope) = (draw.values(rows * width), draw.values(rows * width));
        let (gamma, beta) = (draw.values(width), draw.values(width));
        let norm = Norm { gamma: &gamma, beta: &beta, epsilon: 1e-5 };
        let all = || {
            let (mut sums, mut gradient) = (x.clone(), slope.clone());
            let (y, statistics) = norm.forward_kept(&mut sums, None);
            let found = norm.backward(&sums, &statistics, &mut gradient);
            (y, gradient, found)
        };
        let on = crate::reference::on_threads;
        assert!(on(1, all) == on(3, all));
    }
}
