//! Node after node: fingerprint, look up, execute, commit, publish, record.
//!
//! [`plan()`] looks at everything before the first stage runs; [`run()`] then goes through the nodes in the order of
//! work, several at once where they fit. Nodes downstream of one that has no result are skipped; the others
//! still run. Each step has its role:
//!
//! - [`Plan`]: what is to be done, and why.
//! - `Schedule`: what may start now. It is pure.
//! - `Hydrate`: takes a result out of the cache, into artifacts and the lock file.
//! - `Attempt`: one execution, in a thread of its own; `Pending` counts those of a node.
//! - `History`: how each node ended; `LockWriter`: what the lock file does not say yet.
//! - `RunLoop` joins them.

mod accept;
mod attempt;
mod capacity;
mod destinations;
mod failure;
mod folder;
mod history;
mod hydrate;
mod lengths;
mod lock_writer;
mod options;
mod pending;
mod places;
mod plan;
mod preflight;
mod prepare;
mod project;
mod reasons;
mod rerun;
mod resolve;
mod run;
mod run_loop;
mod schedule;
mod sources;
mod stop;
mod workers;

pub use accept::{Accepted, accept, acceptable};
pub use capacity::Capacity;
pub use destinations::expect_free_destinations;
pub use options::RunOptions;
pub use places::pinned;
pub use plan::{Next, Plan, PlannedNode, State, plan};
pub use preflight::{inspect, preflight};
pub use project::{MachineOptions, Project};
pub use reasons::{Reason, told};
pub use rerun::{Comparison, rerun};
pub use resolve::{Resolution, Side, resolve};
pub use run::{Finished, run};
pub use schedule::Request;
pub use sources::{Download, Unheard, downloads, newest, record, remote_sources};
pub use stop::Stop;
