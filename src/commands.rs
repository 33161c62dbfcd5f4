//! One file per subcommand: its arguments, and what it does with them. What they share: the exit codes (`exit`), options
//! (`options`), stages that are named (`targets`), writing (`output`).

pub mod accept;
pub mod clean;
pub mod completions;
pub mod diff;
pub mod exec_node;
mod exit;
pub mod gc;
pub mod init;
pub mod lock;
pub mod log;
pub mod man;
pub mod metrics;
mod options;
mod output;
pub mod report;
pub mod run;
pub mod schema;
pub mod stages;
pub mod status;
mod targets;
pub mod verify;
pub mod why;

pub use exit::Exit;
pub use options::{Machine, PipelineFile, Setting, working_folder};
pub use output::print;
