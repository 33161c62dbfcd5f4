//! The real binary on projects of `command` stages: no machine learning, all of the runner.

mod cache;
mod crash;
mod damage;
mod disk;
mod incremental;
mod names;
mod outputs;
mod project;
mod selection;
mod situations;
mod status;
mod strangers;
mod strays;
mod together;
mod words;
