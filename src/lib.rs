//! The runner.

pub mod problem;

pub mod manifest;

pub mod pipeline;

pub mod commands;
