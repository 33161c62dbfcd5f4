//! The real binary on projects of `command` stages: no machine learning, all of the runner.

mod attempts;
mod cache;
mod crash;
mod incremental;
mod instances;
mod jobs;
mod outputs;
mod project;
mod selection;
mod stats;
mod status;
mod together;
mod words;
