//! The real binary on projects of `command` stages: no machine learning, all of the runner.

mod cache;
mod crash;
mod incremental;
mod outputs;
mod project;
mod selection;
mod status;
mod together;
mod why;
mod words;
