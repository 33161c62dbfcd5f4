use std::sync::Arc;

use super::{Executor, Local};

/// Makes an executor.
pub type Open = fn() -> Arc<dyn Executor>;

/// Every executor by its name, the default one first.
pub const EXECUTORS: [(&str, Open); 1] = [("local", || Arc::new(Local::new()))];

/// The one that is used when none is chosen.
#[must_use]
pub fn default_executor() -> Arc<dyn Executor> {
    EXECUTORS[0].1()
}
