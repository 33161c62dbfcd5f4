//! What is measured of a model: scores, bootstrap intervals, latency.

pub mod bootstrap;
pub mod latency;
pub mod profile;
pub mod scores;
