//! Executing one node, once, in a thread of its own: the job, what it reported, the check of what it left,
//! the commit. All that is needed comes with the attempt; the run learns of it by messages.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use stage_contract::{Event, Shape, StageError};

use super::{failure::Failure, folder::ProjectFolder};
use crate::{
    executor::{Answer, CancelToken, EXCHANGED, Ended, Executor, Job, Limits, Task, execute},
    failpoint::{Point, reach},
    fingerprint::{Manifest, Observed, Writes, file_name, observe},
    store::{Entry, PathPart, Record, Slot, Stored, make_private, private_folder, remove, remove_siblings},
    watch::Fault,
};

/// An input as it was before the stage ran.
pub(super) struct Input {
    pub port: String,
    /// As the pipeline file calls it.
    pub origin: String,
    pub path: PathBuf,
    pub seen: Observed,
}

/// All that it takes to execute a node.
pub(super) struct Attempt {
    pub folder: ProjectFolder,
    pub slot: Slot,
    pub job: Job,
    pub inputs: Vec<Input>,
    /// Name and shape.
    pub outputs: Vec<(String, Shape)>,
    pub manifest: Manifest,
    /// Which build makes it, and the parts of its code, for the record.
    pub made_by: String,
    pub code: BTreeMap<String, String>,
    pub limits: Limits,
}

/// A failed attempt, with its slot if that is still there: the log is in it.
pub(super) struct Failed {
    pub slot: Option<Slot>,
    pub failure: Failure,
}

/// What a stage reported about its result.
#[derive(Default)]
struct Reported {
    metrics: BTreeMap<String, f64>,
    measured: BTreeMap<String, f64>,
    gates: BTreeMap<String, String>,
}

impl Attempt {
    /// Executes the node and commits its result. A panic of ours must not leave the run waiting for it.
    pub fn make(
        self,
        executor: &dyn Executor,
        cancel: &CancelToken,
        on_event: impl FnMut(Event),
    ) -> Result<Box<Entry>, Box<Failed>> {
        catch_unwind(AssertUnwindSafe(|| self.commit(executor, cancel, on_event))).unwrap_or_else(|_| {
            let message = "ner-pipe itself failed while it executed the stage".to_owned();
            let help = vec!["this is an internal error of ner-pipe: please report it".to_owned()];
            let fault = Box::new(Fault { message, help, ..Fault::default() });
            Err(Box::new(Failed { slot: None, failure: Failure::Panicked(fault) }))
        })
    }

    fn commit(
        self,
        executor: &dyn Executor,
        cancel: &CancelToken,
        on_event: impl FnMut(Event),
    ) -> Result<Box<Entry>, Box<Failed>> {
        let record = match self.record(executor, cancel, on_event) {
            Ok(record) => record,
            Err(failure) => return Err(Box::new(Failed { slot: Some(self.slot), failure })),
        };
        // What the slot's paths lead to now may be half of a copy.
        if let Err(moved) = self.folder.expect_unmoved() {
            return Err(Box::new(Failed { slot: Some(self.slot), failure: moved.into() }));
        }
        let gone = |error: StageError| Box::new(Failed { slot: None, failure: error.into() });
        let entry = self.slot.commit(&self.manifest, &record, &EXCHANGED).map_err(gone)?;
        let checkpoint = &self.job.checkpoint;
        if checkpoint.exists() {
            reach(Point::CheckpointRemove)
                .map_err(|e| StageError::io("remove", checkpoint, e))
                .and_then(|()| remove(checkpoint))
                .map_err(gone)?;
        }
        Ok(Box::new(entry))
    }

    /// Executes the node, and says what it left in the slot.
    pub fn record(
        &self,
        executor: &dyn Executor,
        cancel: &CancelToken,
        mut on_event: impl FnMut(Event),
    ) -> Result<Record, Failure> {
        let begun = Instant::now();
        let job = &self.job;
        // What an earlier attempt left, also beside the outputs.
        remove(&job.answer)?;
        for folder in job.outputs.values().filter_map(|path| path.parent()) {
            remove(folder)?;
            private_folder(folder)?;
        }
        if let Task::Stage { .. } = job.task {
            private_folder(&job.checkpoint)?;
        }
        let mut reported = Reported::default();
        let mut log = self.slot.open_log()?;
        let writes = Writes::to(&job.root, self.inputs.iter().map(|input| (&*input.path, &input.seen)));
        let listen = |event| {
            reported.add(&event, &mut log);
            on_event(event);
        };
        let Ended { answer, usage } = execute(executor, job, &self.slot.log(), self.limits, cancel, listen)?;
        expect_success(answer)?;
        if writes.as_ref().is_some_and(Writes::path_changed) {
            return Err(StageError::new("the path of an input pointed elsewhere while the stage ran")
                .help("leave links to inputs, and folders of inputs, alone while stages run; this result was not recorded")
                .into());
        }
        let quiet = writes.is_some_and(|writes| !writes.happened());
        expect_unmoved(&job.root, &self.inputs, quiet)?;
        let mut outputs = BTreeMap::new();
        for (name, shape) in &self.outputs {
            let path = &job.outputs[name];
            expect_shape(path, name, *shape)?;
            if remove_siblings(path)? {
                let reported = format!(
                    "ner-pipe: files beside output `{name}` are not declared as outputs, and were removed"
                );
                drop(writeln!(log, "{reported}"));
            }
            reach(Point::Observe).map_err(|e| StageError::io("read", path, e))?;
            make_private(path)?;
            let seen =
                observe(path).map_err(|e| StageError::because(format!("cannot read output `{name}`"), e))?;
            let part = |name: String| PathPart::try_from(name).map_err(StageError::new);
            let stored = Stored {
                file: part(file_name(path))?,
                digest: seen.digest,
                bytes: seen.bytes,
                folder: seen.shape == Shape::Folder,
            };
            outputs.insert(part(name.clone())?, stored);
        }
        let finished =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Ok(Record {
            key: self.slot.key(),
            stage: job.node.clone(),
            origins: self.inputs.iter().map(|input| (input.port.clone(), input.origin.clone())).collect(),
            outputs,
            metrics: reported.metrics,
            measured: reported.measured,
            gates: reported.gates,
            seconds: begun.elapsed().as_secs_f64(),
            memory: usage.map(|usage| usage.memory),
            device: job.devices.to_string(),
            threads: job.threads,
            finished,
            made_by: self.made_by.clone(),
            code: self.code.clone(),
            accepted_from: None,
        })
    }
}

impl Reported {
    fn add(&mut self, event: &Event, log: &mut impl Write) {
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

/// Whether a job succeeded.
fn expect_success(answer: Answer) -> Result<(), Failure> {
    let fault = |message, causes, help: Option<String>| {
        Box::new(Fault { message, causes, help: help.into_iter().collect(), ..Fault::default() })
    };
    match answer {
        Answer::Done => Ok(()),
        Answer::Cancelled => Err(Failure::Cancelled),
        Answer::Failed { message, causes, help } => Err(Failure::Retryable(fault(message, causes, help))),
        Answer::Panicked { message } => {
            let help = "this is an internal error of ner-pipe: please report it with the log".to_owned();
            Err(Failure::Panicked(fault(message, Vec::new(), Some(help))))
        }
    }
}

/// A result made from something that moved meanwhile belongs to no key. Decided: a write counts also when the
/// bytes are put back, as the stage may have read others; new times or modes alone (`quiet`) do not.
fn expect_unmoved(root: &Path, inputs: &[Input], quiet: bool) -> Result<(), StageError> {
    for Input { port, path, seen, .. } in inputs {
        if let Some(moved) = if quiet { seen.edited(path) } else { seen.moved(path) } {
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
