//! A context for tests of stages.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use serde_json::Value;

use crate::{Context, Device, Event, Sink};

/// Hears nothing.
pub struct Quiet;

impl Sink for Quiet {
    fn send(&self, _event: Event) {}
}

/// On one thread of the CPU, with seed 1, nothing wired and nobody listening: what a test needs beside it, it says.
///
/// `Context { inputs: &inputs, outputs: &outputs, ..context() }`
#[must_use]
pub fn context() -> Context<'static> {
    static NOTHING: BTreeMap<String, PathBuf> = BTreeMap::new();
    static UNSAID: BTreeMap<String, Value> = BTreeMap::new();
    static GO_ON: AtomicBool = AtomicBool::new(false);
    Context {
        inputs: &NOTHING,
        options: &UNSAID,
        outputs: &NOTHING,
        checkpoint: Path::new("unused"),
        seed: 1,
        device: Device::CPU,
        further: &[],
        threads: 1,
        show_text: false,
        cancelled: &GO_ON,
        sink: &Quiet,
        measures: false,
    }
}
