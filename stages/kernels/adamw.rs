//! `AdamW` (Loshchilov and Hutter 2017) in place, and the norm that gradients are clipped by.

use rayon::prelude::*;

use crate::vector::{PIECE, run, sum, work};

/// One step of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f32,
    /// How much of the first moment stays.
    pub beta_1: f32,
    /// How much of the second moment stays.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub decay: f32,
    /// Steps taken, this one included.
    pub time: i32,
    /// What the gradient is multiplied by first: 1, or less where it is clipped.
    pub scale: f32,
}

impl AdamW {
    /// Changes the parameter and its moments.
    ///
    /// # Panics
    /// When lengths differ.
    pub fn step(&self, parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let length = parameter.len();
        assert!([gradient.len(), first.len(), second.len()] == [length; 3], "moments of each element");
        if length <= PIECE {
            return run(Change, (*self, parameter, gradient, first, second));
        }
        parameter
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(first.par_chunks_mut(PIECE))
            .zip(second.par_chunks_mut(PIECE))
            .for_each(|(((p, g), m), v)| run(Change, (*self, p, g, m, v)));
    }
}

type Piece<'a> = (AdamW, &'a mut [f32], &'a [f32], &'a mut [f32], &'a mut [f32]);

work!(Change = change(Piece<'_>));

#[inline(always)]
fn change((step, p, g, m, v): Piece<'_>) {
    let kept = 1.0 - step.rate * step.decay;
    let rate = step.rate / (1.0 - step.beta_1.powi(step.time));
    let correction = 1.0 / (1.0 - step.beta_2.powi(step.time));
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * step.scale;
        *m = step.beta_1.mul_add(*m, (1.0 - step.beta_1) * g);
        *v = step.beta_2.mul_add(*v, (1.0 - step.beta_2) * g * g);
        *p = p.mul_add(kept, -rate * *m / ((*v * correction).sqrt() + step.epsilon));
    }
}

/// Σ x², in pieces that are added in order.
#[must_use]
pub fn squares(values: &[f32]) -> f64 {
    if values.len() <= PIECE {
        return run(Square, values);
    }
    values.par_chunks(PIECE).map(|piece| run(Square, piece)).collect::<Vec<_>>().into_iter().sum()
}

work!(Square = square(&[f32]) -> f64);

#[inline(always)]
fn square(values: &[f32]) -> f64 {
    f64::from(sum(values, |x| x * x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Draw, assert_near, wide};

    /// Algorithm 2 of the paper, line by line, in f64.
    #[test]
    fn three_steps_are_those_of_the_algorithm() {
        let mut draw = Draw::new(4);
        let length = PIECE + 100;
        let mut parameter = draw.values(length);
        let (mut first, mut second) = (vec![0.0; length], vec![0.0; length]);
        let (mut p, mut m, mut v) = (wide(&parameter), vec![0.0; length], vec![0.0; length]);
        for time in 1..=3 {
            let gradient = draw.values(length);
            let (rate, scale) = (0.01_f32, 0.5_f32);
            let adamw = AdamW { rate, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, decay: 0.1, time, scale };
            adamw.step(&mut parameter, &gradient, &mut first, &mut second);
            for i in 0..length {
                let g = 0.5 * f64::from(gradient[i]);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let corrected = m[i] / (1.0 - 0.9_f64.powi(time));
                let root = (v[i] / (1.0 - 0.999_f64.powi(time))).sqrt();
                p[i] -= 0.01 * (corrected / (root + 1e-8) + 0.1 * p[i]);
            }
        }
        assert_near(&first, &m, 1e-6);
        assert_near(&second, &v, 1e-6);
        assert_near(&parameter, &p, 1e-5);
    }

    #[test]
    fn squares_are_summed_alike_on_any_number_of_threads() {
        let values = Draw::new(6).values(5 * PIECE + 3);
        let expected: f64 = wide(&values).iter().map(|x| x * x).sum();
        let once = crate::reference::on_threads(1, || squares(&values));
        assert!((once / expected - 1.0).abs() < 1e-5);
        assert!(once.to_bits() == crate::reference::on_threads(3, || squares(&values)).to_bits());
    }
}
