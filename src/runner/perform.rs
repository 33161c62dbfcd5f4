//! Executing one node: its child process, what that told, and the check of what it left.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use stage_contract::{Device, Event, Shape, StageError};

use super::{Loss, Run};
use crate::{
    executor::{Answer, Job, Task, Verdict, killed, used_memory},
    fingerprint::{Fingerprint, Observed, file_name, node_seed, observe},
    pipeline::{Origin, Work},
    publish::{Standing, standing},
    store::{Entry, Failure, Record, Slot, Stored, make_private, private_folder, remove},
    watch::Fault,
};

/// What travels between the two processes; removed from the slot before it becomes an entry.
const ASIDE: [&str; 3] = ["job.json", "answer.json", "usage.json"];

/// What a stage said about its result.
#[derive(Default)]
struct Said {
    metrics: BTreeMap<String, f64>,
    measured: BTreeMap<String, f64>,
    gates: BTreeMap<String, String>,
}

/// An input as it was before the stage ran.
struct Given {
    port: String,
    path: PathBuf,
    seen: Observed,
}

impl Run<'_, '_> {
    /// Executes a node and commits its result.
    pub(super) fn perform(
        &mut self,
        node: usize,
        fingerprint: &Fingerprint,
        slot: Slot,
    ) -> Result<Entry, Loss> {
        let checkpoint = self.project.store.checkpoint(&slot.key());
        let (record, checkpoint) = match self.attempt(node, fingerprint, &slot, checkpoint) {
            Ok(done) => done,
            Err(loss) => return Err(self.explain(node, &slot, loss)),
        };
        let entry = slot.commit(&fingerprint.manifest, &record, &ASIDE)?;
        remove(&checkpoint)?;
        Ok(entry)
    }

    /// Executes a node; `checkpoint` is where it may keep what lets it resume.
    pub(super) fn attempt(
        &mut self,
        node: usize,
        fingerprint: &Fingerprint,
        slot: &Slot,
        checkpoint: PathBuf,
    ) -> Result<(Record, PathBuf), Loss> {
        let begun = Instant::now();
        let given = self.given(node)?;
        let job = self.job(node, slot, &given, checkpoint)?;
        let mut said = Said::default();
        let mut log = slot.open_log()?;
        let (watch, id) = (&mut *self.watch, &job.node);
        let verdict =
            self.local.execute(&job, &slot.aside(ASIDE[0]), slot.open_log()?, self.cancel, |event| {
                said.take(&event, &mut log);
                watch.event(id, &event);
            })?;
        judge(verdict, self.cancel.is_asked())?;
        expect_unmoved(&self.project.pipeline.root, &given)?;
        let item = &self.project.pipeline.nodes[node];
        let mut outputs = BTreeMap::new();
        for out in &item.outputs {
            let path = &job.outputs[&out.name];
            expect_shape(path, &out.name, out.kind.shape)?;
            make_private(path)?;
            let seen = observe(path)
                .map_err(|e| StageError::because(format!("cannot read output `{}`", out.name), e))?;
            let stored = Stored {
                file: file_name(path),
                digest: seen.digest,
                bytes: seen.bytes,
                folder: seen.shape == Shape::Folder,
            };
            outputs.insert(out.name.clone(), stored);
        }
        let finished =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let record = Record {
            key: fingerprint.manifest.key(),
            stage: item.id.clone(),
            outputs,
            metrics: said.metrics,
            measured: said.measured,
            gates: said.gates,
            seconds: begun.elapsed().as_secs_f64(),
            memory: used_memory(&slot.aside(ASIDE[2])),
            device: job.device.to_string(),
            threads: job.threads,
            finished,
            made_by: format!("ner-pipe {}", env!("CARGO_PKG_VERSION")),
        };
        Ok((record, job.checkpoint))
    }

    /// Makes sure that what the stage will read is what the key says, and remembers how it looks.
    fn given(&mut self, node: usize) -> Result<Vec<Given>, Loss> {
        let mut given = Vec::new();
        for wire in 0..self.project.pipeline.nodes[node].inputs.len() {
            let wire = &self.project.pipeline.nodes[node].inputs[wire];
            let (port, path) = (wire.port.clone(), self.project.input_path(wire));
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
            given.push(Given { port, path, seen });
        }
        Ok(given)
    }

    fn job(&mut self, node: usize, slot: &Slot, given: &[Given], checkpoint: PathBuf) -> Result<Job, Loss> {
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
        let (id, seed) = (item.id.clone(), node_seed(self.project.pipeline.seed, &item.id));
        let mut device = Device::Cpu;
        if needs_device {
            private_folder(&checkpoint)?;
            device = self
                .project
                .device()
                .map_err(|e| StageError::new(e.message).help(e.help.unwrap_or_default()))?;
        }
        Ok(Job {
            node: id,
            task,
            root: self.project.pipeline.root.clone(),
            inputs: given.iter().map(|given| (given.port.clone(), given.path.clone())).collect(),
            outputs,
            checkpoint,
            seed,
            device,
            threads: self.project.threads,
            show_text: self.order.show_text,
            lock: self.project.store.exec_lock(&slot.key()),
            answer: slot.aside(ASIDE[1]),
        })
    }

    /// Says what was kept and what to do, and keeps the log.
    fn explain(&mut self, node: usize, slot: &Slot, loss: Loss) -> Loss {
        /// The end of a log mostly says it; the rest is for `ner-pipe log`.
        const LAST_LINES: usize = 12;
        let (mut fault, panicked) = match loss {
            Loss::Fault(fault) => (fault, false),
            Loss::Panicked(fault) => (fault, true),
            // Kept all the same, but nobody asks why.
            Loss::Cancelled | Loss::Busy => return loss,
        };
        let id = self.project.pipeline.nodes[node].id.clone();
        fault.log = last_lines(&slot.log(), LAST_LINES);
        let before = self.results.iter().flatten().count();
        match before {
            0 => {}
            1 => fault.kept.push("the result of the stage before it".to_owned()),
            _ => fault.kept.push(format!("the results of the {before} stages before it")),
        }
        let checkpoint = self.project.store.checkpoint(&slot.key());
        if fs::read_dir(&checkpoint).is_ok_and(|mut entries| entries.next().is_some()) {
            fault.kept.push("its checkpoint, from which the next run goes on".to_owned());
        }
        if fs::metadata(slot.log()).is_ok_and(|meta| meta.len() > 0) {
            fault.help.push(format!("read its whole log: `ner-pipe log {id}`"));
        }
        fault.help.push("go on from here: `ner-pipe run`".to_owned());
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

impl Said {
    fn take(&mut self, event: &Event, log: &mut impl Write) {
        match event {
            Event::Metric { name, value, measured } => {
                let values = if *measured { &mut self.measured } else { &mut self.metrics };
                values.insert(name.clone(), *value);
            }
            Event::Gate { name, outcome } => drop(self.gates.insert(name.clone(), outcome.clone())),
            // So that `ner-pipe log` still shows it when the result is reused.
            Event::Show { text } => drop(writeln!(log, "{text}")),
            Event::Progress { .. } => {}
        }
    }
}

/// What a child's end means.
fn judge(verdict: Verdict, cancelled: bool) -> Result<(), Loss> {
    let fault = |message, causes, help: Option<String>| {
        Box::new(Fault { message, causes, help: help.into_iter().collect(), ..Fault::default() })
    };
    let report = "this is a fault of ner-pipe: report it with the log".to_owned();
    Err(match verdict {
        // Finished in spite of a wish to stop: its result is as good as any.
        Verdict::Answered(Answer::Done) => return Ok(()),
        Verdict::Answered(Answer::Panicked { message }) => {
            Loss::Panicked(fault(format!("the stage's code is wrong: {message}"), Vec::new(), Some(report)))
        }
        _ if cancelled => Loss::Cancelled,
        Verdict::Answered(Answer::Cancelled) => Loss::Cancelled,
        Verdict::Answered(Answer::Failed { message, causes, help }) => {
            Loss::Fault(fault(message, causes, help))
        }
        Verdict::Killed(signal) => killed("its process", signal).into(),
        Verdict::Silent(code) => {
            let code = code.map_or_else(String::new, |code| format!(" with exit code {code}"));
            Loss::Panicked(fault(
                format!("its process ended{code} without saying why"),
                Vec::new(),
                Some(report),
            ))
        }
    })
}

/// A result made from something that moved meanwhile belongs to no key.
fn expect_unmoved(root: &Path, given: &[Given]) -> Result<(), StageError> {
    for Given { port, path, seen } in given {
        if let Some(moved) = seen.moved(path) {
            let moved = moved.strip_prefix(root).unwrap_or(&moved).display().to_string();
            return Err(StageError::new(format!("input `{port}` changed while the stage ran: {moved}"))
                .help("leave the inputs alone while stages run; this result was not recorded"));
        }
    }
    Ok(())
}

fn expect_shape(path: &Path, name: &str, wanted: Shape) -> Result<(), StageError> {
    let Ok(meta) = fs::metadata(path) else {
        return Err(StageError::new(format!("output `{name}` is missing"))
            .help(format!("write it to the path that `{{{name}}}` stands for")));
    };
    let found = if meta.is_dir() {
        Shape::Folder
    } else if meta.is_file() {
        Shape::File
    } else {
        return Err(StageError::new(format!("output `{name}` is neither a file nor a folder")));
    };
    let word = |shape| if shape == Shape::Folder { "a folder" } else { "a file" };
    if wanted == Shape::FileOrFolder || wanted == found {
        return Ok(());
    }
    Err(StageError::new(format!("output `{name}` is {}, and must be {}", word(found), word(wanted))))
}

fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}
