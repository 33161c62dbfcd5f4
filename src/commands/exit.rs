/// How the process ends (docs/formats.md, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// A stage failed.
    Failed,
    /// The pipeline file or the command line is wrong.
    Wrong,
    /// Something is stale, under `--check`.
    Stale,
    /// Another run makes a result, under `--no-wait`; or uses the cache that `clean` is to remove.
    WouldWait,
    /// `verify` found a damaged result, or a stage that does not reproduce its result.
    Damaged,
    /// A gate says fail.
    GateFailed,
    /// An internal error.
    Internal,
    /// The user stopped it.
    Cancelled,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Wrong => 2,
            Self::Stale => 3,
            Self::WouldWait => 4,
            Self::Damaged => 5,
            Self::GateFailed => 6,
            Self::Internal => 101,
            Self::Cancelled => 130,
        }
    }
}
