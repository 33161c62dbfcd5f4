use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Artifact, Device, Event, Further, Input, Optional, Output, Sink, Spec, StageError};

/// A stage's only access to the outside: typed inputs and outputs, seed, device, progress, metrics, a folder for
/// checkpoints, cancellation. What is not in here a stage cannot touch, and so cannot depend on.
pub struct Context<'a> {
    /// Wired inputs by port name.
    pub inputs: &'a BTreeMap<String, PathBuf>,
    /// What `pipeline.toml` writes at the source of an input, by port name; nothing where it writes nothing.
    pub options: &'a BTreeMap<String, Value>,
    /// Where each output goes, by port name. The paths do not exist yet; their parents do.
    pub outputs: &'a BTreeMap<String, PathBuf>,
    /// Where this node may keep what lets it resume: bound to its key, removed after success.
    pub checkpoint: &'a Path,
    /// The pipeline's seed mixed with the node's id.
    pub seed: u64,
    /// Where tensors live.
    pub device: Device,
    /// GPUs beside it, on which a training may run at once.
    pub further: &'a [Device],
    /// CPU threads to use, at least 1.
    pub threads: usize,
    /// Whether text of the corpus may be printed (`--show-text`).
    pub show_text: bool,
    /// Set when the runner wants the stage to stop.
    pub cancelled: &'a AtomicBool,
    /// Where events go.
    pub sink: &'a dyn Sink,
    /// Whether the stage's spec says that it measures.
    pub measures: bool,
}

impl Context<'_> {
    /// Reads an input whole.
    ///
    /// # Errors
    /// When it is unreadable or malformed, or empty where it must not be.
    pub fn read<A: Artifact>(&self, input: &Input<A>) -> Result<A, StageError> {
        Ok(input.port().expect_filled(self.load(input.name(), self.input(input)?)?)?)
    }

    /// Reads an optional input, when it is wired.
    ///
    /// # Errors
    /// When it is wired and unreadable or malformed, or empty where it must not be.
    pub fn read_optional<A: Artifact>(&self, input: &Optional<A>) -> Result<Option<A>, StageError> {
        let read = |path: &PathBuf| Ok(input.port().expect_filled(self.load(input.name(), path)?)?);
        self.inputs.get(input.name()).map(read).transpose()
    }

    /// Reads all of the further inputs, by name, in its order; `spec` is the stage's.
    ///
    /// # Errors
    /// When one is unreadable or malformed.
    pub fn read_further<A: Artifact>(
        &self,
        spec: &Spec,
        _: &Further<A>,
    ) -> Result<Vec<(String, A)>, StageError> {
        let read = |(name, path): (&str, &Path)| Ok((name.to_owned(), self.load(name, path)?));
        spec.among(self.inputs).map(read).collect()
    }

    fn load<A: Artifact>(&self, name: &str, path: &Path) -> Result<A, StageError> {
        A::read(path, self.options(name), &|note| self.show(note))
    }

    /// The options of an input, by its name, for what is better read piece by piece; null where none are written.
    #[must_use]
    pub fn options(&self, name: &str) -> &Value {
        self.options.get(name).unwrap_or(&Value::Null)
    }

    /// Where an input lies, for what is better read piece by piece.
    ///
    /// # Errors
    /// When the runner did not wire it, which is a fault of ours.
    pub fn input<A: Artifact>(&self, input: &Input<A>) -> Result<&Path, StageError> {
        self.inputs
            .get(input.name())
            .map(PathBuf::as_path)
            .ok_or_else(|| StageError::new(format!("input `{}` is not wired", input.name())))
    }

    /// Where an output goes, for what is better written piece by piece. Its parent exists.
    ///
    /// # Errors
    /// When the output is not declared in the stage's spec, or the disk refuses its parent.
    pub fn output<A: Artifact>(&self, output: &Output<A>) -> Result<&Path, StageError> {
        let path = self
            .outputs
            .get(output.name())
            .ok_or_else(|| StageError::new(format!("output `{}` is not declared", output.name())))?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| StageError::io("create", parent, e))?;
        }
        Ok(path)
    }

    /// Writes an output whole.
    ///
    /// # Errors
    /// When the disk refuses, or the output is not declared in the stage's spec.
    pub fn write<A: Artifact>(&self, output: &Output<A>, value: &A) -> Result<(), StageError> {
        value.save(self.output(output)?)
    }

    /// Starts a step of the work that `ner-pipe run` shows with rate and time left. `total` 0 = unknown.
    pub fn progress(&self, step: impl Into<String>, total: u64, unit: &str) -> Progress<'_> {
        Progress::start(self, step.into(), total, unit)
    }

    /// Records a result: it stands beside the outputs and in `pipeline.lock`. One that is undefined is said and left out.
    pub fn metric(&self, name: impl Into<String>, value: impl Into<Option<f64>>) {
        self.record(name.into(), value.into(), false);
    }

    /// Records a value that differs from run to run (latency, memory): never in `pipeline.lock`.
    pub fn measured(&self, name: impl Into<String>, value: f64) {
        self.record(name.into(), Some(value), true);
    }

    /// JSON has no name for what is not finite, and the lock nothing to compare with it.
    fn record(&self, name: String, value: Option<f64>, measured: bool) {
        match value {
            Some(value) if value.is_finite() => self.sink.send(Event::Metric { name, value, measured }),
            Some(value) => self.show(format!("`{name}` is {value} and so was not recorded")),
            None => self
                .show(format!("`{name}` is undefined, for there is nothing to count: it was not recorded")),
        }
    }

    /// Prints a line or a table for people.
    pub fn show(&self, text: impl Into<String>) {
        self.sink.send(Event::Show { text: text.into() });
    }

    /// Call between units of work.
    ///
    /// # Errors
    /// [`StageError::Cancelled`] when the user wants to stop.
    pub fn check_cancelled(&self) -> Result<(), StageError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(StageError::Cancelled) } else { Ok(()) }
    }

    /// The clock, for a stage whose spec says that it measures; all others must not know the time.
    ///
    /// # Errors
    /// When the spec does not say so.
    pub fn measure(&self) -> Result<Clock, StageError> {
        if self.measures {
            Ok(Clock(()))
        } else {
            Err(StageError::new("this stage's spec does not say that it measures"))
        }
    }
}

/// The right to know how long something takes.
#[derive(Debug)]
pub struct Clock(());

impl Clock {
    /// Runs `work` and tells how long it took.
    #[expect(clippy::disallowed_methods, reason = "the one clock that stages are given")]
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let start = Instant::now();
        let value = work();
        (value, start.elapsed())
    }
}

/// A running step. Sends at most about ten events a second, so it may be advanced for every unit.
pub struct Progress<'a> {
    sink: &'a dyn Sink,
    step: String,
    unit: String,
    done: u64,
    total: u64,
    sent: Option<Instant>,
}

impl<'a> Progress<'a> {
    const INTERVAL: Duration = Duration::from_millis(100);

    fn start(cx: &'a Context<'_>, step: String, total: u64, unit: &str) -> Self {
        let mut progress = Self { sink: cx.sink, step, unit: unit.to_owned(), done: 0, total, sent: None };
        progress.send();
        progress
    }

    /// Counts `units` more as done.
    pub fn advance(&mut self, units: u64) {
        self.done += units;
        if self.done == self.total || self.sent.is_none_or(|at| at.elapsed() >= Self::INTERVAL) {
            self.send();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "how often progress is told is no part of a result")]
    fn send(&mut self) {
        self.sent = Some(Instant::now());
        self.sink.send(Event::Progress {
            step: self.step.clone(),
            done: self.done,
            total: self.total,
            unit: self.unit.clone(),
        });
    }
}
