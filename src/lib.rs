//! The runner.

pub mod pipeline;
