//! The points at which the runner writes, so that a test can stop it at each: killed, or by an I/O
//! error. In ner-pipe itself nobody listens, and a point costs one load beside a call of the system.

use std::{io, sync::OnceLock};

macro_rules! points {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A moment between two writes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $($(#[$doc])* $variant,)*
        }

        impl Point {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// For people and for files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

points! {
    /// The folders of the cache are to be made.
    Prepare = "prepare",
    /// What a killed run left is to be removed.
    Sweep = "sweep",
    /// A new file is there, and empty.
    FileBegun = "file-begun",
    /// The file that is to replace another is there, and empty.
    ReplacementBegun = "replacement-begun",
    /// It is complete, and not yet in place.
    ReplacementWhole = "replacement-whole",
    /// The next file of a copy is to be made.
    CopyFile = "copy-file",
    /// It is there, with another mode than it is to have.
    CopyMode = "copy-mode",
    /// The next file or folder that a stage wrote is to be made private.
    MakePrivate = "make-private",
    /// A key's lock is held.
    KeyLocked = "key-locked",
    /// A slot's folder is there, and empty.
    SlotBegun = "slot-begun",
    /// The folder that an output is to be written to is to be made.
    OutputFolder = "output-folder",
    /// A log is to be opened.
    LogOpen = "log-open",
    /// The job is to be written.
    JobWrite = "job-write",
    /// The child process holds its lock.
    ChildLocked = "child-locked",
    /// The child process is to write its answer.
    AnswerWrite = "answer-write",
    /// An output is to be looked at.
    Observe = "observe",
    /// The stage's outputs are known; the slot is to become an entry.
    Commit = "commit",
    /// The manifest is to be written.
    ManifestWrite = "manifest-write",
    /// The record is to be written.
    RecordWrite = "record-write",
    /// All is to be written through to the disk.
    WriteThrough = "write-through",
    /// The slot is to change places with an older entry.
    EntryExchange = "entry-exchange",
    /// No exchange is possible, and the older entry is out of the way.
    EntryMovedAway = "entry-moved-away",
    /// The slot is to be renamed.
    EntryRename = "entry-rename",
    /// The entry is there, its lock still held.
    Committed = "committed",
    /// A slot is to be removed.
    SlotRemove = "slot-remove",
    /// The checkpoint of a result is to be removed.
    CheckpointRemove = "checkpoint-remove",
    /// A damaged entry is to be moved away.
    SetAside = "set-aside",
    /// What a user made is to be moved away; its new home is there.
    Displace = "displace",
    /// It was moved away.
    Displaced = "displaced",
    /// Where something will be staged is written down, and not yet made.
    StagedRecorded = "staged-recorded",
    /// The folder for it is there, and empty.
    StagedBegun = "staged-begun",
    /// An output is to be copied beside its place.
    PlaceBeside = "place-beside",
    /// It lies beside its place, complete.
    Swap = "swap",
    /// It changed places with what lay there, which is still to be removed.
    Swapped = "swapped",
    /// All outputs are in place; the lock file does not say so yet.
    Published = "published",
    /// A failed attempt is written down, and not yet in place.
    FailureBegun = "failure-begun",
    /// The attempt that failed before is gone.
    FailureRemoved = "failure-removed",
    /// A failed attempt is to be forgotten.
    FailureForget = "failure-forget",
    /// The links to a source of the hub are made, and not yet in place.
    SourceLink = "source-link",
    /// All that is in the cache is out of sight, and to be removed.
    Clear = "clear",
}

type Listener = fn(Point) -> io::Result<()>;

static LISTENER: OnceLock<Listener> = OnceLock::new();

/// Has `listener` called at every point of this process; its error is what the disk says there. The first
/// stays.
pub fn listen(listener: Listener) {
    // A second one is a test's mistake, and changes nothing.
    let _ = LISTENER.set(listener);
}

/// The runner is here.
///
/// # Errors
/// What the listener says.
pub(crate) fn reach(point: Point) -> io::Result<()> {
    LISTENER.get().map_or(Ok(()), |listener| listener(point))
}
