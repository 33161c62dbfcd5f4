//! The runner: it knows graphs, keys and folders, and no tensor. This is the path of `ner-pipe run`, in
//! order; each module uses only those before it.
//!
//! Before all of them come [`failpoint`], the points at which a test can stop the runner; [`secrets`], what looks like one
//! and is shown to nobody; [`disk`], files opened without waiting and removed to any depth; [`threads`], or an error that
//! says why there is none.
//!
//! 1. [`problem`] what is wrong in a pipeline file, where, and what to do.
//! 2. [`manifest`] the file's text, parsed, with all spans kept.
//! 3. [`pipeline`] the text understood: sources, nodes, wires, in the order of work.
//! 4. [`fingerprint`] everything that a node's result depends on, and its hash: the key.
//! 5. [`store`] `cache/`: a key finds a result (hit) or a slot to make it in (miss).
//! 6. [`lock`] `pipeline.lock`: the committed record of the last good state.
//! 7. [`revision`] the lock as a git revision has it.
//! 8. [`publish`] `artifacts/` from the cache, verified.
//! 9. [`executor`] one node, as a job: a child process of this machine.
//! 10. [`watch`] progress and results of a run, for people and programs.
//! 11. [`runner`] plan, schedule, attempt, hydrate, record: node after node.
//! 12. [`page`] the results, as HTML.
//! 13. [`commands`] one file per subcommand.
//! 14. [`cli`] the command line.

pub mod failpoint;

pub mod secrets;

pub mod disk;

pub mod threads;

pub mod problem;

pub mod manifest;

pub mod pipeline;

pub mod fingerprint;

pub mod store;

pub mod lock;

pub mod revision;

pub mod publish;

pub mod executor;

pub mod watch;

pub mod runner;

pub mod page;

pub mod commands;

pub mod cli;

use stage_contract::{Build, Device, DeviceRequest, Invalid, Registry};

/// The registry of a build without the machine learning (`--no-default-features`): the stage `command` alone.
#[must_use]
pub fn without_ml() -> Registry {
    let device = |request| match request {
        DeviceRequest::Exactly(devices) if devices.first != Device::CPU => {
            Err(Invalid::new(format!("this build has no {}", devices.first)).help("write `--device cpu`"))
        }
        _ => Ok((Device::CPU.into(), None)),
    };
    Registry::new(Build { code: &[], compiler: "", device })
        .elsewhere("build with the default features: `cargo build --release`")
}
