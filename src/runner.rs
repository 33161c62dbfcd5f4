//! Node after node: fingerprint, look up, execute, commit, publish, record.
//!
//! [`survey`] looks at everything before the first stage runs; [`run`] then goes through the nodes in
//! the order of work, several at once where they fit. A node that gives no result takes those below it
//! with it; the others still run.

mod accept;
mod attempt;
mod capacity;
mod course;
mod ending;
mod home;
mod perform;
mod places;
mod preflight;
mod project;
mod reasons;
mod recording;
mod rerun;
mod resolve;
mod schedule;
mod survey;

use std::{collections::BTreeSet, num::NonZero, path::Path, thread, time::Instant};

use stage_contract::StageError;

pub use accept::{Accepted, accept, acceptable};
pub use capacity::Capacity;
pub use places::expect_room;
pub use preflight::preflight;
pub use project::{Project, Wish};
pub use reasons::{Reason, told};
pub use rerun::{Comparison, rerun};
pub use resolve::{Resolution, Taken, resolve};
pub use schedule::Need;
pub use survey::{Next, Outlook, State, Survey, survey};

use course::Run;
use places::claim;

use crate::{
    executor::{Cancel, causes},
    failpoint::{Point, reach},
    fingerprint::Fingerprint,
    lock::Locked,
    problem::Problems,
    publish::{PublishError, Site, Standing, is_untidy, publish, standing},
    store::{Entry, LookupError, Patience},
    watch::{Fault, Outcome, Summary, Watch},
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

    /// What is wrong, each with the way out.
    #[must_use]
    pub fn messages(&self) -> Vec<(String, Option<String>)> {
        match self {
            Self::Problems(problems) => {
                problems.iter().map(|problem| (problem.to_string(), problem.way_out())).collect()
            }
            Self::Wrong { message, help } => vec![(message.clone(), Some(help.clone()))],
            Self::Failed(StageError::Failed { message, help, .. }) => vec![(message.clone(), help.clone())],
            Self::Failed(StageError::Cancelled) => vec![("cancelled".to_owned(), None)],
        }
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

impl From<LookupError> for Stop {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Busy => Self::wrong("another run is making this result", "wait for its end"),
            LookupError::Failed(error) => error.into(),
        }
    }
}

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Nodes, closed under what they need.
    pub wanted: BTreeSet<usize>,
    /// Nodes that execute though their result is there.
    pub forced: BTreeSet<usize>,
    /// `--jobs`: how many nodes may execute at once; as many as there are cpus when not said.
    pub jobs: Option<NonZero<usize>>,
    /// `--no-wait`: do not wait for another run.
    pub no_wait: bool,
    /// `--show-text`.
    pub show_text: bool,
}

impl Order {
    fn jobs(&self) -> usize {
        self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get)
    }
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
    if project.pipeline.root.to_str().is_none() {
        // Commands are text, and paths are in them.
        let message = format!("the path of the project, {}, is not UTF-8", project.pipeline.root.display());
        return Err(Stop::wrong(message, "rename it, or reach it by a link with another name"));
    }
    let used = project.store.prepare();
    let expected = survey(project, &order.wanted, &order.forced)?;
    // With nothing to do, a cache that cannot be written is as good as any.
    let _used = match used {
        Err(_) if expected.outlooks.values().all(|outlook| outlook.next == Next::Reuse) => None,
        used => Some(used?),
    };
    preflight(project, &expected)?;
    claim(project, &expected)?;
    project.remember();
    for note in project.notes.drain(..) {
        watch.note(&note);
    }
    let course = Run::new(project, order, cancel, watch, expected).finish();
    if project.home.expect_here().is_ok() {
        project.memo.save();
    }
    let reused = course.endings.iter().filter(|ending| ending.outcome != Outcome::Executed);
    let told = reused.filter(|ending| ending.gates.values().any(|verdict| verdict != "pass"));
    let logs = told.map(|ending| project.pipeline.typed(&format!("log {}", ending.stage))).collect();
    let summary = Summary { endings: course.endings, seconds: begun.elapsed().as_secs_f64(), logs };
    watch.finished(&summary);
    Ok(Finished { summary, panicked: course.panicked, busy: course.busy })
}

/// Why a node has no result.
enum Loss {
    Cancelled,
    Busy,
    Fault(Box<Fault>),
    /// Its process failed: another attempt may succeed.
    Process(Box<Fault>),
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

impl From<LookupError> for Loss {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Busy => Self::Busy,
            LookupError::Failed(error) => error.into(),
        }
    }
}

impl Run<'_, '_> {
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

    /// Takes a result from the cache; none when it turns out damaged: then it is out of the way.
    fn take(&mut self, node: usize, entry: &Entry) -> Result<Option<Outcome>, Loss> {
        let id = self.project.pipeline.nodes[node].id.clone();
        entry.mark_used();
        let placed = if entry.is_whole() { self.place(node, entry)? } else { None };
        if let Some(placed) = placed {
            return Ok(Some(if placed == 0 { Outcome::Reused } else { Outcome::Restored }));
        }
        let cancelled = || self.cancel.is_asked();
        let patience = Patience {
            wait: !self.order.no_wait,
            cancelled: &cancelled,
            waiting: &mut || self.executed = true,
        };
        if let Some(aside) = self.project.store.set_aside(&entry.key(), Some(&entry.record), patience)? {
            self.watch.note(&self.damaged(&id, &aside));
        }
        Ok(None)
    }

    fn damaged(&self, id: &str, aside: &Path) -> String {
        let aside = self.shown(aside);
        format!(
            "{id}: the result in the cache was damaged; it is now in {aside}, and the stage executes again"
        )
    }

    /// Publishes a result and records it in the lock; says how many outputs were not right, or none when
    /// the entry is damaged.
    fn place(&mut self, node: usize, entry: &Entry) -> Result<Option<usize>, Loss> {
        let project = &mut *self.project;
        let item = &project.pipeline.nodes[node];
        let locked = Locked::new(&entry.manifest, &entry.record, item.seed);
        let right = item.outputs.iter().all(|out| {
            let path = project.pipeline.root.join(&out.published);
            let stored = entry.record.outputs.get(&out.name);
            stored.is_some_and(|s| standing(&mut project.memo, &path, s) == Standing::Right)
                && !is_untidy(&path)
        });
        // A run with nothing to do writes nothing and takes no lock.
        if right && project.lock.get(&item.id) == Some(&locked) {
            return Ok(Some(0));
        }
        project.home.expect_here()?;
        let held = project.store.publishing()?;
        for out in &item.outputs {
            project.memo.recheck(&project.pipeline.root.join(&out.published));
        }
        let site = Site {
            root: &project.pipeline.root,
            file: &project.pipeline.file,
            outputs: &item.outputs,
            before: project.lock.get(&item.id),
        };
        let published = match publish(&project.store, entry, &site, &mut project.memo) {
            Ok(published) => published,
            Err(PublishError::Damaged(_)) => return Ok(None),
            Err(PublishError::Failed(error)) => return Err(error.into()),
        };
        reach(Point::Published).map_err(|e| StageError::io("write", &project.pipeline.lock, e))?;
        project.claim()?;
        self.record(node, locked);
        drop(held);
        for (path, home) in &published.displaced {
            let said =
                format!("{} was not a result of ner-pipe; it is now {}", path.display(), self.shown(home));
            self.watch.note(&said);
        }
        Ok(Some(published.placed))
    }

    /// A path as people type it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.project.pipeline.root).unwrap_or(path).display().to_string()
    }
}
