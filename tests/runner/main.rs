//! The real binary on projects of `command` stages: no machine learning, all of the runner.

mod attempts;
mod cache;
mod crash;
mod damage;
mod disk;
mod incremental;
mod instances;
mod jobs;
mod names;
mod outputs;
mod project;
mod selection;
mod situations;
mod stats;
mod status;
mod strangers;
mod strays;
mod together;
mod why;
mod words;
