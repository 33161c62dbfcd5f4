//! Linear layers in f32, for inference: y = x W + b with weights packed once, where [`crate::matrix`] packs them for each
//! product.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::{
    frozen::Packed,
    gelu::gelu_one,
    instructions::instructions,
    linear::{Linear, columns},
    vector::{run, work},
};

/// Columns of a panel: so many registers of AVX-512, and twice as many of AVX2.
const COLUMNS: usize = 16 * REGISTERS;

/// Registers of a row of a tile.
const REGISTERS: usize = 3;

/// Rows of a tile where there are 32 registers, of which 24 hold sums.
const ROWS: usize = 8;

/// The same where there are 16.
const FEW_ROWS: usize = 4;

/// Weights of the columns of a panel at one place of x, or what is added to them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; COLUMNS]);

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
    type Room = Room;

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

    fn product(&self, rows: usize, x: &[f32], y: &mut [f32], room: &mut Room, gelu: bool) {
        room.take(x, rows, self.inner);
        instructions().arch.dispatch(Product { layer: self, tiles: &room.tiles, y, gelu });
    }
}

/// Rows of x, [`ROWS`] side by side; used again for the next. What fills the last up has no place in y.
#[derive(Debug, Default)]
pub struct Room {
    tiles: Vec<[f32; ROWS]>,
}

impl Room {
    fn take(&mut self, x: &[f32], rows: usize, inner: usize) {
        self.tiles.resize(rows.div_ceil(ROWS) * inner, [0.0; ROWS]);
        if inner > 0 {
            for (tile, rows) in self.tiles.chunks_exact_mut(inner).zip(x.chunks(ROWS * inner)) {
                run(Turn, (rows, tile));
            }
        }
    }
}

work!(Turn = turn((&[f32], &mut [[f32; ROWS]])));

/// Up to [`ROWS`] rows side by side; by squares, whose elements lie in registers.
#[inline(always)]
fn turn((x, tile): (&[f32], &mut [[f32; ROWS]])) {
    let inner = tile.len();
    let (squares, rest) = tile.as_chunks_mut::<ROWS>();
    for (number, to) in squares.iter_mut().enumerate() {
        let mut square = [[0.0; ROWS]; ROWS];
        for (from, x) in square.iter_mut().zip(x.chunks_exact(inner)) {
            from.copy_from_slice(&x[number * ROWS..][..ROWS]);
        }
        for (k, to) in to.iter_mut().enumerate() {
            *to = square.map(|row| row[k]);
        }
    }
    let first = inner - rest.len();
    for (k, to) in rest.iter_mut().enumerate() {
        for (to, x) in to.iter_mut().zip(x.chunks_exact(inner)) {
            *to = x[first + k];
        }
    }
}

struct Product<'a> {
    layer: &'a F32,
    tiles: &'a [[f32; ROWS]],
    /// Whole rows.
    y: &'a mut [f32],
    gelu: bool,
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
        let Self { layer: F32 { inner, outer, panels }, tiles, y, gelu } = self;
        for (number, panel) in panels.chunks_exact(inner + 1).enumerate() {
            let (bias, weights) = panel.split_first().expect("a panel begins with its bias");
            for (group, columns) in (0..COLUMNS).step_by(REGISTERS * S::F32_LANES).enumerate() {
                let column = number * COLUMNS + columns;
                for (part, y) in y.chunks_mut(N * outer).enumerate().take_while(|_| column < *outer) {
                    let x = &tiles[part * N / ROWS * inner..][..*inner];
                    let sums = sums::<S, N>(simd, x, part * N % ROWS, bias, weights, group);
                    for (sums, y) in sums.iter().zip(y.chunks_exact_mut(*outer)) {
                        let mut values = [0.0; COLUMNS];
                        let (to, _) = S::as_mut_simd_f32s(&mut values);
                        to[..REGISTERS].copy_from_slice(sums);
                        if gelu {
                            for value in &mut values[..REGISTERS * S::F32_LANES] {
                                *value = gelu_one(*value);
                            }
                        }
                        // The zeros that fill the last panel up have no place in y.
                        let y = &mut y[column..];
                        let count = y.len().min(REGISTERS * S::F32_LANES);
                        y[..count].copy_from_slice(&values[..count]);
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
    tile: &[[f32; ROWS]],
    first: usize,
    bias: &Line,
    weights: &[Line],
    group: usize,
) -> [[S::f32s; REGISTERS]; N] {
    let mut sums = [registers::<S>(bias, group); N];
    for (x, line) in tile.iter().zip(weights) {
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
            packed.rows(&x, &mut found, &mut Room::default(), true);
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
        packed.rows(&[0.0; 18], &mut [0.0; 9], &mut Room::default(), false);
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
