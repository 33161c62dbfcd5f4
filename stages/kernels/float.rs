//! Linear layers in f32, for inference: y = x W + b with weights packed once, where [`crate::linear`] packs them for each
//! product.

use rayon::prelude::*;

use crate::{
    linear::{Linear, columns},
    matrix::{Matrix, MatrixMut},
    packed::Packed,
    product::{self, COLUMNS, Line, Product, Rows, Start, by_panel},
};

/// One or more layers side by side, packed once.
#[derive(Clone, Debug)]
pub struct F32 {
    /// Length of a row of x.
    inner: usize,
    /// Length of a row of y.
    outer: usize,
    /// For each panel its bias and then `inner` lines; the last panel is filled up with zeros.
    panels: Vec<Line>,
}

impl Packed for F32 {
    type Scratch = Vec<Rows>;

    fn pack(layers: &[Linear<'_>]) -> Self {
        let (inner, columns) = columns(layers);
        let panels = columns.par_chunks(COLUMNS).flat_map_iter(|columns| {
            (0..=inner).map(move |line| {
                let mut to = [0.0; COLUMNS];
                for (to, (weight, column, bias)) in to.iter_mut().zip(columns) {
                    *to = if line == 0 { *bias } else { weight.at(line - 1, *column) };
                }
                Line(to)
            })
        });
        Self { inner, outer: columns.len(), panels: panels.collect() }
    }

    fn shape(&self) -> (usize, usize) {
        (self.inner, self.outer)
    }

    fn multiply_rows(&self, rows: usize, x: &[f32], y: &mut [f32], tiles: &mut Vec<Rows>, gelu: bool) {
        let (inner, outer) = self.shape();
        product::tiles(matrix(x, rows, inner), tiles);
        let mut beside = MatrixMut::new(y, outer);
        for panel in self.panels.chunks_exact(inner + 1) {
            let (Line(bias), panel) = panel.split_first().expect("a panel begins with its bias");
            let (_, left) = beside.shape();
            let (to, rest) = beside.split_columns(COLUMNS.min(left));
            beside = rest;
            let start = Start::Bias(&bias[..to.shape().1]);
            by_panel(Product { tiles, panel, start, to, gelu });
        }
    }
}

fn matrix(x: &[f32], rows: usize, inner: usize) -> Matrix<'_> {
    if inner == 0 { Matrix::empty(rows, 0) } else { Matrix::new(x, inner) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        gelu::gelu,
        linear,
        matrix::Matrix,
        reference::{Draw, assert_near, wide},
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_packed_product_is_the_product(
            rows in 0_usize..30, inner in 1_usize..70, outs in prop::collection::vec(1_usize..120, 1..4), seed in any::<u64>(),
        ) {
            let mut draw = Draw::new(seed);
            let x = draw.values(rows * inner);
            let weights: Vec<_> = outs.iter().map(|out| draw.values(inner * out)).collect();
            let biases: Vec<_> = outs.iter().map(|out| draw.values(*out)).collect();
            let layers: Vec<_> = weights.iter().zip(&biases)
                .map(|(weight, bias)| Linear { weight: Matrix::new(weight, bias.len()), bias }).collect();
            let packed = F32::pack(&layers);
            let mut expected = linear::forward(Matrix::new(&x, inner), &layers);
            assert_near(&packed.forward(&x, rows), &wide(&expected), 1e-5);
            let mut found = vec![7.0; expected.len()];
            packed.rows(&x, &mut found, &mut Vec::new(), true);
            gelu(&mut expected);
            assert_near(&found, &wide(&expected), 1e-5);
        }
    }

    #[test]
    fn what_is_not_a_number_shows_in_its_row_alone() {
        let packed =
            F32::pack(&[Linear { weight: Matrix::new(&[1.0, 0.5, 0.0, 1.0], 2), bias: &[3.0, 4.0] }]);
        for odd in [f32::NAN, f32::INFINITY] {
            let y = packed.forward(&[1.0, 2.0, odd, 1.0, 2.0, 2.0], 3);
            assert_eq!((&y[..2], &y[4..]), (&[4.0, 6.5][..], &[5.0, 7.0][..]));
            assert!(y[2..4].iter().all(|y| !y.is_finite()));
        }
        assert!(packed.forward(&[], 0).is_empty());
    }

    #[test]
    #[should_panic(expected = "rows of (4, 2)")]
    fn lengths_that_do_not_fit_are_refused() {
        let packed = F32::pack(&[Linear { weight: Matrix::new(&[0.0; 8], 2), bias: &[0.0; 2] }]);
        packed.rows(&[0.0; 18], &mut [0.0; 9], &mut Vec::new(), false);
    }

    #[test]
    fn neighbours_do_not_show() {
        let (rows, inner, out) = (29, 50, 61);
        let mut draw = Draw::new(6);
        let (x, weight, bias) = (draw.values(rows * inner), draw.values(inner * out), draw.values(out));
        let packed = F32::pack(&[Linear { weight: Matrix::new(&weight, out), bias: &bias }]);
        let all = packed.forward(&x, rows);
        for row in [0, 7, 8, 23, 28] {
            assert_eq!(packed.forward(&x[row * inner..][..inner], 1), all[row * out..][..out], "row {row}");
        }
    }
}
