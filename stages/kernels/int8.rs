//! Linear layers in 8 bits, for inference: y = x W + b with weights as signed bytes, a scale for each column, and each row
//! of x turned into unsigned bytes with a scale and a zero of its own when it arrives. Sums are exact; the result is within
//! half a step of weight and of x for each product.

use rayon::prelude::*;

use crate::{
    dot::{self, Fours, Line, PANELS, Sums},
    gelu::gelu_one,
    instructions::instructions,
    linear::{Column, Linear, columns},
    packed::Packed,
    vector::{run, work},
};

/// Adding 1.5 * 2^23 rounds to a whole number, which the low bits are.
const WHOLE: f32 = 12_582_912.0;

/// So many products of 255 and 127 fit into 32 bits with room for the zero's share.
const DEPTH: usize = 1 << 15;

/// One or more layers side by side, packed once.
#[derive(Clone, Debug)]
pub struct Int8 {
    /// Length of a row of x.
    inner: usize,
    /// Length of a row of y.
    outer: usize,
    /// Panels of columns, the last filled up with zeros, each of `inner.div_ceil(4)` lines; those of [`PANELS`] panels
    /// alternate.
    lines: Vec<Line>,
    /// One for each panel.
    columns: Vec<Columns>,
}

/// What is known of the columns of a panel.
#[derive(Clone, Copy, Debug, Default)]
struct Columns {
    /// A weight is its byte times this.
    scale: [f32; dot::COLUMNS],
    bias: [f32; dot::COLUMNS],
    /// Σ of its bytes: a row's zero is taken off so many times.
    sum: Sums,
}

/// Rows of x as bytes, and sums; used again for the next.
#[derive(Debug, Default)]
pub struct Room {
    row: Vec<[u8; 4]>,
    tiles: Vec<Fours>,
    steps: Vec<Step>,
    sums: Vec<Sums>,
}

/// x = scale (byte - zero)
#[derive(Clone, Copy, Debug)]
struct Step {
    scale: f32,
    zero: i32,
}

impl Packed for Int8 {
    type Scratch = Room;

    /// # Panics
    /// Also with more than 32,768 inputs.
    fn pack(layers: &[Linear<'_>]) -> Self {
        let (inner, all) = columns(layers);
        assert!(inner <= DEPTH, "{inner} products may not fit into 32 bits");
        let packed: Vec<_> = all.par_chunks(dot::COLUMNS).map(|columns| pack(inner, columns)).collect();
        let lines = packed.chunks(PANELS).flat_map(|side_by_side| {
            (0..inner.div_ceil(4)).flat_map(move |k| side_by_side.iter().map(move |(panel, _)| panel[k]))
        });
        Self {
            inner,
            outer: all.len(),
            lines: lines.collect(),
            columns: packed.iter().map(|(_, columns)| *columns).collect(),
        }
    }

    fn shape(&self) -> (usize, usize) {
        (self.inner, self.outer)
    }

    fn multiply_rows(&self, rows: usize, x: &[f32], y: &mut [f32], room: &mut Room, gelu: bool) {
        let depth = self.inner.div_ceil(4);
        room.take(x, rows, self.inner);
        let mut lines = self.lines.as_slice();
        for (number, columns) in self.columns.chunks(PANELS).enumerate() {
            let (own, rest) = lines.split_at(columns.len() * depth);
            lines = rest;
            for (tile, steps) in room.steps.chunks(dot::ROWS).enumerate() {
                let sums = &mut room.sums[..steps.len() * columns.len()];
                let x = &room.tiles[tile * depth..][..depth];
                instructions().dot.tile(steps.len(), x, columns.len(), own, sums);
                let y = &mut y[tile * dot::ROWS * self.outer..][..steps.len() * self.outer];
                let place = number * PANELS * dot::COLUMNS;
                run(ToFloats, Finish { sums, steps, columns, y, outer: self.outer, place, gelu });
            }
        }
    }
}

impl Room {
    /// Takes in rows of x.
    fn take(&mut self, x: &[f32], rows: usize, inner: usize) {
        let depth = inner.div_ceil(4);
        self.sums.resize(dot::ROWS * PANELS, [0; dot::COLUMNS]);
        self.row.resize(depth, [0; 4]);
        self.tiles.resize(rows.div_ceil(dot::ROWS) * depth, [[0; 4]; dot::ROWS]);
        self.steps.clear();
        for row in 0..rows {
            let x = &x[row * inner..][..inner];
            self.steps.push(run(Quantise, (x, &mut self.row)));
            let tile = &mut self.tiles[row / dot::ROWS * depth..][..depth];
            for (fours, four) in tile.iter_mut().zip(&self.row) {
                fours[row % dot::ROWS] = *four;
            }
        }
    }
}

/// A panel of columns, each with its bias.
fn pack(inner: usize, from: &[Column<'_>]) -> (Vec<Line>, Columns) {
    // Row by row: a column's elements lie far apart.
    let values: Vec<_> = (0..inner)
        .map(|k| {
            let mut row = [0.0; dot::COLUMNS];
            row.iter_mut().zip(from).for_each(|(x, (weight, column, _))| *x = weight.at(k, *column));
            row
        })
        .collect();
    let mut columns = Columns::default();
    columns.bias.iter_mut().zip(from).for_each(|(to, (.., bias))| *to = *bias);
    // 0, or not a number where a weight is none.
    let mut odd = [0.0_f32; dot::COLUMNS];
    for row in &values {
        columns.scale.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(x.abs()));
        odd.iter_mut().zip(row).for_each(|(odd, x)| *odd += 0.0 * x);
    }
    for (scale, odd) in columns.scale.iter_mut().zip(odd) {
        *scale = if odd == 0.0 && (*scale / 127.0).is_normal() { *scale / 127.0 } else { odd };
    }
    let mut panel = vec![Line([[0; 4]; dot::COLUMNS]); inner.div_ceil(4)];
    for (k, row) in values.iter().enumerate() {
        for (place, x) in row.iter().enumerate().filter(|(place, _)| columns.scale[*place] > 0.0) {
            let [byte, ..] = (x / columns.scale[place] + WHOLE).to_bits().to_le_bytes();
            let byte = byte.cast_signed();
            panel[k / 4].0[place][k % 4] = byte;
            columns.sum[place] += i32::from(byte);
        }
    }
    (panel, columns)
}

work!(Quantise = quantise((&[f32], &mut [[u8; 4]])) -> Step);

/// A row as bytes; what fills up the last four meets weights of zero.
#[inline(always)]
fn quantise((x, to): (&[f32], &mut [[u8; 4]])) -> Step {
    const LANES: usize = 32;
    // Zero is among what bytes can say, so that a row of zeros is exact.
    let (mut low, mut high, mut odd) = ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (((low, high), odd), x) in low.iter_mut().zip(&mut high).zip(&mut odd).zip(chunk) {
            *low = if *x < *low { *x } else { *low };
            *high = if *x > *high { *x } else { *high };
            *odd += 0.0 * x;
        }
    }
    let low = low.iter().chain(rest).fold(0.0, |a: f32, b| a.min(*b));
    let high = high.iter().chain(rest).fold(0.0, |a: f32, b| a.max(*b));
    let scale = (high - low) / 255.0;
    // 0, or not a number where x has one or an infinity, or spans more than f32 holds: then so are all of the row's results.
    let odd = odd.iter().sum::<f32>() + rest.iter().map(|x| 0.0 * x).sum::<f32>() + 0.0 * scale;
    if !(scale.is_normal() && odd == 0.0) {
        to.fill([0; 4]);
        return Step { scale: odd, zero: 0 };
    }
    let inverse = 1.0 / scale;
    let zero = (-low * inverse).round_ties_even();
    // No fused multiplication: every processor makes the same bytes.
    let byte = |x: f32| {
        let place = (x * inverse + zero).clamp(0.0, 255.0) + WHOLE;
        place.to_bits().to_le_bytes()[0]
    };
    let bytes = to.as_flattened_mut();
    for (byte_of, x) in bytes.iter_mut().zip(x) {
        *byte_of = byte(*x);
    }
    #[expect(clippy::cast_possible_truncation, reason = "0 to 255")]
    Step { scale, zero: zero as i32 }
}

/// From sums to y.
struct Finish<'a> {
    sums: &'a [Sums],
    steps: &'a [Step],
    columns: &'a [Columns],
    /// Whole rows.
    y: &'a mut [f32],
    outer: usize,
    /// The first column.
    place: usize,
    gelu: bool,
}

work!(ToFloats = finish(Finish<'_>));

#[inline(always)]
fn finish(Finish { sums, steps, columns, y, outer, place, gelu }: Finish<'_>) {
    let rows = y.chunks_exact_mut(outer).zip(steps).zip(sums.chunks_exact(columns.len()));
    for ((y, step), sums) in rows {
        for ((y, columns), sums) in y[place..].chunks_mut(dot::COLUMNS).zip(columns).zip(sums) {
            let mut values = [0.0; dot::COLUMNS];
            for (column, value) in values.iter_mut().enumerate() {
                #[expect(clippy::cast_precision_loss, reason = "24 bits of a sum that is some per cent off")]
                let sum = (sums[column] - step.zero * columns.sum[column]) as f32;
                *value = sum * (step.scale * columns.scale[column]) + columns.bias[column];
            }
            if gelu {
                for value in &mut values {
                    *value = gelu_one(*value);
                }
            }
            match y.as_mut_array::<{ dot::COLUMNS }>() {
                Some(y) => *y = values,
                None => y.copy_from_slice(&values[..y.len()]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        matrix::Matrix,
        reference::{Draw, on_threads},
    };

    struct Case {
        x: Vec<f32>,
        weights: Vec<Vec<f32>>,
        biases: Vec<Vec<f32>>,
    }

    impl Case {
        fn new(rows: usize, inner: usize, outs: &[usize], seed: u64) -> Self {
            let mut draw = Draw::new(seed);
            // Outliers and an offset, as states of an encoder have them.
            let x = draw
                .values(rows * inner)
                .into_iter()
                .enumerate()
                .map(|(i, x)| x * [1.0, 9.0][usize::from(i % 31 == 0)] + 0.3);
            Self {
                x: x.collect(),
                weights: outs.iter().map(|out| draw.values(inner * out)).collect(),
                biases: outs.iter().map(|out| draw.values(*out)).collect(),
            }
        }

        fn layers(&self) -> Vec<Linear<'_>> {
            let pairs = self.weights.iter().zip(&self.biases);
            pairs.map(|(weight, bias)| Linear { weight: Matrix::new(weight, bias.len()), bias }).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn products_of_bytes_by_panels_are_the_product(
            rows in 1_usize..70, inner in 1_usize..90, outs in prop::collection::vec(1_usize..40, 1..4), seed in any::<u64>(),
        ) {
            let case = Case::new(rows, inner, &outs, seed);
            let layers = case.layers();
            let y = Int8::pack(&layers).forward(&case.x, rows);
            let columns: usize = outs.iter().sum();
            for (row, y) in case.x.chunks_exact(inner).zip(y.chunks_exact(columns)) {
                let (low, high) = row.iter().fold((0.0_f64, 0.0_f64), |(low, high), x| (low.min(f64::from(*x)), high.max(f64::from(*x))));
                let x_step = (high - low) / 255.0;
                let mut y = y.iter();
                for layer in &layers {
                    for (column, bias) in layer.bias.iter().enumerate() {
                        let weights: Vec<_> = (0..inner).map(|k| f64::from(layer.weight.at(k, column))).collect();
                        let step = weights.iter().fold(0.0_f64, |a, b| a.max(b.abs())) / 127.0;
                        let (mut expected, mut bound) = (f64::from(*bias), 1e-5);
                        for (x, weight) in row.iter().zip(&weights) {
                            let x = f64::from(*x);
                            expected += x * weight;
                            // Half a step of each, and of both; a hundredth for the rounding of the steps themselves.
                            bound += 1.01 * (x.abs() * step / 2.0 + weight.abs() * x_step / 2.0 + step * x_step / 4.0);
                        }
                        let found = f64::from(*y.next().expect("a column"));
                        prop_assert!((found - expected).abs() <= bound, "{found} for {expected} within {bound}");
                    }
                }
            }
        }
    }

    #[test]
    fn neither_threads_nor_neighbours_show() {
        let (rows, inner) = (150, 70);
        let case = Case::new(rows, inner, &[50, 13], 5);
        let int8 = Int8::pack(&case.layers());
        let all = on_threads(1, || int8.forward(&case.x, rows));
        assert!(on_threads(3, || int8.forward(&case.x, rows)) == all);
        for row in [0, 63, 64, 149] {
            assert_eq!(int8.forward(&case.x[row * inner..][..inner], 1), all[row * 63..][..63]);
        }
    }

    #[test]
    fn whole_numbers_are_exact() {
        let x: Vec<f32> = (0..256).map(|i| i as f32 - 100.0).collect();
        let weight: Vec<f32> = (0..256).map(|i| (i % 255) as f32 - 127.0).collect();
        let int8 = Int8::pack(&[Linear { weight: Matrix::new(&weight, 1), bias: &[0.5] }]);
        let exact: f32 = x.iter().zip(&weight).map(|(x, w)| x * w).sum();
        assert_eq!(int8.forward(&x, 1), [exact + 0.5]);
    }

    #[test]
    fn nothing_gives_the_bias_and_what_is_not_a_number_shows() {
        let int8 = Int8::pack(&[Linear { weight: Matrix::new(&[1.0, 0.0], 2), bias: &[3.0, 4.0] }]);
        assert_eq!(int8.forward(&[0.0], 1), [3.0, 4.0]);
        assert_eq!(int8.forward(&[1e-44], 1), [3.0, 4.0]);
        for x in [f32::INFINITY, f32::NAN] {
            assert!(int8.forward(&[x], 1)[0].is_nan());
        }
        // Each is finite, and what lies between them is not.
        let pair = Int8::pack(&[Linear { weight: Matrix::new(&[1.0, 1.0], 1), bias: &[3.0] }]);
        assert!(pair.forward(&[3e38, -3e38], 1)[0].is_nan());
        for weight in [f32::INFINITY, f32::NAN] {
            let int8 = Int8::pack(&[Linear { weight: Matrix::new(&[1.0, weight], 1), bias: &[3.0] }]);
            assert!(int8.forward(&[1.0, 1.0], 1)[0].is_nan(), "{weight}");
        }
        assert!(int8.forward(&[], 0).is_empty());
    }
}
