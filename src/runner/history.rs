//! What became of each node: its result, or why it has none, with the log of its last attempt.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::SystemTime,
};

use stage_contract::StageError;

use super::{failure::Failure, project::Project};
use crate::{
    disk,
    store::{self, Entry, Slot},
    watch::{Fault, NodeSummary, Outcome, Watch},
};

/// The nodes of a run that ended, and how.
pub(super) struct History {
    /// Results so far, by node.
    pub results: Vec<Option<Entry>>,
    nodes: BTreeMap<usize, NodeSummary>,
    /// A stage's code is wrong.
    pub panicked: bool,
    /// Another run makes a result that is needed, and waiting was not wanted.
    pub busy: bool,
}

impl History {
    /// Of a run of which no node has ended, in a pipeline of so many.
    pub fn new(nodes: usize) -> Self {
        Self { results: vec![None; nodes], nodes: BTreeMap::new(), panicked: false, busy: false }
    }

    /// A node has ended; it is reported.
    pub fn ended(
        &mut self,
        project: &mut Project<'_>,
        watch: &mut dyn Watch,
        node: usize,
        mut summary: NodeSummary,
        result: Result<(Outcome, Box<Entry>), Failure>,
    ) {
        match result {
            Ok((outcome, entry)) => {
                if let Err(error) = project.store.forget_failure(&project.pipeline.file, &summary.stage) {
                    watch.note(&format!("the log of an earlier failure could not be removed: {error}"));
                }
                summary.outcome = outcome;
                summary.gates.clone_from(&entry.record.gates);
                self.results[node] = Some(*entry);
            }
            Err(failure @ (Failure::Skipped | Failure::Cancelled | Failure::Busy)) => {
                self.failed(&mut summary, failure);
            }
            Err(failure) => {
                // Any other message is a consequence of that.
                let moved = project.folder.expect_unmoved().err();
                self.failed(&mut summary, moved.map_or(failure, Failure::from));
            }
        }
        for note in project.notes.drain(..) {
            watch.note(&note);
        }
        watch.ended(&summary);
        self.nodes.insert(node, summary);
    }

    fn failed(&mut self, summary: &mut NodeSummary, failure: Failure) {
        match failure {
            Failure::Skipped => {}
            Failure::Cancelled => summary.outcome = Outcome::Cancelled,
            Failure::Busy => {
                self.busy = true;
                let message = "another run is making this result".to_owned();
                let help = vec!["leave out `--no-wait` to wait for it and take it".to_owned()];
                summary.fault = Some(Fault { message, help, ..Fault::default() });
            }
            Failure::Failed(fault) | Failure::Retryable(fault) => {
                summary.outcome = Outcome::Failed;
                summary.fault = Some(*fault);
            }
            Failure::Panicked(fault) => {
                self.panicked = true;
                summary.outcome = Outcome::Failed;
                summary.fault = Some(*fault);
            }
        }
    }

    /// Nodes whose results could not be recorded have failed after all.
    pub fn unrecorded(&mut self, nodes: &BTreeSet<usize>, error: StageError, watch: &mut dyn Watch) {
        let Failure::Failed(fault) = error.into() else { return };
        for node in nodes {
            let Some(summary) = self.nodes.get_mut(node) else { continue };
            summary.outcome = Outcome::Failed;
            summary.fault = Some((*fault).clone());
            watch.ended(summary);
        }
    }

    /// How all nodes ended, in the order of work.
    pub fn into_nodes(self) -> Vec<NodeSummary> {
        self.nodes.into_values().collect()
    }
}

/// Keeps the log of a failed attempt, and completes the failure by what was kept and what to do.
pub(super) fn keep_log(
    project: &Project<'_>,
    watch: &mut dyn Watch,
    node: usize,
    slot: &Slot,
    failure: Failure,
) -> Failure {
    /// The end of a log mostly says it; the rest is for `ner-pipe log`.
    const LAST_LINES: usize = 12;
    let (mut fault, panicked) = match failure {
        Failure::Failed(fault) | Failure::Retryable(fault) => (fault, false),
        Failure::Panicked(fault) => (fault, true),
        // There is nothing to explain.
        Failure::Skipped | Failure::Cancelled | Failure::Busy => return failure,
    };
    let id = project.pipeline.nodes[node].id.clone();
    fault.log = last_lines(&slot.log(), LAST_LINES);
    match project.pipeline.closure(&[node]).len() - 1 {
        0 => {}
        1 => fault.kept.push("the result of the stage before it".to_owned()),
        before => fault.kept.push(format!("the results of the {before} stages before it")),
    }
    let checkpoint = project.store.checkpoint(&slot.key());
    if fs::read_dir(&checkpoint).is_ok_and(|mut entries| entries.next().is_some()) {
        fault.kept.push("its checkpoint, from which the next run resumes".to_owned());
    }
    if fs::metadata(slot.log()).is_ok_and(|meta| meta.len() > 0) {
        let log = project.pipeline.typed(&format!("log {id}"));
        fault.help.push(format!("read its whole log: {log}"));
    }
    fault.help.push(format!("resume with: {}", project.pipeline.typed("run")));
    let when = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let why = std::iter::once(fault.message.clone()).chain(fault.causes.clone()).collect();
    let record = store::Failure { stage: id, key: slot.key(), why, when };
    if let Err(error) = project.store.record_failure(&project.pipeline.file, &record, &slot.log()) {
        watch.note(&format!("the log could not be kept: {error}"));
    }
    if panicked { Failure::Panicked(fault) } else { Failure::Failed(fault) }
}

/// A log may be as large as the disk.
fn last_lines(path: &Path, count: usize) -> Vec<String> {
    const MOST: u64 = 16 * 1024;
    let (end, whole) = disk::end_of(path, MOST).unwrap_or_default();
    let text = String::from_utf8_lossy(&end);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    if let Some(first) = lines.first_mut().filter(|_| !whole) {
        // It begins in the middle of a character, perhaps.
        *first = format!("..{}", first.trim_start_matches(char::REPLACEMENT_CHARACTER));
    }
    lines[lines.len().saturating_sub(count)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_read_and_not_the_log() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        fs::write(&path, "one\ntwo\nthree").expect("writes");
        assert_eq!(last_lines(&path, 2), ["two", "three"]);
        assert_eq!(last_lines(&path, 9), ["one", "two", "three"]);
        fs::write(&path, format!("{}\nlast\n", "é".repeat(1 << 20))).expect("writes");
        let lines = last_lines(&path, 9);
        assert!(
            lines.len() == 2 && lines[0].len() <= 16 * 1024 && lines[0].starts_with("..é"),
            "{}",
            lines[0].len()
        );
        assert_eq!(lines[1], "last");
        // A hole of a terabyte is on no disk, and would be in memory.
        fs::File::options().write(true).open(&path).and_then(|it| it.set_len(1 << 40)).expect("grows");
        assert_eq!(last_lines(&path, 9).len(), 1);
    }
}
