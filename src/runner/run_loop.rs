//! A run under way. One thread, this one, knows the project and decides; [`Workers`] execute, wait for other
//! runs and let backoffs pass, and report by [`Message`]s.
//!
//! A node is checked when what it reads is there: its result may be in the cache. Else it is queued, and starts
//! when the [`Schedule`] allocates what it requests. It ends once, however that is.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use stage_contract::StageError;

use super::{
    attempt::Failed,
    failure::Failure,
    history::{History, keep_log},
    hydrate::Hydrate,
    lock_writer::LockWriter,
    options::RunOptions,
    pending::Pending,
    plan::{Plan, explain},
    prepare::Preparation,
    project::Project,
    reasons::told,
    schedule::{Allocation, Request, Schedule},
    workers::{Message, Workers},
};
use crate::{
    executor::CancelToken,
    fingerprint::Fingerprint,
    pipeline::Work,
    store::{Entry, Lookup, LookupError, Slot, WaitPolicy},
    watch::{NodeSummary, Outcome, Watch},
};

/// A run under way.
pub(super) struct RunLoop<'a, 'r> {
    project: &'a mut Project<'r>,
    options: &'a RunOptions,
    cancel: &'a CancelToken,
    watch: &'a mut dyn Watch,
    /// What was to be expected before it began.
    plan: Plan,
    schedule: Schedule,
    pending: BTreeMap<usize, Pending>,
    workers: Workers,
    history: History,
    lock: LockWriter,
}

/// What the cache has for a node.
enum Found {
    /// Its result, now published.
    Result(Outcome, Box<Entry>),
    /// Another node of this run is making it.
    Duplicate,
    /// Nothing.
    Nothing(Box<Fingerprint>, Request),
}

impl<'a, 'r> RunLoop<'a, 'r> {
    pub fn new(
        project: &'a mut Project<'r>,
        options: &'a RunOptions,
        cancel: &'a CancelToken,
        watch: &'a mut dyn Watch,
        plan: Plan,
    ) -> Self {
        let nodes = options.wanted.iter().map(|&node| (node, project.pipeline.upstream(node)));
        let schedule = Schedule::new(nodes, options.jobs(), project.capacity().totals.clone());
        let history = History::new(project.pipeline.nodes.len());
        let (pending, workers, lock) = (BTreeMap::new(), Workers::new(), LockWriter::new());
        Self { project, options, cancel, watch, plan, schedule, pending, workers, history, lock }
    }

    /// Goes through all nodes.
    pub fn run(mut self) -> History {
        loop {
            if let Some(node) = self.schedule.ready() {
                self.check(node);
            } else if self.cancel.is_cancelled() && self.cancel_queued() {
                // What follows from these is ready now.
            } else if let Some(allocation) = self.schedule.allocate() {
                self.start(&allocation);
            } else if self.workers.are_idle() {
                break;
            } else if let Some(message) = self.workers.next(self.lock.wait()) {
                self.receive(message);
            } else {
                self.lock.write_due(self.project);
            }
        }
        if let Err((nodes, error)) = self.lock.write_last(self.project) {
            self.history.unrecorded(&nodes, error, self.watch);
        }
        self.history
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Event(node, event) => {
                self.watch.event(&self.project.pipeline.nodes[node].id, &event);
            }
            Message::LookedUp(node, Ok(found)) => self.proceed(node, *found),
            Message::LookedUp(node, Err(error)) => self.end_pending(node, Err(error.into())),
            Message::BackedOff(node) if self.cancel.is_cancelled() => {
                self.end_pending(node, Err(Failure::Cancelled));
            }
            Message::BackedOff(node) => {
                if let Some(pending) = self.pending.get(&node) {
                    self.schedule.queue(node, pending.request.clone());
                }
            }
            Message::Attempted(node, Ok(entry)) => {
                let result = match self.hydrate().publish(node, &entry) {
                    Ok(Some(_)) => Ok((Outcome::Executed, entry)),
                    Ok(None) => Err(StageError::new("the result was damaged right after it was written")
                        .help("check the disk, then type `ner-pipe run`")
                        .into()),
                    Err(failure) => Err(failure),
                };
                self.end_pending(node, result);
            }
            Message::Attempted(node, Err(failed)) => self.attempt_failed(node, *failed),
        }
    }

    /// What a ready node reads is there: takes its result from the cache, or queues it.
    fn check(&mut self, node: usize) {
        let begun = Instant::now();
        let mut summary = NodeSummary::new(&self.project.pipeline.nodes[node].id);
        let result = match self.find(node, &mut summary) {
            Ok(Found::Duplicate) => return self.schedule.park(node),
            Ok(Found::Nothing(fingerprint, request)) => {
                self.schedule.queue(node, request.clone());
                self.pending.insert(node, Pending::new(begun, summary, *fingerprint, request));
                return;
            }
            Ok(Found::Result(outcome, entry)) => {
                summary.seconds = begun.elapsed().as_secs_f64();
                Ok((outcome, entry))
            }
            Err(failure) => Err(failure),
        };
        self.end(node, summary, result);
    }

    /// Looks into the cache, as far as that goes without the key's lock.
    fn find(&mut self, node: usize, summary: &mut NodeSummary) -> Result<Found, Failure> {
        let upstream = self.project.pipeline.upstream(node);
        if upstream.iter().any(|upstream| self.history.results[*upstream].is_none()) {
            return Err(Failure::Skipped);
        }
        if self.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let fingerprint = self.project.fingerprint(node, &self.history.results)?;
        let key = fingerprint.manifest.key();
        summary.key = Some(key);
        if self.pending.values().any(|pending| pending.key == key) {
            return Ok(Found::Duplicate);
        }
        let forced = self.options.forced.contains(&node);
        summary.reasons = told(&explain(self.project, node, &fingerprint, forced, &self.plan));
        if let Some(entry) = self.project.store.peek(&key).filter(|_| !forced)
            && let Some(outcome) = self.take(node, &entry)?
        {
            return Ok(Found::Result(outcome, Box::new(entry)));
        }
        Ok(Found::Nothing(Box::new(fingerprint), self.request(node)?))
    }

    fn request(&mut self, node: usize) -> Result<Request, Failure> {
        let devices = match &self.project.pipeline.nodes[node].work {
            Work::Stage { .. } => Some(self.project.devices().map_err(StageError::from)?),
            Work::Command { .. } => None,
        };
        let capacity = self.project.capacity();
        let request = capacity.request(&self.project.pipeline.nodes[node], devices.as_ref());
        match capacity.lacks(&request) {
            None => Ok(request),
            Some((name, wanted, total)) => {
                let problem = self.project.pipeline.exceeded(node, name, wanted, total);
                Err(StageError::new(problem.to_string()).into())
            }
        }
    }

    /// A queued node may execute.
    fn start(&mut self, allocation: &Allocation) {
        let node = allocation.node;
        let fingerprint = self.project.fingerprint(node, &self.history.results);
        let Some(pending) = self.pending.get_mut(&node) else { return self.schedule.release(node) };
        pending.gpus.clone_from(&allocation.gpus);
        if pending.failed == 0 {
            pending.begun = Instant::now();
        }
        match fingerprint {
            Err(problems) => self.end_pending(node, Err(problems.into())),
            // A file changed while it was queued: all over again.
            Ok(fingerprint) if fingerprint.manifest.key() != pending.key => {
                self.pending.remove(&node);
                self.schedule.release(node);
                self.check(node);
            }
            Ok(_) => match pending.slot.take() {
                Some(slot) => self.execute(node, slot),
                None => self.look_up(node),
            },
        }
    }

    /// Asks for a slot to make a node's result in.
    fn look_up(&mut self, node: usize) {
        let Some(key) = self.pending.get(&node).map(|pending| pending.key) else { return };
        let forced = self.options.forced.contains(&node);
        let store = self.project.store.clone();
        let find = move |policy: WaitPolicy<'_>| {
            if forced { store.reserve(&key, policy).map(Lookup::Miss) } else { store.lookup(&key, policy) }
        };
        match find(WaitPolicy { wait: false, cancelled: &|| false, waiting: &mut || {} }) {
            Ok(found) => self.proceed(node, found),
            Err(LookupError::Busy) if !self.options.no_wait => {
                let id = &self.project.pipeline.nodes[node].id;
                self.watch.note(&format!("{id}: waiting for another run that is making this result"));
                self.project.recheck = true;
                let cancel = self.cancel.clone();
                self.spawn(node, move || {
                    let cancelled = || cancel.is_cancelled();
                    let found = find(WaitPolicy { wait: true, cancelled: &cancelled, waiting: &mut || {} });
                    Message::LookedUp(node, found.map(Box::new))
                });
            }
            Err(error) => self.end_pending(node, Err(error.into())),
        }
    }

    /// Another run made the result meanwhile, or it is ours to make.
    fn proceed(&mut self, node: usize, found: Lookup) {
        match found {
            Lookup::Miss(slot) => self.execute(node, slot),
            Lookup::Hit(entry) => match self.take(node, &entry) {
                Ok(Some(outcome)) => self.end_pending(node, Ok((outcome, entry))),
                Ok(None) => self.look_up(node),
                Err(failure) => self.end_pending(node, Err(failure)),
            },
        }
    }

    fn execute(&mut self, node: usize, slot: Slot) {
        let Some(pending) = self.pending.get(&node) else { return };
        let mut hydrate = Hydrate { project: self.project, watch: self.watch, lock: &mut self.lock };
        if let Some(aside) = slot.damaged() {
            hydrate.note_damage(node, aside);
        }
        if pending.failed == 0 {
            hydrate.watch.started(&pending.summary.stage, &pending.summary.reasons);
        }
        let preparation = Preparation {
            node,
            fingerprint: &pending.fingerprint,
            gpus: &pending.gpus,
            results: &self.history.results,
            show_text: self.options.show_text,
            limit_memory: self.options.limit_memory,
        };
        let attempt = match preparation.attempt(&mut hydrate, slot) {
            Ok(attempt) => attempt,
            Err(failed) => return self.attempt_failed(node, *failed),
        };
        self.project.recheck = true;
        let (executor, cancel) = (self.project.executor.clone(), self.cancel.clone());
        let events = self.workers.events(node);
        self.spawn(node, move || Message::Attempted(node, attempt.make(executor.as_ref(), &cancel, events)));
    }

    /// An attempt failed: another one, or the end of the node.
    fn attempt_failed(&mut self, node: usize, Failed { slot, failure }: Failed) {
        let moved = self.project.folder.expect_unmoved().is_err();
        // Of a project that was moved no attempt will do better, and there is nowhere to keep its log.
        let Some(slot) = slot.filter(|_| !moved) else { return self.end_pending(node, Err(failure)) };
        self.hydrate().salvage(node, &slot);
        let scheduling = &self.project.pipeline.nodes[node].scheduling;
        let failed = self.pending.get(&node).map_or(0, |pending| pending.failed);
        let failure = match failure {
            Failure::Retryable(fault) if failed < scheduling.retries && !self.cancel.is_cancelled() => {
                let Some(pending) = self.pending.get_mut(&node) else { return };
                let wait = pending.back_off(scheduling, slot, &fault, self.watch);
                return self.back_off(node, wait);
            }
            Failure::Retryable(mut fault) if scheduling.retries > 0 => {
                fault.message =
                    format!("{} (attempt {} of {})", fault.message, failed + 1, scheduling.retries + 1);
                Failure::Retryable(fault)
            }
            failure => failure,
        };
        let failure = keep_log(self.project, self.watch, node, &slot, failure);
        self.end_pending(node, Err(failure));
    }

    /// Lets the backoff pass; what the node occupied is free meanwhile.
    fn back_off(&mut self, node: usize, wait: Duration) {
        /// How soon a cancellation is noticed.
        const POLL: Duration = Duration::from_millis(50);
        self.schedule.release(node);
        let cancel = self.cancel.clone();
        self.spawn(node, move || {
            let due = Instant::now() + wait;
            while !cancel.is_cancelled() && Instant::now() < due {
                thread::sleep(POLL.min(due.saturating_duration_since(Instant::now())));
            }
            Message::BackedOff(node)
        });
    }

    fn spawn(&mut self, node: usize, work: impl FnOnce() -> Message + Send + 'static) {
        if let Err(error) = self.workers.spawn(&self.project.pipeline.nodes[node].id, work) {
            self.end_pending(node, Err(error.into()));
        }
    }

    /// The user stopped the run: what is queued will not execute. Says whether there was something.
    fn cancel_queued(&mut self) -> bool {
        let queued = self.schedule.queued();
        for &node in &queued {
            self.end_pending(node, Err(Failure::Cancelled));
        }
        !queued.is_empty()
    }

    fn end_pending(&mut self, node: usize, result: Result<(Outcome, Box<Entry>), Failure>) {
        let Some(Pending { begun, mut summary, .. }) = self.pending.remove(&node) else { return };
        summary.seconds = begun.elapsed().as_secs_f64();
        self.end(node, summary, result);
    }

    fn end(&mut self, node: usize, summary: NodeSummary, result: Result<(Outcome, Box<Entry>), Failure>) {
        self.history.ended(self.project, self.watch, node, summary, result);
        self.schedule.done(node);
    }

    fn take(&mut self, node: usize, entry: &Entry) -> Result<Option<Outcome>, Failure> {
        let (wait, cancel) = (!self.options.no_wait, self.cancel);
        self.hydrate().take(node, entry, wait, cancel)
    }

    fn hydrate(&mut self) -> Hydrate<'_, 'r> {
        Hydrate { project: self.project, watch: self.watch, lock: &mut self.lock }
    }
}
