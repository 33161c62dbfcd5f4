//! What an encoder computes on the CPU: plain functions on slices of f32, forward and backward, and no tensor library.
//!
//! Matrices are row-major; `[rows, columns]` names their shape. Functions that change their argument do so in place. Work
//! is cut into pieces whose size never depends on the number of threads (but for rows of which none shows in another), and
//! sums over pieces are taken in their order: the same input gives the same bits on one thread and on many.
//!
//! Speed comes from [`pulp`], which compiles the loops here for AVX-512, AVX2 and plain processors and picks when the program
//! runs; sums of products of bytes are written out for each (`dot`). `unsafe` stays in [`matrix`], [`vector`], [`memory`],
//! `product` and `dot`.

#![cfg_attr(
    test,
    expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "tests count to thousands, and compare bits where they mean to"
    )
)]

pub mod adamw;
pub mod attention;
mod dot;
pub mod float;
pub mod gelu;
mod instructions;
pub mod int8;
pub mod linear;
pub mod matrix;
pub mod memory;
pub mod norm;
pub mod packed;
mod panel;
pub mod prepacked;
mod product;
mod softmax;
mod vector;

#[cfg(test)]
mod reference;
