//! What is measured of a model: scores, bootstrap intervals, latency.

pub mod bootstrap;
pub mod calibration;
pub mod latency;
pub mod profile;
pub mod scores;

use stage_contract::{Kind, Shape};

/// What flows from `evaluate` to whoever quotes it.
pub const EVALUATION: Kind = Kind {
    name: "evaluation",
    shape: Shape::File,
    extension: "json",
    doc: "a JSON report of what `evaluate` found",
};
