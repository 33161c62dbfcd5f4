//! How nodes end: with a result, without one, or after another attempt.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use stage_contract::StageError;

use super::{
    Loss,
    attempt::Failed,
    course::{Message, Pending, Run},
    perform::backoff,
};
use crate::{
    fingerprint::{file_name, observe},
    pipeline::Origin,
    store::{Entry, Slot},
    watch::{Ending, Fault, Outcome},
};

impl Run<'_, '_> {
    /// An attempt gave no result: another one, or the end of the node.
    pub(super) fn fail(&mut self, node: usize, Failed { slot, loss }: Failed) {
        let retries = self.project.pipeline.nodes[node].terms.retries;
        let failed = self.pending.get(&node).map_or(0, |pending| pending.failed);
        if self.project.home.expect_here().is_err() {
            // No attempt of that will do better, and there is nowhere to keep its log.
            return self.lose(node, loss);
        }
        if let Some(slot) = &slot {
            self.rescue(node, slot);
        }
        match (slot, loss) {
            (Some(slot), Loss::Process(fault)) if failed < retries && !self.cancel.is_asked() => {
                self.rest(node, slot, &fault);
            }
            (Some(slot), Loss::Process(mut fault)) => {
                if retries > 0 {
                    fault.message = format!("{} (attempt {} of {})", fault.message, failed + 1, retries + 1);
                }
                let loss = self.explain(node, &slot, Loss::Process(fault));
                self.lose(node, loss);
            }
            (Some(slot), loss) => {
                let loss = self.explain(node, &slot, loss);
                self.lose(node, loss);
            }
            (None, loss) => self.lose(node, loss),
        }
    }

    /// A command that moves its source (`mv {data} {out}`) put the user's only copy into the slot, which goes.
    fn rescue(&mut self, node: usize, slot: &Slot) {
        let pipeline = &self.project.pipeline;
        let sources = pipeline.nodes[node].inputs.iter().filter_map(|wire| match wire.from {
            Origin::Source(source) => Some(&pipeline.sources[source].path),
            Origin::Output { .. } => None,
        });
        let is_gone = |path: &&PathBuf| {
            fs::symlink_metadata(pipeline.root.join(path)).is_err_and(|e| e.kind() == ErrorKind::NotFound)
        };
        let Some(gone) = sources.into_iter().find(is_gone) else { return };
        for out in &pipeline.nodes[node].outputs {
            let Ok(path) = slot.output(&out.name, &file_name(&out.published)) else { continue };
            if fs::symlink_metadata(&path).is_err() {
                continue;
            }
            let digest = observe(&path).ok().map(|seen| seen.digest);
            let kept = match self.project.store.displace(&path, digest) {
                Ok(home) => format!("what that wrote to `{}` is now {}", out.name, self.shown(&home)),
                Err(error) => error.to_string(),
            };
            let (id, gone) = (&pipeline.nodes[node].id, gone.display());
            self.watch.note(&format!("{id}: {gone} is gone since the stage ran; {kept}"));
        }
    }

    /// Lets the backoff pass; what the node occupied is free meanwhile.
    fn rest(&mut self, node: usize, slot: Slot, fault: &Fault) {
        /// How soon a wish to stop is noticed.
        const POLL: Duration = Duration::from_millis(50);
        let terms = &self.project.pipeline.nodes[node].terms;
        let Some(pending) = self.pending.get_mut(&node) else { return };
        pending.failed += 1;
        let wait = backoff(terms.backoff, pending.failed);
        let said = format!(
            "attempt {} of {} failed: {}; the next one begins in {}",
            pending.failed,
            terms.retries + 1,
            fault.message,
            humantime::format_duration(wait),
        );
        self.watch.note(&format!("{}: {said}", pending.ending.stage));
        if let Err(error) = slot.open_log().and_then(|mut log| {
            writeln!(log, "ner-pipe: {said}").map_err(|e| StageError::io("write", &slot.log(), e))
        }) {
            self.watch.note(&format!("the log could not be kept: {error}"));
        }
        pending.slot = Some(slot);
        self.schedule.release(node);
        let cancel = self.cancel.clone();
        self.spawn(node, move |_| {
            let due = Instant::now() + wait;
            while !cancel.is_asked() && Instant::now() < due {
                thread::sleep(POLL.min(due.saturating_duration_since(Instant::now())));
            }
            Message::Rested(node)
        });
    }

    pub(super) fn win(&mut self, node: usize, outcome: Outcome, entry: Entry) {
        if let Some(Pending { ending, .. }) = self.close(node) {
            self.end_won(node, ending, outcome, entry);
        }
    }

    pub(super) fn lose(&mut self, node: usize, loss: Loss) {
        if let Some(Pending { ending, .. }) = self.close(node) {
            self.end_lost(node, ending, loss);
        }
    }

    fn close(&mut self, node: usize) -> Option<Pending> {
        let mut pending = self.pending.remove(&node)?;
        self.makers.remove(&pending.key);
        pending.ending.seconds = pending.begun.elapsed().as_secs_f64();
        Some(pending)
    }

    pub(super) fn end_won(&mut self, node: usize, mut ending: Ending, outcome: Outcome, entry: Entry) {
        let file = &self.project.pipeline.file;
        if let Err(error) = self.project.store.forget_failure(file, &ending.stage) {
            self.watch.note(&format!("an old log stays: {error}"));
        }
        ending.outcome = outcome;
        ending.gates.clone_from(&entry.record.gates);
        self.results[node] = Some(entry);
        self.end(node, ending);
    }

    pub(super) fn end_lost(&mut self, node: usize, mut ending: Ending, loss: Loss) {
        let loss = match (loss, self.project.home.expect_here()) {
            // Whatever else is told follows from that.
            (Loss::Fault(_) | Loss::Process(_) | Loss::Panicked(_), Err(moved)) => moved.into(),
            (loss, _) => loss,
        };
        match loss {
            Loss::Cancelled => ending.outcome = Outcome::Cancelled,
            Loss::Busy => {
                self.busy = true;
                let message = "another run is making this result".to_owned();
                let help = vec!["leave out `--no-wait` to wait for it and take it".to_owned()];
                ending.fault = Some(Fault { message, help, ..Fault::default() });
            }
            Loss::Fault(fault) | Loss::Process(fault) => {
                ending.outcome = Outcome::Failed;
                ending.fault = Some(*fault);
            }
            Loss::Panicked(fault) => {
                self.panicked = true;
                ending.outcome = Outcome::Failed;
                ending.fault = Some(*fault);
            }
        }
        self.end(node, ending);
    }

    pub(super) fn end(&mut self, node: usize, ending: Ending) {
        for note in self.project.notes.drain(..) {
            self.watch.note(&note);
        }
        if self.results[node].is_none() {
            self.lost.insert(node);
        }
        self.watch.ended(&ending);
        self.endings.insert(node, ending);
        self.schedule.done(node);
        for twin in std::mem::take(&mut self.twins) {
            self.schedule.put_back(twin);
        }
    }
}
