//! How one node is executed: in a child process (`ner-pipe exec-node <job.json>`), so that a crash, the
//! kernel's out-of-memory killer or a leak of GPU memory ends that stage and not the runner.
//!
//! The child's standard output carries [`Event`](stage_contract::Event)s, one JSON line each; its
//! standard error is the stage's log; its standard input is a pipe that only the runner holds, so that
//! its end tells the child that the runner died. What became of it stands in `answer.json`.

mod cancel;
mod command;
mod job;
mod local;
mod node;
mod strays;
mod usage;

pub use cancel::{Cancel, Patience};
pub use command::killed;
pub use job::{Answer, Job, Task, causes};
pub use local::{Limits, Local, Verdict};
pub use node::{UNHEARD, serve};
pub use usage::used_memory;
