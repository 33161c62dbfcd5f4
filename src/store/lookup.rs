//! What a key finds: the result, or a slot to make it in.

use std::{io::ErrorKind, thread, time::Duration};

use stage_contract::StageError;

use super::{Entry, Flock, Slot, Store};
use crate::{
    failpoint::{Point, reach},
    fingerprint::Key,
};

/// What a key finds.
pub enum Lookup {
    /// The result.
    Hit(Box<Entry>),
    /// None; this is where it is to be made.
    Miss(Slot),
}

/// What to do while another run makes the same result.
pub struct WaitPolicy<'a> {
    /// False: do not wait.
    pub wait: bool,
    /// Whether the user asked to stop.
    pub cancelled: &'a dyn Fn() -> bool,
    /// Called once when waiting begins.
    pub waiting: &'a mut dyn FnMut(),
}

/// Why a lookup failed.
#[derive(Debug)]
pub enum LookupError {
    /// Another run makes this result, and waiting was not wanted.
    Busy,
    /// Something failed, or the user stopped waiting.
    Failed(StageError),
}

impl From<StageError> for LookupError {
    fn from(error: StageError) -> Self {
        Self::Failed(error)
    }
}

impl Store {
    /// The result of a key, from here or the remote store, or a slot to make it in: then other runs wait.
    ///
    /// # Errors
    /// When another run makes it and `policy` does not wait or was cancelled, or the disk refuses.
    pub fn lookup(&self, key: &Key, mut policy: WaitPolicy<'_>) -> Result<Lookup, LookupError> {
        if let Some(entry) = self.peek(key) {
            return Ok(Lookup::Hit(Box::new(entry)));
        }
        let lock = self.lock_key(key, &mut policy)?;
        let home = self.entry_folder(key);
        // Whoever held the lock may have committed meanwhile.
        let damaged = match Entry::read(&home) {
            Ok(entry) => return Ok(Lookup::Hit(Box::new(entry))),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let error = StageError::io("read", &home, error);
                return Err(error.help("make `cache/` readable: `chmod -R u+rwX cache`").into());
            }
            Err(_) => self.quarantine_locked(key)?,
        };
        let slot = Slot::create(self, *key, lock, damaged)?;
        Ok(slot.fetch().map_or_else(|| Lookup::Miss(slot), |entry| Lookup::Hit(Box::new(entry))))
    }

    /// A slot to make a result in even if it is there.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn reserve(&self, key: &Key, mut policy: WaitPolicy<'_>) -> Result<Slot, LookupError> {
        let lock = self.lock_key(key, &mut policy)?;
        Ok(Slot::create(self, *key, lock, None)?)
    }

    pub(super) fn lock_key(&self, key: &Key, policy: &mut WaitPolicy<'_>) -> Result<Flock, LookupError> {
        const POLL: Duration = Duration::from_millis(20);
        let path = self.lock_path(key);
        let mut told = false;
        loop {
            if let Some(lock) = Flock::try_exclusive(&path)? {
                reach(Point::KeyLocked).map_err(|e| StageError::io("lock", &path, e))?;
                return Ok(lock);
            }
            if !policy.wait {
                return Err(LookupError::Busy);
            }
            if (policy.cancelled)() {
                return Err(LookupError::Failed(StageError::Cancelled));
            }
            if !told {
                (policy.waiting)();
                told = true;
            }
            thread::sleep(POLL);
        }
    }
}
