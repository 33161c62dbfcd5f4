//! Before and after an attempt: what a node is given, and what is said when it gives no result.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use stage_contract::{Device, StageError};

use super::{
    Loss,
    attempt::{Attempt, Failed, Given},
    course::Run,
};
use crate::{
    executor::{ANSWER, Job, Limits, Task},
    fingerprint::{Fingerprint, file_name, node_seed},
    pipeline::{Origin, Work},
    publish::{Standing, standing},
    store::{Failure, Slot},
};

impl Run<'_, '_> {
    /// All that executing a node takes; a slot that is not used is given back.
    pub(super) fn attempt(
        &mut self,
        node: usize,
        fingerprint: &Fingerprint,
        gpus: &[u64],
        slot: Slot,
    ) -> Result<Attempt, Box<Failed>> {
        let prepared = self.given(node).and_then(|given| Ok((self.job(node, &slot, gpus, &given)?, given)));
        let (job, given) = match prepared {
            Ok(prepared) => prepared,
            Err(loss) => return Err(Box::new(Failed { slot: Some(slot), loss })),
        };
        let item = &self.project.pipeline.nodes[node];
        Ok(Attempt {
            home: self.project.home.clone(),
            slot,
            job,
            given,
            outputs: item.outputs.iter().map(|out| (out.name.clone(), out.kind.shape)).collect(),
            manifest: fingerprint.manifest.clone(),
            made_by: self.project.maker(node),
            code: self.project.code_parts(node),
            limits: Limits { timeout: item.terms.timeout, grace: item.terms.grace.unwrap_or(Limits::GRACE) },
        })
    }

    /// Makes sure that what the stage will read is what the key says, and remembers how it looks.
    fn given(&mut self, node: usize) -> Result<Vec<Given>, Loss> {
        let mut given = Vec::new();
        for wire in 0..self.project.pipeline.nodes[node].inputs.len() {
            let wire = &self.project.pipeline.nodes[node].inputs[wire];
            let (port, origin) = (wire.port.clone(), self.project.origin(wire));
            let path = self.project.input_path(wire);
            if let Origin::Output { node: upstream, output } = &wire.from {
                let (upstream, output) = (*upstream, output.clone());
                let Some(entry) = self.results[upstream].clone() else { continue };
                let right = |run: &mut Self| {
                    let stored = entry.record.outputs.get(&output);
                    stored.is_some_and(|s| standing(&mut run.project.memo, &path, s) == Standing::Right)
                };
                // Changed since it was published: back to the result.
                if !right(self) {
                    self.place(upstream, &entry)?;
                }
                if !right(self) {
                    return Err(StageError::new(format!("input `{port}` is not the result it should be"))
                        .help("let nothing else write to the published outputs, then type `ner-pipe run`")
                        .into());
                }
            }
            let seen = self.project.memo.observe(&path);
            let seen =
                seen.map_err(|e| StageError::because(format!("cannot read input `{port}`"), e))?.clone();
            given.push(Given { port, origin, path, seen });
        }
        Ok(given)
    }

    fn job(&mut self, node: usize, slot: &Slot, gpus: &[u64], given: &[Given]) -> Result<Job, Loss> {
        let item = &self.project.pipeline.nodes[node];
        let (task, needs_device) = match &item.work {
            Work::Stage { kind, stage } => {
                (Task::Stage { name: kind.spec.name.to_owned(), params: stage.parameters() }, true)
            }
            Work::Command { run } => (Task::Command { run: run.clone() }, false),
        };
        let outputs = item
            .outputs
            .iter()
            .map(|out| Ok((out.name.clone(), slot.output(&out.name, &file_name(&out.published))?)));
        let outputs = outputs.collect::<Result<_, StageError>>()?;
        let checkpoint = self.project.store.checkpoint(&slot.key());
        let (id, seed) = (item.id.clone(), node_seed(item.seed, &item.family));
        let gpus: Vec<_> = gpus.iter().filter_map(|unit| self.capacity.gpu(*unit).cloned()).collect();
        let mut environment = BTreeMap::new();
        let mut devices = Device::Cpu.into();
        if needs_device {
            let gpus: Vec<usize> = gpus.iter().map(|(index, _)| *index).collect();
            devices = self.project.devices_at(&gpus).map_err(StageError::from)?;
        } else {
            environment = self.environment(node, &gpus);
        }
        Ok(Job {
            node: id,
            task,
            root: self.project.pipeline.root.clone(),
            inputs: given.iter().map(|given| (given.port.clone(), given.path.clone())).collect(),
            outputs,
            checkpoint,
            seed,
            devices,
            threads: self.project.share(node),
            environment,
            show_text: self.order.show_text,
            lock: self.project.store.exec_lock(&slot.key()),
            answer: slot.aside(ANSWER),
        })
    }

    /// What a command may use of the machine, where the file says it, in the words that programs know.
    fn environment(&self, node: usize, gpus: &[(usize, String)]) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        if self.project.pipeline.nodes[node].terms.resources.contains_key("cpu") {
            let threads = self.project.share(node).to_string();
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

    /// Says what was kept and what to do, and keeps the log.
    pub(super) fn explain(&mut self, node: usize, slot: &Slot, loss: Loss) -> Loss {
        /// The end of a log mostly says it; the rest is for `ner-pipe log`.
        const LAST_LINES: usize = 12;
        let (mut fault, panicked) = match loss {
            Loss::Fault(fault) | Loss::Process(fault) => (fault, false),
            Loss::Panicked(fault) => (fault, true),
            // Kept all the same, but nobody asks why.
            Loss::Cancelled | Loss::Busy => return loss,
        };
        let id = self.project.pipeline.nodes[node].id.clone();
        fault.log = last_lines(&slot.log(), LAST_LINES);
        match self.project.pipeline.closure(&[node]).len() - 1 {
            0 => {}
            1 => fault.kept.push("the result of the stage before it".to_owned()),
            before => fault.kept.push(format!("the results of the {before} stages before it")),
        }
        let checkpoint = self.project.store.checkpoint(&slot.key());
        if fs::read_dir(&checkpoint).is_ok_and(|mut entries| entries.next().is_some()) {
            fault.kept.push("its checkpoint, from which the next run goes on".to_owned());
        }
        if fs::metadata(slot.log()).is_ok_and(|meta| meta.len() > 0) {
            let log = self.project.pipeline.typed(&format!("log {id}"));
            fault.help.push(format!("read its whole log: {log}"));
        }
        fault.help.push(format!("go on from here: {}", self.project.pipeline.typed("run")));
        let when = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let why = std::iter::once(fault.message.clone()).chain(fault.causes.clone()).collect();
        let failure = Failure { stage: id, key: slot.key(), why, when };
        if let Err(error) =
            self.project.store.record_failure(&self.project.pipeline.file, &failure, &slot.log())
        {
            self.watch.note(&format!("the log could not be kept: {error}"));
        }
        if panicked { Loss::Panicked(fault) } else { Loss::Fault(fault) }
    }
}

/// The wait before an attempt after `failed` ones: it doubles each time, up to ten minutes or what the
/// file says, whichever is more.
pub(super) fn backoff(first: Option<Duration>, failed: u32) -> Duration {
    const USUAL: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_mins(10);
    let first = first.unwrap_or(USUAL);
    let factor = 2_u32.saturating_pow(failed.saturating_sub(1));
    first.saturating_mul(factor).min(LONGEST.max(first))
}

fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_has_an_end() {
        let waits = |first| [1, 2, 3, 100].map(|failed| backoff(first, failed).as_secs());
        assert_eq!(waits(None), [1, 2, 4, 600]);
        assert_eq!(waits(Some(Duration::from_secs(5))), [5, 10, 20, 600]);
        assert_eq!(waits(Some(Duration::from_hours(1))), [3600; 4]);
        assert_eq!(waits(Some(Duration::ZERO)), [0; 4]);
    }
}
