//! What concerns the whole process: its signals, and what its panics say.

use std::{panic, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use stage_contract::StageError;

use crate::server::Control;

/// Lets signals control a server: SIGHUP reloads, Ctrl-C and SIGTERM stop, and the second time at once.
///
/// # Errors
/// The system refuses a handler.
pub fn obey(control: Control) -> Result<(), StageError> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])
        .map_err(|e| StageError::because("cannot listen to signals", e))?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGHUP { control.reload() } else { control.stop() }
        }
    });
    Ok(())
}

/// Logs where a panic was and not what it says, which may quote a text.
pub fn keep_panics_quiet() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map_or_else(|| "an unknown location".to_owned(), ToString::to_string);
        tracing::error!("panicked at {location}");
    }));
}
