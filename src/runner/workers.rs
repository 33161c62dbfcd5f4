use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use stage_contract::{Event, StageError};

use super::attempt::Failed;
use crate::{
    store::{Entry, Lookup, LookupError},
    threads,
};

/// What a thread reports about a node.
pub(super) enum Message {
    /// Its stage says something.
    Event(usize, Event),
    /// The other run that was making its result no longer does.
    LookedUp(usize, Result<Box<Lookup>, LookupError>),
    /// Its backoff is over.
    BackedOff(usize),
    /// An attempt to execute it is over.
    Attempted(usize, Result<Box<Entry>, Box<Failed>>),
}

/// The threads that execute nodes, wait for other runs, or let a backoff pass.
pub(super) struct Workers {
    sender: Sender<Message>,
    messages: Receiver<Message>,
    /// Those that will still send their last message.
    busy: usize,
}

impl Workers {
    pub fn new() -> Self {
        let (sender, messages) = channel();
        Self { sender, messages, busy: 0 }
    }

    /// A thread whose last message is what `work` returns.
    pub fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Message + Send + 'static,
    ) -> Result<(), StageError> {
        let sender = self.sender.clone();
        // The receiver lives as long as the run does, and the run waits for every thread.
        threads::spawn(name, move || drop(sender.send(work())))?;
        self.busy += 1;
        Ok(())
    }

    /// Takes what a node's stage says.
    pub fn events(&self, node: usize) -> impl FnMut(Event) + Send + use<> {
        let sender = self.sender.clone();
        move |event| drop(sender.send(Message::Event(node, event)))
    }

    /// The next message; none when there is none within `wait`.
    pub fn next(&mut self, wait: Option<Duration>) -> Option<Message> {
        let message = match wait {
            Some(wait) => self.messages.recv_timeout(wait).ok(),
            None => self.messages.recv().ok(),
        };
        if message.as_ref().is_some_and(|message| !matches!(message, Message::Event(..))) {
            self.busy -= 1;
        }
        message
    }

    /// Whether no message will come.
    pub fn are_idle(&self) -> bool {
        self.busy == 0
    }
}
