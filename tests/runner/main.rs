//! The real binary on projects of `command` stages: no machine learning, all of the runner.

mod actions;
mod cache;
mod clean;
mod crash;
mod endings;
mod forecast;
mod gc;
mod incremental;
mod lock;
mod metrics;
mod outputs;
mod project;
mod selection;
mod shell;
mod status;
mod terminal;
mod together;
mod verify;
mod words;
