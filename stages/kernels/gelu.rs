//! GELU in its exact form, x Φ(x) (Hendrycks and Gimpel 2016, eq. 1).

use std::f32::consts::FRAC_1_SQRT_2;

use crate::vector::{PIECE, changed_copy, each_piece, erf, exp, run, work};

/// 1 / √(2π)
const DENSITY: f32 = 0.398_942_3;

/// Φ(x)
#[inline(always)]
fn share(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// One element.
#[inline(always)]
pub(crate) fn gelu_one(x: f32) -> f32 {
    x * share(x)
}

work!(Forward = forward(&mut [f32]));

#[inline(always)]
fn forward(values: &mut [f32]) {
    for x in values {
        *x = gelu_one(*x);
    }
}

/// In place.
pub fn gelu(values: &mut [f32]) {
    each_piece(values, PIECE, |_, piece| run(Forward, piece));
}

/// In new memory.
#[must_use]
pub fn gelu_of(values: &[f32]) -> Vec<f32> {
    changed_copy(values, PIECE, |_, piece| run(Forward, piece))
}

/// From the gradient of the output to that of the input `x`, in place.
///
/// # Panics
/// When the lengths differ.
pub fn gelu_backward(x: &[f32], gradient: &mut [f32]) {
    assert_eq!(x.len(), gradient.len(), "a gradient for each element");
    each_piece(gradient, PIECE, |number, piece| {
        let x = &x[number * PIECE..][..piece.len()];
        run(Backward, (x, piece));
    });
}

work!(Backward = backward((&[f32], &mut [f32])));

#[inline(always)]
fn backward((x, gradient): (&[f32], &mut [f32])) {
    for (gradient, &x) in gradient.iter_mut().zip(x) {
        *gradient *= (x * DENSITY).mul_add(exp(-0.5 * x * x), share(x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{assert_near, erf};

    fn phi(x: f64) -> f64 {
        0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))
    }

    /// [-12, 12] in steps of 2⁻¹³.
    fn everywhere() -> Vec<f32> {
        (-12 << 13..=12 << 13).map(|i| i as f32 / 8192.0).collect()
    }

    #[test]
    fn gelu_is_that_of_the_definition() {
        let x = everywhere();
        let expected: Vec<_> = x.iter().map(|&x| f64::from(x) * phi(f64::from(x))).collect();
        let mut found = x.clone();
        gelu(&mut found);
        assert_near(&found, &expected, 1e-6);
        assert_eq!(gelu_of(&x), found);
    }

    #[test]
    fn the_slope_is_that_of_the_definition() {
        let x = everywhere();
        for slope in [-3.0, 0.5] {
            let mut gradient = vec![slope; x.len()];
            gelu_backward(&x, &mut gradient);
            let expected: Vec<_> = x
                .iter()
                .map(|&x| {
                    let x = f64::from(x);
                    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
                    f64::from(slope) * (phi(x) + x * density)
                })
                .collect();
            assert_near(&gradient, &expected, 2e-6);
        }
    }

    #[test]
    fn far_out_it_is_zero_and_the_identity() {
        let far = [-1e30, -1000.0, -6.0, 6.0, 1000.0, 1e30];
        assert_eq!(gelu_of(&far), [0.0, 0.0, 0.0, 6.0, 1000.0, 1e30]);
    }

    #[test]
    fn pieces_do_not_show() {
        let x: Vec<f32> = (0..3 * PIECE + 17).map(|i| (i % 1000) as f32 * 0.01 - 5.0).collect();
        let whole = gelu_of(&x);
        for at in [0, PIECE - 1, PIECE, 3 * PIECE + 16] {
            assert_eq!(gelu_of(&x[at..=at]), [whole[at]]);
        }
    }
}
