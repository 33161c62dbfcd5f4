//! What all kernels share: dispatch, pieces, sums in a fixed order, and exp and erf that vectorise.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::instructions::instructions;

/// Elements of a piece of work: large enough to be worth a task, small enough to stay in the second cache.
pub(crate) const PIECE: usize = 1 << 14;

/// Sums run in so many lanes: two registers of AVX-512.
const LANES: usize = 32;

/// Work that is compiled for each kind of processor. All that it calls must be `#[inline(always)]`, down to each `mul_add`:
/// what is not inlined is compiled for the plainest processor, where a `mul_add` is a call. That is also why this is a
/// trait and no function that is passed on: the compiler may leave the call of one where it stands.
pub(crate) trait Work<A> {
    type Output;

    fn work(on: A) -> Self::Output;
}

/// Makes a name for a function that [`run`] may run.
macro_rules! work {
    ($name:ident = $function:ident($on:ty)) => {
        work!($name = $function($on) -> ());
    };
    ($name:ident = $function:ident($on:ty) -> $output:ty) => {
        struct $name;

        impl crate::vector::Work<$on> for $name {
            type Output = $output;

            #[inline(always)]
            fn work(on: $on) -> $output {
                $function(on)
            }
        }
    };
}
pub(crate) use work;

/// Does the work with the best instructions of this processor.
#[inline(always)]
pub(crate) fn run<A, W: Work<A>>(_: W, on: A) -> W::Output {
    instructions().arch.dispatch(Dispatch { on, work: PhantomData::<W> })
}

struct Dispatch<A, W> {
    on: A,
    work: PhantomData<W>,
}

impl<A, W: Work<A>> WithSimd for Dispatch<A, W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> W::Output {
        W::work(self.on)
    }
}

/// Rows of `width` in a piece.
pub(crate) fn rows(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Changes `values` piece by piece of `length`, on all cores. `change` gets a piece and its number.
pub(crate) fn each_piece(values: &mut [f32], length: usize, change: impl Fn(usize, &mut [f32]) + Sync) {
    if values.len() <= length {
        // Not worth waking another thread.
        if !values.is_empty() {
            change(0, values);
        }
        return;
    }
    values.par_chunks_mut(length).enumerate().for_each(|(number, piece)| change(number, piece));
}

/// A copy of `values`, changed piece by piece while the copy is still in the cache.
pub(crate) fn changed_copy(
    values: &[f32],
    length: usize,
    change: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut copy = Vec::with_capacity(values.len());
    let room = &mut copy.spare_capacity_mut()[..values.len()];
    room.par_chunks_mut(length)
        .zip(values.par_chunks(length))
        .enumerate()
        .for_each(|(number, (room, piece))| change(number, room.write_copy_of_slice(piece)));
    // SAFETY: the pieces cover the first `values.len()` elements, and `write_copy_of_slice` initialises all of a piece.
    unsafe { copy.set_len(values.len()) };
    copy
}

/// Σ `term`(x), in a fixed order.
#[inline(always)]
pub(crate) fn sum(of: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = of.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (sum, x) in lanes.iter_mut().zip(chunk) {
            *sum += term(*x);
        }
    }
    rest.iter().fold(halve(lanes), |sum, x| sum + term(*x))
}

/// Σ `term`(x, y), in a fixed order.
#[inline(always)]
pub(crate) fn sum_pairs(xs: &[f32], ys: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (x_chunks, x_rest) = xs.as_chunks::<LANES>();
    let (y_chunks, y_rest) = ys.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x_chunk, y_chunk) in x_chunks.iter().zip(y_chunks) {
        for ((sum, x), y) in lanes.iter_mut().zip(x_chunk).zip(y_chunk) {
            *sum += term(*x, *y);
        }
    }
    x_rest.iter().zip(y_rest).fold(halve(lanes), |sum, (x, y)| sum + term(*x, *y))
}

/// Halves upon halves, as the lanes of a register are added.
#[inline(always)]
fn halve(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// The largest element; -inf of none. A NaN may be passed over.
#[inline(always)]
pub(crate) fn largest(of: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = of.chunks_exact(LANES);
    let rest = chunks.remainder();
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *value);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| larger(a, *b))
}

/// e^x to 2 units in the last place; 0 below -87, and never more than e^88. (Cephes, `expf`.)
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding and taking away 1.5 * 2^23 rounds to a whole number.
    const WHOLE: f32 = 12_582_912.0;
    let inside = x.clamp(-87.0, 88.0);
    let shifted = inside.mul_add(std::f32::consts::LOG2_E, WHOLE);
    let n = shifted - WHOLE;
    // ln 2 in two parts, of which the first has few bits.
    let r = n.mul_add(-0.693_359_4, inside);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 5.000_000_3e-1);
    let power = p.mul_add(r * r, r) + 1.0;
    // The low bits of `shifted` are n, which becomes the exponent.
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x < -87.0 { 0.0 } else { power * scale }
}

/// The error function to a relative 4e-7: a rational function of x (the coefficients of Eigen's `erf_float`) up to where
/// it first is ±1 to a unit in the last place, and exactly ±1 from there, so that GELU is 0 and x far out.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    const END: f32 = 3.830_001_4;
    let x = x.clamp(-END, END);
    let x2 = x * x;
    let p = -2.726_142_4e-10_f32;
    let p = p.mul_add(x2, 2.770_681_5e-8);
    let p = p.mul_add(x2, -2.101_024e-6);
    let p = p.mul_add(x2, -5.692_506_5e-5);
    let p = p.mul_add(x2, -7.349_906e-4);
    let p = p.mul_add(x2, -2.954_6e-3);
    let p = p.mul_add(x2, -1.609_603_3e-2);
    let q = -1.456_607_2e-5_f32;
    let q = q.mul_add(x2, -2.133_740_5e-4);
    let q = q.mul_add(x2, -1.682_827e-3);
    let q = q.mul_add(x2, -7.373_329e-3);
    let q = q.mul_add(x2, -1.426_474e-2);
    x * p / q
}
