//! Products of small matrices on one thread, for attention: tens of rows.

use pulp::Simd;

use crate::matrix::{Matrix, MatrixMut};

/// Columns of a panel: two registers of AVX-512, four of AVX2.
const COLUMNS: usize = 32;

/// Rows that are computed together, so that a panel is read once for all of them.
const ROWS: usize = 4;

/// The right side of a product, copied into panels of [`COLUMNS`] columns that lie one after another; the last is filled
/// up with zeros.
#[derive(Default)]
pub(crate) struct Panels {
    values: Vec<[f32; COLUMNS]>,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// Takes in `scale * matrix`, in the memory of what was there before.
    #[inline(always)]
    pub(crate) fn pack(&mut self, matrix: Matrix<'_>, scale: f32) {
        (self.depth, self.columns) = matrix.shape();
        self.values.clear();
        self.values.resize(self.columns.div_ceil(COLUMNS) * self.depth, [0.0; COLUMNS]);
        if self.depth == 0 {
            return;
        }
        for (number, panel) in self.values.chunks_exact_mut(self.depth).enumerate() {
            let first = number * COLUMNS;
            let count = COLUMNS.min(self.columns - first);
            for (k, row) in panel.iter_mut().enumerate() {
                for (column, value) in row[..count].iter_mut().enumerate() {
                    *value = scale * matrix.at(k, first + column);
                }
            }
        }
    }

    /// `to = (add ? to : 0) + left * self`, in registers of `simd`: arrays of sums the compiler leaves in memory.
    ///
    /// # Panics
    /// When shapes do not fit.
    #[inline(always)]
    pub(crate) fn multiply<S: Simd>(&self, simd: S, mut to: MatrixMut<'_>, add: bool, left: Matrix<'_>) {
        let (rows, depth) = left.shape();
        assert_eq!((to.shape(), depth), ((rows, self.columns), self.depth), "shape of a product");
        if depth == 0 {
            if !add {
                (0..rows).for_each(|row| to.row(row).fill(0.0));
            }
            return;
        }
        for (number, panel) in self.values.chunks_exact(depth).enumerate() {
            let whole = rows / ROWS * ROWS;
            for pair in 0..COLUMNS / (2 * S::F32_LANES) {
                let column = number * COLUMNS + pair * 2 * S::F32_LANES;
                if column >= self.columns {
                    break;
                }
                for row in (0..whole).step_by(ROWS) {
                    tile::<S, ROWS>(simd, &mut to, add, left, (panel, pair), (row, column));
                }
                for row in whole..rows {
                    tile::<S, 1>(simd, &mut to, add, left, (panel, pair), (row, column));
                }
            }
        }
    }
}

/// Some rows of two registers of a panel's columns.
#[inline(always)]
fn tile<S: Simd, const N: usize>(
    simd: S,
    to: &mut MatrixMut<'_>,
    add: bool,
    left: Matrix<'_>,
    (panel, pair): (&[[f32; COLUMNS]], usize),
    (row, column): (usize, usize),
) {
    let mut sums = [[simd.splat_f32s(0.0); 2]; N];
    for (k, right) in panel.iter().enumerate() {
        let (right, _) = S::as_simd_f32s(right);
        let right = [right[2 * pair], right[2 * pair + 1]];
        for (place, sums) in sums.iter_mut().enumerate() {
            let x = simd.splat_f32s(left.at(row + place, k));
            sums[0] = simd.mul_add_f32s(x, right[0], sums[0]);
            sums[1] = simd.mul_add_f32s(x, right[1], sums[1]);
        }
    }
    for (place, sums) in sums.iter().enumerate() {
        let mut values = [0.0; COLUMNS];
        let (registers, _) = S::as_mut_simd_f32s(&mut values);
        registers[..2].copy_from_slice(sums);
        // The zeros that fill the last panel up have no place in `to`.
        let to = &mut to.row(row + place)[column..];
        for (to, sum) in to.iter_mut().zip(&values[..2 * S::F32_LANES]) {
            *to = if add { *to + sum } else { *sum };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::WithSimd;

    use super::*;
    use crate::{
        instructions::instructions,
        product::side_by_side,
        reference::{Draw, assert_near, wide},
    };

    struct Multiply<'a>(&'a Panels, MatrixMut<'a>, bool, Matrix<'a>);

    impl WithSimd for Multiply<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            let Self(panels, to, add, left) = self;
            panels.multiply(simd, to, add, left);
        }
    }

    proptest! {
        #[test]
        fn a_product_by_panels_is_the_product(
            rows in 1_usize..10, depth in 1_usize..40, columns in 1_usize..70, turned in any::<bool>(), seed in any::<u64>(),
        ) {
            let mut draw = Draw::new(seed);
            let (left, right) = (draw.values(rows * depth), draw.values(depth * columns));
            let left = if turned { Matrix::new(&left, rows).transposed() } else { Matrix::new(&left, depth) };
            let right = if turned { Matrix::new(&right, depth).transposed() } else { Matrix::new(&right, columns) };
            let expected = wide(&side_by_side(left, &[(&[], right)]));
            let mut panels = Panels::default();
            panels.pack(right, 1.0);
            let mut to = vec![7.0; rows * columns];
            instructions().arch.dispatch(Multiply(&panels, MatrixMut::new(&mut to, columns), false, left));
            assert_near(&to, &expected, 1e-5);
            panels.pack(right, 0.5);
            instructions().arch.dispatch(Multiply(&panels, MatrixMut::new(&mut to, columns), true, left));
            assert_near(&to, &expected.iter().map(|x| 1.5 * x).collect::<Vec<_>>(), 1e-5);
        }
    }

    #[test]
    fn a_product_over_nothing_is_zero_or_what_is_there() {
        let mut panels = Panels::default();
        panels.pack(Matrix::empty(0, 3), 1.0);
        for (add, expected) in [(true, [7.0; 6]), (false, [0.0; 6])] {
            let mut to = [7.0; 6];
            let product = Multiply(&panels, MatrixMut::new(&mut to, 3), add, Matrix::empty(2, 0));
            instructions().arch.dispatch(product);
            assert_eq!(to, expected);
        }
    }
}
