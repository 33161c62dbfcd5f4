//! Options that several commands have, and the project that they open with them.

use std::{
    env,
    num::NonZero,
    path::{Path, PathBuf},
};

use stage_contract::{DeviceRequest, Registry, StageError};

use crate::{
    pipeline::{self, Override},
    runner::{MachineOptions, Project, Stop},
    watch::Format,
};

/// Which pipeline.
#[derive(Clone, Debug, clap::Args)]
pub struct PipelineFile {
    /// The pipeline file
    #[arg(long, value_name = "FILE", default_value = pipeline::DEFAULT_FILE)]
    pub(super) file: PathBuf,
}

/// Which pipeline, on what to compute, and the output format.
#[derive(Clone, Debug, clap::Args)]
pub struct Setting {
    #[command(flatten)]
    pub(super) pipeline: PipelineFile,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) machine: Machine,
}

impl Setting {
    pub(super) fn open<'r>(&self, registry: &'r Registry) -> Result<Project<'r>, Stop> {
        open(registry, &self.pipeline.file, &[], self.machine.options())
    }
}

/// On what to compute.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Machine {
    /// Where to compute: auto, cpu, cuda, cuda:N, or cuda:0,1 for a training on several GPUs
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device)]
    device: DeviceRequest,
    /// CPU threads; all of them when not given
    #[arg(long, value_name = "N", value_parser = count)]
    threads: Option<NonZero<usize>>,
}

impl Machine {
    /// For the runner.
    #[must_use]
    pub fn options(&self) -> MachineOptions {
        MachineOptions { device: self.device.clone(), threads: self.threads }
    }
}

/// How many, of what there is at least one of.
pub(super) fn count(text: &str) -> Result<NonZero<usize>, String> {
    text.parse().map_err(|_| "type a whole number from 1 up, or leave the option out".to_owned())
}

fn device(text: &str) -> Result<DeviceRequest, String> {
    text.parse()
}

/// The project in the working folder.
pub(super) fn open<'r>(
    registry: &'r Registry,
    file: &Path,
    set: &[Override],
    machine: MachineOptions,
) -> Result<Project<'r>, Stop> {
    Project::open(registry, &working_folder()?, file, set, machine)
}

/// The project's folder: `-C` has been followed.
///
/// # Errors
/// When it was removed.
pub fn working_folder() -> Result<PathBuf, StageError> {
    env::current_dir().map_err(|e| StageError::because("cannot tell the working folder", e))
}
