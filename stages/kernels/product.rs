//! Products on all cores, by tiles of the left side's rows and panels of the right side's columns. A panel is packed where it
//! is used, so that few rows do not wait for a whole matrix to be copied first.
//!
//! Each element is one sum over the inner side in its order: neither tiles nor threads show in it.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    gelu::gelu_one,
    instructions::instructions,
    matrix::{Matrix, MatrixMut, written},
    vector::{run, work},
};

/// Columns of a panel: so many registers of AVX-512, and twice as many of AVX2.
pub(crate) const COLUMNS: usize = 16 * REGISTERS;

/// Registers of a row of a tile.
const REGISTERS: usize = 3;

/// Rows of a tile where there are 32 registers, of which 24 hold sums.
pub(crate) const ROWS: usize = 8;

/// The same where there are 16.
const FEW_ROWS: usize = 4;

/// Least rows of a task, for which a panel is packed.
const TASK: usize = 64;

/// A panel's values at one place of the inner side, or what is added to its columns.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [f32; COLUMNS]);

/// Values of a tile's rows at one place of the inner side.
pub(crate) type Rows = [f32; ROWS];

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// To nothing.
    Zero,
    /// To a value for each column.
    Bias(&'a [f32]),
    /// To what is there.
    There,
}

/// The products of a matrix with others, side by side in new memory; each with a bias, or an empty slice for none.
///
/// # Panics
/// When the shapes do not fit.
pub(crate) fn side_by_side(left: Matrix<'_>, rights: &[(&[f32], Matrix<'_>)]) -> Vec<f32> {
    let left = Left::of(left);
    let rows = left.rows;
    let columns = rights.iter().map(|(_, right)| right.shape().1).sum();
    let write = |mut beside: MatrixMut<'_>| {
        for (bias, right) in rights {
            assert!(bias.is_empty() || bias.len() == right.shape().1, "a bias for each column");
            let (own, rest) = beside.split_columns(right.shape().1);
            beside = rest;
            let start = if bias.is_empty() { Start::Zero } else { Start::Bias(bias) };
            left.multiply(own, start, *right);
        }
    };
    // SAFETY: the products have all columns, and `multiply` writes all of a product that it does not add to what is there.
    unsafe { written(rows, columns, write) }
}

/// `to = start + left * right`, on all cores.
///
/// # Panics
/// When the shapes do not fit.
pub(crate) fn multiply(to: MatrixMut<'_>, start: Start<'_>, left: Matrix<'_>, right: Matrix<'_>) {
    Left::of(left).multiply(to, start, right);
}

/// The left side of products.
struct Left {
    rows: usize,
    depth: usize,
    tiles: Vec<Rows>,
}

impl Left {
    fn of(left: Matrix<'_>) -> Self {
        let (rows, depth) = left.shape();
        let mut tiles = vec![[0.0; ROWS]; rows.div_ceil(ROWS) * depth];
        if depth > 0 {
            tiles.par_chunks_exact_mut(depth).enumerate().for_each(|(number, tile)| fill(left, number, tile));
        }
        Self { rows, depth, tiles }
    }

    /// As [`multiply`].
    fn multiply(&self, to: MatrixMut<'_>, start: Start<'_>, right: Matrix<'_>) {
        let Self { rows, depth, ref tiles } = *self;
        let (inner, columns) = right.shape();
        assert_eq!((to.shape(), inner), ((rows, columns), depth), "shape of a product");
        if rows == 0 || columns == 0 {
            return;
        }
        let panels = columns.div_ceil(COLUMNS);
        let parts = (4 * rayon::current_num_threads()).div_ceil(panels).min(rows.div_ceil(TASK));
        let part = rows.div_ceil(parts).next_multiple_of(ROWS);
        let mut tasks = Vec::with_capacity(panels * parts);
        let mut beside = to;
        for first in (0..columns).step_by(COLUMNS) {
            let (own, rest) = beside.split_columns(COLUMNS.min(columns - first));
            beside = rest;
            let mut below = own;
            for row in (0..rows).step_by(part) {
                let (own, rest) = below.split_rows(part.min(rows - row));
                below = rest;
                tasks.push((first, row, own));
            }
        }
        tasks.into_par_iter().for_each_init(Vec::new, |panel: &mut Vec<Line>, (first, row, to)| {
            let columns = first..first + to.shape().1;
            let start = match start {
                Start::Bias(bias) => Start::Bias(&bias[columns.clone()]),
                start => start,
            };
            panel.resize(depth, Line([0.0; COLUMNS]));
            run(Pack, (right.block(0..depth, columns), panel.as_mut_slice()));
            let tiles = &tiles[row / ROWS * depth..];
            by_panel(Product { tiles, panel, start, to, gelu: false });
        });
    }
}

/// A matrix by tiles of its rows, on this thread, in memory that is used again.
pub(crate) fn tiles(left: Matrix<'_>, tiles: &mut Vec<Rows>) {
    let (rows, depth) = left.shape();
    tiles.resize(rows.div_ceil(ROWS) * depth, [0.0; ROWS]);
    if depth > 0 {
        tiles.chunks_exact_mut(depth).enumerate().for_each(|(number, tile)| fill(left, number, tile));
    }
}

/// One of a matrix's tiles.
fn fill(left: Matrix<'_>, number: usize, tile: &mut [Rows]) {
    let (rows, depth) = left.shape();
    let first = number * ROWS;
    run(Turn, (left.block(first..rows.min(first + ROWS), 0..depth), tile));
}

work!(Turn = turn((Matrix<'_>, &mut [Rows])));

/// Up to [`ROWS`] rows of a matrix side by side. What fills a tile up has no place in a result.
#[inline(always)]
fn turn((rows, tile): (Matrix<'_>, &mut [Rows])) {
    if let Some(columns) = rows.transposed().by_rows() {
        tile.iter_mut().zip(columns).for_each(|(to, x)| copy_to_front(to, x));
        return;
    }
    beside(rows, tile, |to, row, x| to[row] = x);
}

work!(Pack = pack((Matrix<'_>, &mut [Line])));

/// Up to [`COLUMNS`] columns of a matrix.
#[inline(always)]
fn pack((columns, panel): (Matrix<'_>, &mut [Line])) {
    if let Some(rows) = columns.by_rows() {
        panel.iter_mut().zip(rows).for_each(|(Line(to), x)| copy_to_front(to, x));
        return;
    }
    beside(columns.transposed(), panel, |Line(to), column, x| to[column] = x);
}

/// A whole copy is of a known length, for which no function is called.
#[inline(always)]
fn copy_to_front<const N: usize>(to: &mut [f32; N], x: &[f32]) {
    match <&[f32; N]>::try_from(x) {
        Ok(whole) => *to = *whole,
        Err(_) => to[..x.len()].copy_from_slice(x),
    }
}

/// Puts the rows of a matrix, each of which lies in one piece, beside each other; by squares, whose elements lie in registers.
#[inline(always)]
fn beside<T>(rows: Matrix<'_>, to: &mut [T], put: impl Fn(&mut T, usize, f32)) {
    const SIDE: usize = 8;
    let (count, inner) = rows.shape();
    for first in (0..count).step_by(SIDE) {
        let some = || {
            let some = rows.block(first..count.min(first + SIDE), 0..inner);
            some.by_rows().expect("a matrix, or what it is turned from, lies row by row")
        };
        let (squares, rest) = to.as_chunks_mut::<SIDE>();
        for (number, to) in squares.iter_mut().enumerate() {
            let mut square = [[0.0; SIDE]; SIDE];
            for (square, x) in square.iter_mut().zip(some()) {
                square.copy_from_slice(&x[number * SIDE..][..SIDE]);
            }
            for (k, to) in to.iter_mut().enumerate() {
                for (row, square) in square.iter().enumerate().take(count - first) {
                    put(to, first + row, square[k]);
                }
            }
        }
        let last = inner - rest.len();
        for (k, to) in rest.iter_mut().enumerate() {
            for (row, x) in some().enumerate() {
                put(to, first + row, x[last + k]);
            }
        }
    }
}

/// Tiles, times a panel.
pub(crate) struct Product<'a> {
    /// `depth` of each tile, one after another.
    pub tiles: &'a [Rows],
    /// `[depth]`
    pub panel: &'a [Line],
    pub start: Start<'a>,
    /// `[rows, columns of the panel]`
    pub to: MatrixMut<'a>,
    pub gelu: bool,
}

pub(crate) fn by_panel(product: Product<'_>) {
    instructions().arch.dispatch(product);
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT < 32 { self.by::<S, FEW_ROWS>(simd) } else { self.by::<S, ROWS>(simd) }
    }
}

impl Product<'_> {
    /// `N` rows at once.
    #[inline(always)]
    fn by<S: Simd, const N: usize>(self, simd: S) {
        let Self { tiles, panel, start, mut to, gelu } = self;
        let ((rows, columns), depth) = (to.shape(), panel.len());
        let width = REGISTERS * S::F32_LANES;
        let mut bias = Line([0.0; COLUMNS]);
        if let Start::Bias(values) = start {
            bias.0[..columns].copy_from_slice(values);
        }
        for (group, first) in (0..columns).step_by(width).enumerate() {
            for row in (0..rows).step_by(N) {
                let tile = &tiles[row / ROWS * depth..][..depth];
                let sums = sums::<S, N>(simd, tile, row % ROWS, &bias, panel, group);
                for (number, sums) in sums.iter().enumerate().take(rows - row) {
                    let mut values = [0.0; COLUMNS];
                    let (registers, _) = S::as_mut_simd_f32s(&mut values);
                    registers[..REGISTERS].copy_from_slice(sums);
                    let values = &mut values[..width.min(columns - first)];
                    if gelu {
                        for value in &mut *values {
                            *value = gelu_one(*value);
                        }
                    }
                    match start {
                        Start::There => {
                            for (to, value) in to.row(row + number)[first..].iter_mut().zip(values) {
                                *to += *value;
                            }
                        }
                        // As in `copy_to_front`.
                        _ if values.len() == width => to.put(row + number, first, &values[..width]),
                        Start::Zero | Start::Bias(_) => to.put(row + number, first, values),
                    }
                }
            }
        }
    }
}

/// For `N` of a tile's rows, from the `first` on, the sums of a group of registers of a panel's columns.
#[inline(always)]
fn sums<S: Simd, const N: usize>(
    simd: S,
    tile: &[Rows],
    first: usize,
    bias: &Line,
    panel: &[Line],
    group: usize,
) -> [[S::f32s; REGISTERS]; N] {
    let mut sums = [registers::<S>(bias, group); N];
    for (x, line) in tile.iter().zip(panel) {
        let line = registers::<S>(line, group);
        for (sums, x) in sums.iter_mut().zip(&x[first..first + N]) {
            let x = simd.splat_f32s(*x);
            for (sum, weights) in sums.iter_mut().zip(line) {
                // A plain processor's fused multiplication is a call.
                *sum = if S::IS_SCALAR {
                    simd.add_f32s(*sum, simd.mul_f32s(x, weights))
                } else {
                    simd.mul_add_f32s(x, weights, *sum)
                };
            }
        }
    }
    sums
}

#[inline(always)]
fn registers<S: Simd>(Line(line): &Line, group: usize) -> [S::f32s; REGISTERS] {
    let (line, _) = S::as_simd_f32s(line);
    let first = group * REGISTERS;
    [line[first], line[first + 1], line[first + 2]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{Draw, assert_near, on_threads};

    /// `[rows, columns]` of a larger matrix, in one of two orders.
    fn view(values: &[f32], rows: usize, columns: usize, turned: bool) -> Matrix<'_> {
        if turned {
            Matrix::new(values, rows + 2).transposed().block(1..rows + 1, 1..columns + 1)
        } else {
            Matrix::new(values, columns + 2).block(1..rows + 1, 1..columns + 1)
        }
    }

    fn naive(left: Matrix<'_>, right: Matrix<'_>) -> Vec<f64> {
        let ((rows, depth), (_, columns)) = (left.shape(), right.shape());
        let at = |row: usize, column: usize| -> f64 {
            (0..depth).map(|k| f64::from(left.at(row, k)) * f64::from(right.at(k, column))).sum()
        };
        (0..rows).flat_map(|row| (0..columns).map(move |column| at(row, column))).collect()
    }

    proptest! {
        #[test]
        fn a_product_is_that_of_the_definition(
            rows in 1_usize..90, depth in 1_usize..40, columns in 1_usize..120,
            turned in any::<[bool; 2]>(), seed in any::<u64>(),
        ) {
            let mut draw = Draw::new(seed);
            let (left, right) = (draw.values((rows + 2) * (depth + 2)), draw.values((depth + 2) * (columns + 2)));
            let left = view(&left, rows, depth, turned[0]);
            let right = view(&right, depth, columns, turned[1]);
            let expected = naive(left, right);
            let bias = draw.values(columns);
            assert_near(&side_by_side(left, &[(&[], right)]), &expected, 1e-5);

            let both = side_by_side(left, &[(&bias, right), (&[], right)]);
            let twice: Vec<_> = expected
                .chunks_exact(columns)
                .flat_map(|row| row.iter().zip(&bias).map(|(x, b)| x + f64::from(*b)).chain(row.iter().copied()).collect::<Vec<_>>())
                .collect();
            assert_near(&both, &twice, 1e-5);

            let there = draw.values(rows * columns);
            let mut to = there.clone();
            multiply(MatrixMut::new(&mut to, columns), Start::There, left, right);
            let sum: Vec<_> = expected.iter().zip(&there).map(|(x, y)| x + f64::from(*y)).collect();
            assert_near(&to, &sum, 1e-5);
        }
    }

    /// `side_by_side` hands out memory that nothing else has written.
    #[test]
    fn a_product_over_nothing_is_its_bias_or_zero() {
        let (left, right) = (Matrix::empty(2, 0), Matrix::empty(0, 3));
        assert_eq!(side_by_side(left, &[(&[], right)]), [0.0; 6]);
        assert_eq!(side_by_side(left, &[(&[1.0, 2.0, 3.0], right)]), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        assert!(side_by_side(left, &[]).is_empty());
    }

    #[test]
    #[should_panic(expected = "shape of a product")]
    fn shapes_that_do_not_fit_are_refused() {
        let a = [0.0; 6];
        let _ = side_by_side(Matrix::new(&a, 3), &[(&[], Matrix::new(&a, 3))]);
    }

    #[test]
    fn threads_do_not_show() {
        let mut draw = Draw::new(8);
        let (left, right) = (draw.values(300 * 70), draw.values(70 * 50));
        let all = || side_by_side(Matrix::new(&left, 70), &[(&[], Matrix::new(&right, 50))]);
        let once = on_threads(1, all);
        for threads in [2, 5, 9] {
            assert!(on_threads(threads, all) == once, "{threads} threads");
        }
    }
}
