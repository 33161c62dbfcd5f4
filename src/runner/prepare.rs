//! What an attempt to execute a node is given: its inputs, a job, and what its record will say.

use std::collections::{BTreeMap, BTreeSet};

use stage_contract::{Device, StageError};

use super::{
    attempt::{Attempt, Failed, Input},
    failure::Failure,
    hydrate::Hydrate,
    project::Project,
};
use crate::{
    executor::{ANSWER, Job, Limits, Task},
    fingerprint::{Fingerprint, file_name, node_seed},
    pipeline::Work,
    store::{Entry, Slot},
};

/// What is to be attempted.
pub(super) struct Preparation<'a> {
    pub node: usize,
    pub fingerprint: &'a Fingerprint,
    /// The GPUs that it was granted.
    pub gpus: &'a [u64],
    /// The results of the nodes before it.
    pub results: &'a [Option<Entry>],
    /// `--show-text`.
    pub show_text: bool,
    /// `--limit-memory`.
    pub limit_memory: bool,
}

impl Preparation<'_> {
    /// All that executing the node takes; a slot that is not used is given back.
    pub fn attempt(&self, hydrate: &mut Hydrate<'_, '_>, slot: Slot) -> Result<Attempt, Box<Failed>> {
        let inputs = hydrate.inputs(self.node, self.results);
        let project = &mut *hydrate.project;
        let prepared = inputs.and_then(|inputs| Ok((self.job(project, &slot, &inputs)?, inputs)));
        let (job, inputs) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Err(Box::new(Failed { slot: Some(slot), failure })),
        };
        let item = &project.pipeline.nodes[self.node];
        Ok(Attempt {
            folder: project.folder.clone(),
            slot,
            job,
            inputs,
            outputs: item.outputs.iter().map(|out| (out.name.clone(), out.kind.shape)).collect(),
            manifest: self.fingerprint.manifest.clone(),
            made_by: project.made_by(self.node),
            code: project.code_parts(self.node),
            limits: Limits {
                timeout: item.scheduling.timeout,
                grace: item.scheduling.grace.unwrap_or(Limits::GRACE),
            },
        })
    }

    fn job(&self, project: &mut Project<'_>, slot: &Slot, inputs: &[Input]) -> Result<Job, Failure> {
        let item = &project.pipeline.nodes[self.node];
        let (task, env) = match &item.work {
            Work::Stage { kind, stage } => {
                let (name, params) = (kind.spec.name.to_owned(), stage.parameters());
                (Task::Stage { name, params }, BTreeSet::new())
            }
            Work::Command { run, env } => (Task::Command { run: run.clone() }, env.clone()),
        };
        let memory = item.scheduling.resources.get("memory").copied().filter(|_| self.limit_memory);
        let outputs = item
            .outputs
            .iter()
            .map(|out| Ok((out.name.clone(), slot.output(&out.name, &file_name(&out.published))?)));
        let outputs = outputs.collect::<Result<_, StageError>>()?;
        let options = item.options();
        let (id, seed) = (item.id.clone(), node_seed(item.seed, &item.family));
        let gpus: Vec<_> =
            self.gpus.iter().filter_map(|unit| project.capacity().gpu(*unit).cloned()).collect();
        let mut environment = BTreeMap::new();
        let mut devices = Device::CPU.into();
        if let Task::Stage { .. } = task {
            let gpus: Vec<usize> = gpus.iter().map(|(index, _)| *index).collect();
            devices = project.devices_at(&gpus).map_err(StageError::from)?;
        } else {
            environment = self.environment(project, &gpus);
        }
        Ok(Job {
            node: id,
            task,
            root: project.pipeline.root.clone(),
            inputs: inputs.iter().map(|input| (input.port.clone(), input.path.clone())).collect(),
            options,
            outputs,
            checkpoint: project.store.checkpoint(&slot.key()),
            seed,
            devices,
            threads: project.threads(self.node),
            environment,
            env,
            memory,
            show_text: self.show_text,
            lock: project.store.exec_lock(&slot.key()),
            answer: slot.scratch(ANSWER),
        })
    }

    /// What a command may use of the machine, where the file says it, in the words that programs know.
    fn environment(&self, project: &Project<'_>, gpus: &[(usize, String)]) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        if project.pipeline.nodes[self.node].scheduling.resources.contains_key("cpu") {
            let threads = project.threads(self.node).to_string();
            for name in ["NER_PIPE_THREADS", "OMP_NUM_THREADS"] {
                environment.insert(name.to_owned(), threads.clone());
            }
        }
        if !gpus.is_empty() {
            let names: Vec<_> = gpus.iter().map(|(_, name)| name.as_str()).collect();
            environment.insert("CUDA_VISIBLE_DEVICES".to_owned(), names.join(","));
        }
        environment
    }
}
