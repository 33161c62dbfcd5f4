//! Softmax of rows and its backward pass.

use crate::vector::{exp, largest, sum, sum_pairs};

/// Each row of `width` becomes its softmax. On this thread alone: attention calls it from its tasks.
#[inline(always)]
pub(crate) fn softmax(values: &mut [f32], width: usize) {
    for row in values.chunks_exact_mut(width) {
        let top = largest(row);
        for x in row.iter_mut() {
            *x = exp(*x - top);
        }
        let share = 1.0 / sum(row, |x| x);
        for x in row {
            *x *= share;
        }
    }
}

/// From the gradient of each row p of a softmax of `scale` times its input to that of the input:
/// scale p (g - Σ p g), in place.
#[inline(always)]
pub(crate) fn softmax_backward(p: &[f32], gradient: &mut [f32], width: usize, scale: f32) {
    for (p, gradient) in p.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
        let mean = sum_pairs(p, gradient, |p, g| p * g);
        for (g, p) in gradient.iter_mut().zip(p) {
            *g = scale * p * (*g - mean);
        }
    }
}
