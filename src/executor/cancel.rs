use std::{
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use stage_contract::StageError;

use crate::{disk, threads};

/// What a process does that is asked to stop again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRepeat {
    /// The runner: the first time stops the stages, the second kills them, the third ends this process at once.
    Exit,
    /// A job: it has its own child processes to stop, and the runner to kill it.
    Ignore,
}

/// Whether the user asked to stop: Ctrl-C, SIGTERM, or a closed terminal.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    asked: Arc<AtomicUsize>,
    flag: Arc<AtomicBool>,
}

impl CancelToken {
    /// Listens to the signals of this process. What `nohup` or a shell's `&` ignores stays ignored.
    ///
    /// # Errors
    /// When the system refuses a handler, or a thread.
    pub fn listen(on_repeat: OnRepeat) -> Result<Self, StageError> {
        let cancel = Self::default();
        let ignored = ignored_signals();
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !ignored(*signal));
        let mut signals =
            Signals::new(wanted).map_err(|e| StageError::because("cannot listen to signals", e))?;
        let told = cancel.clone();
        threads::spawn("signals", move || {
            for _ in signals.forever() {
                told.cancel();
                // Whatever we are at (hashing, copying): what is half done is swept by the next run, and
                // a child notices that we are gone.
                if on_repeat == OnRepeat::Exit && told.requests() >= 3 {
                    process::exit(130);
                }
            }
        })?;
        Ok(cancel)
    }

    /// Asks once more.
    pub fn cancel(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.requests() > 0
    }

    /// How often it was asked for; from the second time on there is no grace.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// For [`stage_contract::Context::cancelled`].
    #[must_use]
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }
}

/// Which signals this process was started with as ignored; only Linux reports that.
fn ignored_signals() -> impl Fn(i32) -> bool {
    let status = disk::read_text(Path::new("/proc/self/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    move |signal| mask >> (signal - 1) & 1 == 1
}
