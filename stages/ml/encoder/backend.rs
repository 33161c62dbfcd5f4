//! What an encoder is computed with: the CPU's kernels, or Burn's operations on any device.

pub mod device;
pub mod fused;
pub mod grid;
pub mod positions;
pub mod precision;
pub mod prepacked;
pub mod readback;
