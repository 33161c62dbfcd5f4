//! The model in use, and how another takes its place.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use schemars::JsonSchema;
use serde::Serialize;
use stage_contract::{Invalid, StageError};

use crate::tagger::{About, Open, Tagger};

/// A model that was opened.
#[derive(Clone)]
pub struct Loaded {
    pub tagger: Arc<dyn Tagger>,
    pub about: About,
}

/// Why a reload failed; the model before it is still in use.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FailedReload {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

#[derive(Default)]
struct Current {
    loaded: Option<Loaded>,
    failed: Option<FailedReload>,
}

/// The model in use.
pub struct Model {
    open: Arc<Open>,
    current: RwLock<Current>,
}

impl Model {
    pub fn new(open: Arc<Open>) -> Self {
        Self { open, current: RwLock::default() }
    }

    /// Opens the model, and puts it in the place of the one before. Batches under way end with that.
    ///
    /// # Errors
    /// It cannot be opened; the one before stays.
    pub fn load(&self) -> Result<About, StageError> {
        let opened = guarded(|| {
            let tagger = (self.open)()?;
            let about = tagger.about();
            Ok(Loaded { tagger, about })
        });
        let opened =
            opened.unwrap_or_else(|Panicked| Err(StageError::new("the model panicked as it was opened")));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(loaded) => {
                let about = loaded.about.clone();
                *current = Current { loaded: Some(loaded), failed: None };
                Ok(about)
            }
            Err(error) => {
                let Invalid { message, help, .. } = Invalid::of(&error);
                current.failed = Some(FailedReload { message, help });
                Err(error)
            }
        }
    }

    /// None before the first load.
    pub fn current(&self) -> Option<Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).loaded.clone()
    }

    /// Why the last reload failed, if it did.
    pub fn failed_reload(&self) -> Option<FailedReload> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).failed.clone()
    }
}

/// A model's own code panicked.
#[derive(Debug)]
pub struct Panicked;

/// Runs a model's own code. What it panics with is dropped: Rust's own words about a string quote it.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}
