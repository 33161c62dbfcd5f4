//! How much there is of each resource, and what a node requests of it.

use std::collections::BTreeMap;

use stage_contract::{Device, DeviceRequest, Devices};

use super::schedule::Request;
use crate::{
    executor::Resources,
    pipeline::{Node, Pipeline, Work},
};

/// What a run may occupy.
#[derive(Clone, Debug)]
pub struct Capacity {
    /// Of each limited resource. Memory in bytes; none where the system does not report it.
    pub totals: BTreeMap<String, u64>,
    /// The GPUs behind the units of `gpu`, as `CUDA_VISIBLE_DEVICES` names them, with their index.
    gpus: Vec<(usize, String)>,
}

impl Capacity {
    /// What the pipeline file says, and for the rest what there is. `--device cuda:N,N` leaves those GPUs.
    #[must_use]
    pub fn of(pipeline: &Pipeline, request: &DeviceRequest, there: Resources) -> Self {
        let mut gpus: Vec<_> = there.gpus.into_iter().enumerate().collect();
        if let DeviceRequest::Exactly(devices) = request
            && devices.first != Device::CPU
        {
            // Where the device files have other names, CUDA itself has the last word.
            let seen = |wanted: usize| gpus.get(wanted).cloned().unwrap_or((wanted, wanted.to_string()));
            gpus = devices.gpus().map(seen).collect();
        }
        let mut totals =
            BTreeMap::from([("cpu".to_owned(), there.cpus as u64), ("gpu".to_owned(), gpus.len() as u64)]);
        totals.extend(there.memory.map(|bytes| ("memory".to_owned(), bytes)));
        totals.extend(pipeline.totals.clone());
        Self { totals, gpus }
    }

    /// What a node occupies while it executes on `devices` (a command has none).
    ///
    /// A command that says nothing takes one cpu, a stage of the registry all of them, as it uses all
    /// threads; and on CUDA its GPUs to itself, while elsewhere it needs none whatever it says.
    #[must_use]
    pub fn request(&self, node: &Node, devices: Option<&Devices>) -> Request {
        let mut resources = node.scheduling.resources.clone();
        let cpus = self.totals.get("cpu").copied().unwrap_or(1);
        resources.entry("cpu".to_owned()).or_insert(match node.work {
            Work::Stage { .. } => cpus,
            Work::Command { .. } => cpus.min(1),
        });
        match devices.map(|devices| devices.gpus().count() as u64) {
            Some(0) => drop(resources.remove("gpu")),
            Some(count) => {
                // None to count where the system shows none: CUDA found it all the same.
                let gpus = self.totals.get("gpu").copied().unwrap_or(0);
                resources.entry("gpu".to_owned()).or_insert(if gpus == 0 { 0 } else { count });
            }
            None => {}
        }
        Request { resources, mutexes: node.scheduling.mutexes.clone() }
    }

    /// The first resource of which there can never be enough, how much is needed, and how much there is.
    #[must_use]
    pub fn lacks<'n>(&self, request: &'n Request) -> Option<(&'n str, u64, u64)> {
        let found =
            request.resources.iter().map(|(name, wanted)| Some((name, *wanted, *self.totals.get(name)?)));
        found
            .flatten()
            .find(|(_, wanted, total)| wanted > total)
            .map(|(name, wanted, total)| (name.as_str(), wanted, total))
    }

    /// The GPU behind a unit: its index, and its name for `CUDA_VISIBLE_DEVICES`. With more units
    /// than GPUs, several units are one GPU: the file says that it can be shared.
    #[must_use]
    pub fn gpu(&self, unit: u64) -> Option<&(usize, String)> {
        let count = self.gpus.len() as u64;
        let index = unit.checked_rem(count)?;
        self.gpus.get(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_gpu_stand_for_those_that_there_are() {
        let gpus = vec![(0, "2".to_owned()), (1, "5".to_owned())];
        let capacity = Capacity { totals: BTreeMap::new(), gpus };
        let names: Vec<_> =
            (0..3).filter_map(|unit| capacity.gpu(unit)).map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["2", "5", "2"]);
        assert_eq!(Capacity { totals: BTreeMap::new(), gpus: Vec::new() }.gpu(0), None);
    }

    #[test]
    fn what_can_never_be_met_is_named() {
        let capacity = Capacity { totals: [("cpu".to_owned(), 2)].into(), gpus: Vec::new() };
        let request = |name: &str, amount| Request {
            resources: [(name.to_owned(), amount)].into(),
            ..Request::default()
        };
        assert_eq!(capacity.lacks(&request("cpu", 3)), Some(("cpu", 3, 2)));
        assert_eq!(capacity.lacks(&request("cpu", 2)), None);
    }
}
