//! Threads to compute on. A process that forks leaves them behind: the child makes its own.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Error;

/// By number of threads; 0 = one for each core. Locked only by threads that hold the GIL, so that no fork finds it locked.
static POOLS: Mutex<BTreeMap<usize, Arc<ThreadPool>>> = Mutex::new(BTreeMap::new());

/// So many threads, the same for every caller that wants as many.
///
/// # Errors
/// The system gives no more threads.
pub fn of(threads: usize) -> PyResult<Arc<ThreadPool>> {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("ner-pipe {index}"))
        .build()
        .map_err(|e| Error::new_err(format!("cannot start threads: {e}; ask for fewer with `threads=1`")))?;
    let pool = Arc::new(pool);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}

/// Leaves all threads behind, in the child of a fork, where they are not.
#[pyfunction]
pub fn forget() {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    // To end them would be to wait for threads that are not there.
    mem::forget(mem::take(&mut *pools));
}
