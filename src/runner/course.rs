//! A run under way. One thread, this one, knows the project and decides; threads of their own execute
//! ([`super::attempt`]), wait for another run, or let a backoff pass, and tell by [`Message`]s.
//!
//! A node is settled when what it reads is there: its result may be in the cache. Else it is queued,
//! and begins when the [`Schedule`] grants it what it needs. It ends once, however that is.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Instant,
};

use stage_contract::{Event, StageError};

use super::{
    Loss, Order, Project, Survey,
    attempt::{Attempt, Failed},
    capacity::Capacity,
    reasons::told,
    recording::Unwritten,
    schedule::{Grant, Need, Schedule},
    survey,
};
use crate::{
    executor::{Cancel, Executor},
    fingerprint::{Fingerprint, Key},
    pipeline::Work,
    store::{Entry, Lookup, LookupError, Patience, Slot},
    watch::{Ending, Fault, Outcome, Watch},
};

/// What another thread has to say about a node.
pub(super) enum Message {
    /// Its stage says something.
    Event(usize, Event),
    /// The other run that was making its result no longer does.
    Found(usize, Result<Box<Lookup>, LookupError>),
    /// Its backoff is over.
    Rested(usize),
    /// An attempt to execute it is over.
    Done(usize, Result<Box<Entry>, Box<Failed>>),
}

/// A node that has to execute and has not ended.
pub(super) struct Pending {
    pub(super) begun: Instant,
    pub(super) ending: Ending,
    pub(super) fingerprint: Fingerprint,
    pub(super) key: Key,
    pub(super) need: Need,
    pub(super) gpus: Vec<u64>,
    /// Attempts that failed.
    pub(super) failed: u32,
    /// Between two attempts: the log is in it.
    pub(super) slot: Option<Slot>,
}

/// A run under way.
pub(super) struct Run<'a, 'r> {
    pub(super) project: &'a mut Project<'r>,
    pub(super) order: &'a Order,
    pub(super) watch: &'a mut dyn Watch,
    pub(super) capacity: Capacity,
    /// Results so far, by node.
    pub(super) results: Vec<Option<Entry>>,
    pub(super) cancel: &'a Cancel,
    pub(super) expected: Survey,
    pub(super) schedule: Schedule,
    pub(super) pending: BTreeMap<usize, Pending>,
    /// Who makes the result of a key: another node of this run with the same key takes it from there.
    pub(super) makers: BTreeMap<Key, usize>,
    /// Nodes that wait for such a result.
    pub(super) twins: BTreeSet<usize>,
    pub(super) endings: BTreeMap<usize, Ending>,
    pub(super) unwritten: Unwritten,
    /// Nodes without a result.
    pub(super) lost: BTreeSet<usize>,
    /// Whether time goes by since files were hashed: a stage executes, or another run was waited for.
    pub(super) executed: bool,
    pub(super) panicked: bool,
    pub(super) busy: bool,
    pub(super) sender: Sender<Message>,
    pub(super) messages: Receiver<Message>,
    /// Threads that will still send their last message.
    pub(super) threads: usize,
}

/// How all nodes ended, in the order of work.
pub(super) struct Course {
    pub endings: Vec<Ending>,
    pub panicked: bool,
    pub busy: bool,
}

impl<'a, 'r> Run<'a, 'r> {
    pub(super) fn new(
        project: &'a mut Project<'r>,
        order: &'a Order,
        cancel: &'a Cancel,
        watch: &'a mut dyn Watch,
        expected: Survey,
    ) -> Self {
        let capacity = project.capacity();
        let nodes = order.wanted.iter().map(|&node| (node, project.pipeline.upstream(node)));
        let schedule = Schedule::new(nodes, order.jobs(), capacity.totals.clone());
        let (sender, messages) = channel();
        Self {
            results: vec![None; project.pipeline.nodes.len()],
            project,
            order,
            watch,
            capacity,
            cancel,
            expected,
            schedule,
            pending: BTreeMap::new(),
            makers: BTreeMap::new(),
            twins: BTreeSet::new(),
            endings: BTreeMap::new(),
            unwritten: Unwritten::new(),
            lost: BTreeSet::new(),
            executed: false,
            panicked: false,
            busy: false,
            sender,
            messages,
            threads: 0,
        }
    }

    /// Goes through all nodes.
    pub(super) fn finish(mut self) -> Course {
        loop {
            if let Some(node) = self.schedule.ready() {
                self.settle(node);
            } else if self.cancel.is_asked() && self.drop_queue() {
                // What follows from these is ready now.
            } else if let Some(grant) = self.schedule.grant() {
                self.begin(&grant);
            } else if self.threads == 0 {
                break;
            } else if let Some(message) = self.next_message() {
                self.receive(message);
            }
        }
        self.write_last();
        Course { endings: self.endings.into_values().collect(), panicked: self.panicked, busy: self.busy }
    }

    fn receive(&mut self, message: Message) {
        if let Message::Event(node, event) = message {
            return self.watch.event(&self.project.pipeline.nodes[node].id, &event);
        }
        self.threads -= 1;
        match message {
            Message::Event(..) => {}
            Message::Found(node, found) => match found {
                Ok(found) => self.go_on(node, *found),
                Err(error) => self.lose(node, error.into()),
            },
            Message::Rested(node) if self.cancel.is_asked() => self.lose(node, Loss::Cancelled),
            Message::Rested(node) => {
                if let Some(pending) = self.pending.get(&node) {
                    self.schedule.queue(node, pending.need.clone());
                }
            }
            Message::Done(node, Ok(entry)) => match self.place(node, &entry) {
                Ok(Some(_)) => self.win(node, Outcome::Executed, *entry),
                Ok(None) => self.lose(
                    node,
                    StageError::new("the result was damaged right after it was written")
                        .help("check the disk, then type `ner-pipe run`")
                        .into(),
                ),
                Err(loss) => self.lose(node, loss),
            },
            Message::Done(node, Err(failed)) => self.fail(node, *failed),
        }
    }

    /// What a ready node reads is there: takes its result from the cache, or queues it.
    fn settle(&mut self, node: usize) {
        let mut pending = match self.look(node) {
            Ok(Some(pending)) => pending,
            // Ended, or waits for its twin.
            Ok(None) => return,
            Err((ending, loss)) => return self.end_lost(node, *ending, loss),
        };
        match self.need(node) {
            Ok(need) => pending.need = need,
            Err(loss) => return self.end_lost(node, pending.ending, loss),
        }
        self.makers.insert(pending.key, node);
        self.schedule.queue(node, pending.need.clone());
        self.pending.insert(node, pending);
    }

    /// A node that has to execute, as far as that can be told without the right to make its result.
    fn look(&mut self, node: usize) -> Result<Option<Pending>, (Box<Ending>, Loss)> {
        let begun = Instant::now();
        let mut ending = Ending::new(&self.project.pipeline.nodes[node].id);
        if self.project.pipeline.upstream(node).iter().any(|upstream| self.lost.contains(upstream)) {
            self.end(node, ending);
            return Ok(None);
        }
        if self.cancel.is_asked() {
            return Err((Box::new(ending), Loss::Cancelled));
        }
        let fingerprint = match self.fingerprint(node) {
            Ok(fingerprint) => fingerprint,
            Err(loss) => return Err((Box::new(ending), loss)),
        };
        let key = fingerprint.manifest.key();
        ending.key = Some(key);
        if self.makers.contains_key(&key) {
            self.twins.insert(node);
            return Ok(None);
        }
        let forced = self.order.forced.contains(&node);
        ending.reasons = told(&survey::explain(self.project, node, &fingerprint, forced, &self.expected));
        if let Some(entry) = self.project.store.peek(&key).filter(|_| !forced) {
            match self.take(node, &entry) {
                Ok(Some(outcome)) => {
                    ending.seconds = begun.elapsed().as_secs_f64();
                    self.end_won(node, ending, outcome, entry);
                    return Ok(None);
                }
                Ok(None) => {}
                Err(loss) => return Err((Box::new(ending), loss)),
            }
        }
        let (need, gpus, failed, slot) = (Need::default(), Vec::new(), 0, None);
        Ok(Some(Pending { begun, ending, fingerprint, key, need, gpus, failed, slot }))
    }

    fn need(&mut self, node: usize) -> Result<Need, Loss> {
        let devices = match &self.project.pipeline.nodes[node].work {
            Work::Stage { .. } => Some(self.project.devices().map_err(StageError::from)?),
            Work::Command { .. } => None,
        };
        let need = self.capacity.need(&self.project.pipeline.nodes[node], devices.as_ref());
        match self.capacity.lacks(&need) {
            None => Ok(need),
            Some((name, wanted, total)) => {
                let problem = self.project.pipeline.exceeded(node, name, wanted, total);
                Err(StageError::new(problem.to_string()).into())
            }
        }
    }

    /// A queued node may execute.
    fn begin(&mut self, grant: &Grant) {
        let node = grant.node;
        let fingerprint = self.fingerprint(node);
        let Some(pending) = self.pending.get_mut(&node) else { return self.schedule.release(node) };
        pending.gpus.clone_from(&grant.gpus);
        if pending.failed == 0 {
            pending.begun = Instant::now();
        }
        match fingerprint {
            Err(loss) => self.lose(node, loss),
            // A file changed while it was queued: all over again.
            Ok(fingerprint) if fingerprint.manifest.key() != pending.key => {
                if let Some(pending) = self.pending.remove(&node) {
                    self.makers.remove(&pending.key);
                }
                self.schedule.release(node);
                self.settle(node);
            }
            Ok(_) => match pending.slot.take() {
                Some(slot) => self.execute(node, slot),
                None => self.look_up(node),
            },
        }
    }

    /// Asks for the right to make a node's result.
    fn look_up(&mut self, node: usize) {
        let Some(key) = self.pending.get(&node).map(|pending| pending.key) else { return };
        let forced = self.order.forced.contains(&node);
        let store = self.project.store.clone();
        let find = move |patience: Patience<'_>| {
            if forced { store.renew(&key, patience).map(Lookup::Miss) } else { store.lookup(&key, patience) }
        };
        match find(Patience { wait: false, cancelled: &|| false, waiting: &mut || {} }) {
            Ok(found) => self.go_on(node, found),
            Err(LookupError::Busy) if !self.order.no_wait => {
                let id = &self.project.pipeline.nodes[node].id;
                self.watch.note(&format!("{id}: waiting for another run that is making this result"));
                self.executed = true;
                let cancel = self.cancel.clone();
                self.spawn(node, move |_| {
                    let cancelled = || cancel.is_asked();
                    let found = find(Patience { wait: true, cancelled: &cancelled, waiting: &mut || {} });
                    Message::Found(node, found.map(Box::new))
                });
            }
            Err(error) => self.lose(node, error.into()),
        }
    }

    /// Another run made the result meanwhile, or it is ours to make.
    fn go_on(&mut self, node: usize, found: Lookup) {
        match found {
            Lookup::Miss(slot) => self.execute(node, slot),
            Lookup::Hit(entry) => match self.take(node, &entry) {
                Ok(Some(outcome)) => self.win(node, outcome, *entry),
                Ok(None) => self.look_up(node),
                Err(loss) => self.lose(node, loss),
            },
        }
    }

    fn execute(&mut self, node: usize, slot: Slot) {
        let Some(pending) = self.pending.get(&node) else { return };
        let (fingerprint, gpus) = (pending.fingerprint.clone(), pending.gpus.clone());
        if let Some(aside) = slot.damaged() {
            self.watch.note(&self.damaged(&pending.ending.stage, aside));
        }
        if pending.failed == 0 {
            self.watch.started(&pending.ending.stage, &pending.ending.reasons);
        }
        let attempt = match self.attempt(node, &fingerprint, &gpus, slot) {
            Ok(attempt) => attempt,
            Err(failed) => return self.fail(node, *failed),
        };
        self.executed = true;
        let (executor, cancel) = (self.project.executor.clone(), self.cancel.clone());
        self.spawn(node, move |sender| {
            Message::Done(node, run_guarded(attempt, executor.as_ref(), &cancel, node, sender))
        });
    }

    /// A thread whose last message is what `work` returns.
    pub(super) fn spawn(
        &mut self,
        node: usize,
        work: impl FnOnce(&Sender<Message>) -> Message + Send + 'static,
    ) {
        let sender = self.sender.clone();
        let named = thread::Builder::new().name(self.project.pipeline.nodes[node].id.clone());
        // The receiver lives as long as the run does, and the run waits for every thread.
        match named.spawn(move || drop(sender.send(work(&sender)))) {
            Ok(_) => self.threads += 1,
            Err(error) => self.lose(node, StageError::because("cannot start a thread", error).into()),
        }
    }

    /// The user stopped the run: what is queued will not execute. Says whether there was something.
    fn drop_queue(&mut self) -> bool {
        let queued = self.schedule.queued();
        for &node in &queued {
            self.lose(node, Loss::Cancelled);
        }
        !queued.is_empty()
    }
}

/// A fault of ours in a thread must not leave the run waiting for it.
fn run_guarded(
    attempt: Attempt,
    executor: &dyn Executor,
    cancel: &Cancel,
    node: usize,
    sender: &Sender<Message>,
) -> Result<Box<Entry>, Box<Failed>> {
    let tell = |event| drop(sender.send(Message::Event(node, event)));
    catch_unwind(AssertUnwindSafe(|| attempt.make(executor, cancel, tell))).unwrap_or_else(|_| {
        let message = "ner-pipe itself failed while it executed the stage".to_owned();
        let help = vec!["this is an internal error of ner-pipe: please report it".to_owned()];
        let fault = Box::new(Fault { message, help, ..Fault::default() });
        Err(Box::new(Failed { slot: None, loss: Loss::Panicked(fault) }))
    })
}
