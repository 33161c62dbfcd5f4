//! Linear layers: y = x W + b, with W as `[in, out]`. Several may read the same x and stand side by side in y.

use rayon::prelude::*;

use crate::{
    matrix::{Matrix, MatrixMut},
    product::{Start, multiply, side_by_side},
    vector::{run, work},
};

/// Columns of a bias that are summed together.
const COLUMNS: usize = 64;

/// Weights of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// `[in, out]`
    pub weight: Matrix<'a>,
    /// `[out]`
    pub bias: &'a [f32],
}

/// A column of a layer: its weights, where it stands among them, and its bias.
pub(crate) type Column<'a> = (Matrix<'a>, usize, f32);

/// The columns of layers that read the same x, side by side, and the length of x.
///
/// # Panics
/// When shapes do not fit.
pub(crate) fn columns<'a>(layers: &[Linear<'a>]) -> (usize, Vec<Column<'a>>) {
    let inner = layers.first().map_or(0, |layer| layer.weight.shape().0);
    let columns = layers.iter().flat_map(|layer| {
        assert_eq!(layer.weight.shape(), (inner, layer.bias.len()), "layers that read the same x");
        layer.bias.iter().enumerate().map(|(column, bias)| (layer.weight, column, *bias))
    });
    (inner, columns.collect())
}

/// `[rows, in]` -> `[rows, Σ out]`
///
/// # Panics
/// When shapes do not fit.
#[must_use]
pub fn forward(x: Matrix<'_>, layers: &[Linear<'_>]) -> Vec<f32> {
    let products: Vec<_> = layers.iter().map(|layer| (layer.bias, layer.weight)).collect();
    side_by_side(x, &products)
}

/// The gradient of x from that of y: Σ g Wᵀ, `[rows, in]`.
///
/// # Panics
/// When shapes do not fit, or without a layer.
#[must_use]
pub fn by_input(gradient: Matrix<'_>, weights: &[Matrix<'_>]) -> Vec<f32> {
    let (rows, _) = gradient.shape();
    let mut first = 0;
    let mut parts = weights.iter().map(|weight| {
        let (_, out) = weight.shape();
        first += out;
        (gradient.block(0..rows, first - out..first), weight.transposed())
    });
    let (g, weight) = parts.next().expect("at least one layer");
    let mut x = side_by_side(g, &[(&[], weight)]);
    let (_, inner) = weight.shape();
    for (g, weight) in parts {
        multiply(MatrixMut::new(&mut x, inner), Start::There, g, weight);
    }
    x
}

/// The gradient of a weight from that of its columns of y: xᵀ g, `[in, out]`.
///
/// # Panics
/// When shapes do not fit.
#[must_use]
pub fn by_weight(x: Matrix<'_>, gradient: Matrix<'_>) -> Vec<f32> {
    side_by_side(x.transposed(), &[(&[], gradient)])
}

/// The gradient of the biases from that of y: the sums of its columns, `[columns]`.
///
/// # Panics
/// When the rows are not whole.
#[must_use]
pub fn by_bias(gradient: &[f32], columns: usize) -> Vec<f32> {
    assert!(columns > 0 && gradient.len().is_multiple_of(columns), "rows of {columns}");
    let mut sums = vec![0.0; columns];
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(number, sums)| {
        run(AddRows, (sums, gradient.get(number * COLUMNS..).unwrap_or_default(), columns));
    });
    sums
}

work!(AddRows = add_rows((&mut [f32], &[f32], usize)));

/// Adds up rows that begin `stride` apart.
#[inline(always)]
fn add_rows((sums, values, stride): (&mut [f32], &[f32], usize)) {
    for row in values.chunks(stride) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{Draw, assert_near, on_threads, wide};

    /// `[a, b] x [b, c]` in f64.
    fn times(left: &[f64], right: &[f64], inner: usize) -> Vec<f64> {
        let columns = right.len() / inner;
        left.chunks_exact(inner)
            .flat_map(|row| {
                (0..columns)
                    .map(move |c| row.iter().enumerate().map(|(i, x)| x * right[i * columns + c]).sum())
            })
            .collect()
    }

    fn turned(values: &[f64], columns: usize) -> Vec<f64> {
        (0..columns).flat_map(|c| values.iter().skip(c).step_by(columns).copied()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn layers_side_by_side_are_what_each_is_alone(
            rows in 1_usize..40, inner in 1_usize..40, outs in prop::collection::vec(1_usize..40, 1..4),
            seed in any::<u64>(),
        ) {
            let mut draw = Draw::new(seed);
            let x = draw.values(rows * inner);
            let weights: Vec<_> = outs.iter().map(|out| draw.values(inner * out)).collect();
            let biases: Vec<_> = outs.iter().map(|out| draw.values(*out)).collect();
            let columns: usize = outs.iter().sum();
            let g = draw.values(rows * columns);

            let layers: Vec<_> = weights.iter().zip(&biases)
                .map(|(weight, bias)| Linear { weight: Matrix::new(weight, bias.len()), bias }).collect();
            let found = forward(Matrix::new(&x, inner), &layers);
            let gradient = Matrix::new(&g, columns);
            let views: Vec<_> = layers.iter().map(|layer| layer.weight).collect();
            let by_x = by_input(gradient, &views);
            assert_near(&by_bias(&g, columns), &times(&vec![1.0; rows], &wide(&g), rows), 1e-4);

            let mut expected_by_x = vec![0.0; x.len()];
            let mut first = 0;
            for (weight, bias) in weights.iter().zip(&biases) {
                let out = bias.len();
                let own = |y: &[f32]| -> Vec<f32> {
                    y.chunks_exact(columns).flat_map(|row| row[first..first + out].to_vec()).collect()
                };
                let mut expected = times(&wide(&x), &wide(weight), inner);
                expected.iter_mut().zip(bias.iter().cycle()).for_each(|(y, b)| *y += f64::from(*b));
                assert_near(&own(&found), &expected, 1e-4);
                let g = wide(&own(&g));
                let back = times(&g, &turned(&wide(weight), out), out);
                expected_by_x.iter_mut().zip(back).for_each(|(sum, x)| *sum += x);
                let by_w = by_weight(Matrix::new(&x, inner), gradient.block(0..rows, first..first + out));
                assert_near(&by_w, &times(&turned(&wide(&x), inner), &g, rows), 1e-4);
                first += out;
            }
            assert_near(&by_x, &expected_by_x, 1e-4);
        }
    }

    #[test]
    fn no_rows_add_up_to_nothing() {
        assert_eq!(by_bias(&[], 2 * COLUMNS + 1), [0.0; 2 * COLUMNS + 1]);
    }

    /// Large enough for several tasks.
    #[test]
    fn threads_do_not_show() {
        let (rows, inner, out) = (150, 200, 300);
        let mut draw = Draw::new(3);
        let (x, weight, bias, g) =
            (draw.values(rows * inner), draw.values(inner * out), draw.values(out), draw.values(rows * out));
        let all = || {
            let (x, g, weight) = (Matrix::new(&x, inner), Matrix::new(&g, out), Matrix::new(&weight, out));
            (forward(x, &[Linear { weight, bias: &bias }]), by_input(g, &[weight]), by_weight(x, g))
        };
        let once = on_threads(1, all);
        for threads in [2, 3, 8] {
            assert!(on_threads(threads, all) == once, "{threads} threads");
        }
    }
}
