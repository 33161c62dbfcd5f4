//! What the readers of a model folder tell whoever loads one is part of what an audit finds.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use encoder::config::Contradiction;

/// Does what reads a model, and gives what was said on the way.
pub(super) fn listening<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let value = tracing::subscriber::with_default(Listener(Arc::clone(&said)), work);
    let said = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
    (value, said)
}

struct Listener(Arc<Mutex<Vec<String>>>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // That one has a finding of its own.
        *metadata.level() <= Level::INFO && metadata.name() != Contradiction::SAID
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_while_something_is_read_is_kept_and_what_is_said_for_developers_is_not() {
        let (value, said) = listening(|| {
            tracing::info!("the token `{}` is left out", "<x>");
            tracing::debug!("twice");
            7
        });
        assert_eq!((value, said), (7, vec!["the token `<x>` is left out".to_owned()]));
    }
}
