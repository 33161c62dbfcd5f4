//! Node after node: fingerprint, look up, execute, commit, publish, record.
//!
//! [`survey`] looks at everything before the first stage runs; [`run`] then goes through the nodes in
//! the order of work. A node that gives no result takes those below it with it; the others still run.

mod perform;
mod preflight;
mod project;
mod reasons;
mod survey;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use stage_contract::StageError;

pub use project::{Project, Wish};
pub use survey::{Next, Outlook, State, Survey, survey};

use crate::{
    executor::{Cancel, Local, causes},
    fingerprint::{Fingerprint, Key},
    lock::Locked,
    problem::Problems,
    publish::{PublishError, publish},
    store::{Entry, Lookup, LookupError, Patience},
    watch::{Ending, Fault, Outcome, Summary, Watch},
};

/// Why there is nothing to tell about a run: it did not begin.
#[derive(Debug)]
pub enum Stop {
    /// The pipeline file is wrong.
    Problems(Problems),
    /// The command line is, or a file that ner-pipe wrote cannot be read.
    Wrong {
        /// A lower-case fragment.
        message: String,
        /// An imperative.
        help: String,
    },
    /// Something failed.
    Failed(StageError),
}

impl Stop {
    /// The command line is wrong.
    pub fn wrong(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Wrong { message: message.into(), help: help.into() }
    }
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Nodes, closed under what they need.
    pub wanted: BTreeSet<usize>,
    /// Nodes that execute though their result is there.
    pub forced: BTreeSet<usize>,
    /// `--no-wait`: do not wait for another run.
    pub no_wait: bool,
    /// `--show-text`.
    pub show_text: bool,
}

/// How a run went.
#[derive(Debug)]
pub struct Finished {
    /// What happened to each node.
    pub summary: Summary,
    /// A stage's code is wrong.
    pub panicked: bool,
    /// Another run makes a result that is needed, and waiting was not wanted.
    pub busy: bool,
}

/// Runs what is ordered.
///
/// # Errors
/// When the run cannot begin; what happens to a stage is in the summary.
pub fn run(
    project: &mut Project<'_>,
    order: &Order,
    cancel: &Cancel,
    watch: &mut dyn Watch,
) -> Result<Finished, Stop> {
    let begun = Instant::now();
    project.store.prepare()?;
    project.pipeline.expect_unclaimed().map_err(Problems::from)?;
    let expected = survey(project, &order.wanted, &order.forced)?;
    preflight::preflight(project, &expected)?;
    for note in project.notes.drain(..) {
        watch.note(&note);
    }
    let mut run = Run {
        results: vec![None; project.pipeline.nodes.len()],
        project,
        order,
        cancel,
        watch,
        local: Local::new(),
        expected,
        endings: Vec::new(),
        lost: BTreeSet::new(),
        executed: false,
        panicked: false,
        busy: false,
    };
    for &node in &order.wanted {
        let ending = run.node(node);
        if !matches!(ending.outcome, Outcome::Executed | Outcome::Reused | Outcome::Restored) {
            run.lost.insert(node);
        }
        run.watch.ended(&ending);
        run.endings.push(ending);
    }
    let summary = Summary { endings: run.endings, seconds: begun.elapsed().as_secs_f64() };
    run.watch.finished(&summary);
    Ok(Finished { summary, panicked: run.panicked, busy: run.busy })
}

/// A run under way.
struct Run<'a, 'r> {
    project: &'a mut Project<'r>,
    order: &'a Order,
    cancel: &'a Cancel,
    watch: &'a mut dyn Watch,
    local: Local,
    expected: Survey,
    /// Results so far, by node.
    results: Vec<Option<Entry>>,
    endings: Vec<Ending>,
    /// Nodes without a result.
    lost: BTreeSet<usize>,
    /// Whether time went by since files were hashed: a stage executed, or another run was waited for.
    executed: bool,
    panicked: bool,
    busy: bool,
}

/// Why a node has no result.
enum Loss {
    Cancelled,
    Busy,
    Fault(Box<Fault>),
    Panicked(Box<Fault>),
}

impl From<StageError> for Loss {
    fn from(error: StageError) -> Self {
        let (below, help) = (causes(&error), error.advice().map(str::to_owned));
        match error {
            StageError::Cancelled => Self::Cancelled,
            StageError::Failed { message, .. } => Self::Fault(Box::new(Fault {
                message,
                causes: below,
                help: help.into_iter().collect(),
                ..Fault::default()
            })),
        }
    }
}

impl Run<'_, '_> {
    fn node(&mut self, node: usize) -> Ending {
        let begun = Instant::now();
        let id = self.project.pipeline.nodes[node].id.clone();
        let mut ending = Ending {
            stage: id,
            outcome: Outcome::Skipped,
            seconds: 0.0,
            key: None,
            reasons: Vec::new(),
            gates: BTreeMap::new(),
            fault: None,
        };
        if self.project.pipeline.upstream(node).iter().any(|upstream| self.lost.contains(upstream)) {
            return ending;
        }
        if self.cancel.is_asked() {
            ending.outcome = Outcome::Cancelled;
            return ending;
        }
        let result = self.result(node, &mut ending);
        for note in self.project.notes.drain(..) {
            self.watch.note(&note);
        }
        ending.seconds = begun.elapsed().as_secs_f64();
        match result {
            Ok((outcome, entry)) => {
                let file = &self.project.pipeline.file;
                if let Err(error) = self.project.store.forget_failure(file, &ending.stage) {
                    self.watch.note(&format!("an old log stays: {error}"));
                }
                ending.outcome = outcome;
                ending.gates.clone_from(&entry.record.gates);
                self.results[node] = Some(entry);
            }
            Err(Loss::Cancelled) => ending.outcome = Outcome::Cancelled,
            Err(Loss::Busy) => {
                self.busy = true;
                let message = "another run is making this result".to_owned();
                let help = vec!["leave out `--no-wait` to wait for it and take it".to_owned()];
                ending.fault = Some(Fault { message, help, ..Fault::default() });
            }
            Err(Loss::Fault(fault)) => {
                ending.outcome = Outcome::Failed;
                ending.fault = Some(*fault);
            }
            Err(Loss::Panicked(fault)) => {
                self.panicked = true;
                ending.outcome = Outcome::Failed;
                ending.fault = Some(*fault);
            }
        }
        ending
    }

    fn result(&mut self, node: usize, ending: &mut Ending) -> Result<(Outcome, Entry), Loss> {
        loop {
            let fingerprint = self.fingerprint(node)?;
            let key = fingerprint.manifest.key();
            ending.key = Some(key);
            let forced = self.order.forced.contains(&node);
            ending.reasons = survey::explain(self.project, node, &fingerprint, forced, &self.expected);
            match self.look_up(node, &key, forced)? {
                Lookup::Hit(entry) => {
                    if let Some(outcome) = self.take(node, &entry)? {
                        return Ok((outcome, *entry));
                    }
                }
                Lookup::Miss(slot) => {
                    self.watch.started(&ending.stage, &ending.reasons);
                    let entry = self.perform(node, &fingerprint, slot)?;
                    self.executed = true;
                    return match self.place(node, &entry)? {
                        Some(_) => Ok((Outcome::Executed, entry)),
                        None => Err(StageError::new("the result was damaged right after it was written")
                            .help("check the disk, then type `ner-pipe run`")
                            .into()),
                    };
                }
            }
        }
    }

    /// With all inputs known, as those before it have their results.
    fn fingerprint(&mut self, node: usize) -> Result<Fingerprint, Loss> {
        if self.executed {
            let node = &self.project.pipeline.nodes[node];
            let inputs = node.inputs.iter().map(|wire| self.project.input_path(wire));
            let outputs = node.outputs.iter().map(|out| self.project.published(out));
            for path in inputs.chain(outputs).collect::<Vec<_>>() {
                self.project.memo.recheck(&path);
            }
        }
        self.project.fingerprint(node, &self.results).map_err(|problems| {
            let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
            StageError::new(messages.join("; ")).help("see to the input, then type `ner-pipe run`").into()
        })
    }

    fn look_up(&mut self, node: usize, key: &Key, forced: bool) -> Result<Lookup, Loss> {
        let id = &self.project.pipeline.nodes[node].id;
        let (watch, waited) = (&mut *self.watch, &mut self.executed);
        let mut waiting = || {
            *waited = true;
            watch.note(&format!("{id}: waiting for another run that is making this result"));
        };
        let cancelled = || self.cancel.is_asked();
        let patience = Patience { wait: !self.order.no_wait, cancelled: &cancelled, waiting: &mut waiting };
        let found = if forced {
            self.project.store.renew(key, patience).map(Lookup::Miss)
        } else {
            self.project.store.lookup(key, patience)
        };
        found.map_err(|error| match error {
            LookupError::Busy => Loss::Busy,
            LookupError::Failed(error) => error.into(),
        })
    }

    /// Takes a result from the cache; none when it turns out damaged: then it is out of the way.
    fn take(&mut self, node: usize, entry: &Entry) -> Result<Option<Outcome>, Loss> {
        let id = self.project.pipeline.nodes[node].id.clone();
        let placed = if entry.is_whole() { self.place(node, entry)? } else { None };
        if let Some(placed) = placed {
            return Ok(Some(if placed == 0 { Outcome::Reused } else { Outcome::Restored }));
        }
        let aside = self.project.store.set_aside(&entry.key())?;
        self.watch.note(&format!(
            "{id}: the result in the cache was damaged; it is now in {}, and the stage executes again",
            self.shown(&aside)
        ));
        Ok(None)
    }

    /// Publishes a result and records it in the lock; says how many outputs were not right, or none when
    /// the entry is damaged.
    fn place(&mut self, node: usize, entry: &Entry) -> Result<Option<usize>, Loss> {
        let project = &mut *self.project;
        let item = &project.pipeline.nodes[node];
        let locked = Locked::new(&entry.manifest, &entry.record, project.pipeline.seed);
        let right = item.outputs.iter().all(|out| {
            let path = project.pipeline.root.join(&out.published);
            let stored = entry.record.outputs.get(&out.name);
            stored.is_some_and(|s| {
                crate::publish::standing(&mut project.memo, &path, s) == crate::publish::Standing::Right
            })
        });
        // A run with nothing to do writes nothing and takes no lock.
        if right && project.lock.get(&item.id) == Some(&locked) {
            return Ok(Some(0));
        }
        let held = project.store.publishing()?;
        for out in &item.outputs {
            project.memo.recheck(&project.pipeline.root.join(&out.published));
        }
        let published =
            match publish(&project.store, entry, &project.pipeline.root, &item.outputs, &mut project.memo) {
                Ok(published) => published,
                Err(PublishError::Damaged(_)) => return Ok(None),
                Err(PublishError::Failed(error)) => return Err(error.into()),
            };
        project.claim()?;
        let ids: Vec<&str> = project.pipeline.nodes.iter().map(|node| node.id.as_str()).collect();
        project.lock.record(&item.id, locked, &ids)?;
        drop(held);
        for (path, home) in &published.displaced {
            let said =
                format!("{} was not a result of ner-pipe; it is now {}", path.display(), self.shown(home));
            self.watch.note(&said);
        }
        Ok(Some(published.placed))
    }

    /// A path as people type it.
    fn shown(&self, path: &std::path::Path) -> String {
        path.strip_prefix(&self.project.pipeline.root).unwrap_or(path).display().to_string()
    }
}
