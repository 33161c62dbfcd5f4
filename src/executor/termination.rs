use std::time::Duration;

use super::job::Answer;

/// The exit code of a job that cannot write its answer, mostly because the disk is full (`EX_IOERR`).
pub const UNREPORTED: u8 = 74;

/// How a job ended, as its executor saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Termination {
    /// It said itself how.
    Answered(Answer),
    /// It said nothing, and this was its exit code, where that is known.
    Exited(Option<i32>),
    /// This signal ended it.
    Killed(i32),
    /// It took more memory than it was given, for certain.
    OutOfMemory,
    /// The executor no longer knows: a node of the cluster that went down, say. A lower-case fragment.
    Lost(String),
}

impl Termination {
    /// What it means for the node `id`, that was or was not stopped for taking longer than its timeout, or because
    /// the user wanted it.
    pub(super) fn answer(self, id: &str, timed_out: Option<Duration>, cancelled: bool) -> Answer {
        let failed = |message: String, help: &str| Answer::Failed {
            message,
            causes: Vec::new(),
            help: Some(help.to_owned()),
        };
        match (self, timed_out) {
            // Finished although it was to stop: its result is as good as any.
            (Self::Answered(Answer::Done), None) => Answer::Done,
            (Self::Answered(Answer::Panicked { message }), None) => {
                Answer::Panicked { message: format!("the stage's code is wrong: {message}") }
            }
            _ if cancelled => Answer::Cancelled,
            // Even when it says that it is done: asked to stop, a script may end well with half a result.
            (_, Some(timeout)) => failed(
                format!(
                    "`{id}` took longer than its timeout of {}, and was stopped",
                    humantime::format_duration(timeout)
                ),
                "raise its `timeout`, or give it less to do",
            ),
            (Self::Answered(answer), None) => answer,
            (Self::Killed(signal), None) => {
                let (message, help) = killed("its process", signal);
                Answer::Failed { message, causes: Vec::new(), help }
            }
            (Self::OutOfMemory, None) => failed(
                "it needed more memory than it was given".to_owned(),
                "raise its `resources.memory`, or give it less to hold at once, then type `ner-pipe run`",
            ),
            (Self::Exited(Some(code)), None) if code == i32::from(UNREPORTED) => failed(
                "its process could not report how it ended".to_owned(),
                "read its log; free some space on the disk, then type `ner-pipe run`",
            ),
            (Self::Exited(code), None) => {
                let code = code.map_or_else(String::new, |code| format!(" with exit code {code}"));
                Answer::Panicked { message: format!("its process ended{code} without reporting how") }
            }
            (Self::Lost(why), None) => failed(
                format!("how its process ended is not known: {why}"),
                "read its log, then type `ner-pipe run`",
            ),
        }
    }
}

/// A process that a signal ended: a message, and what the user can do.
pub(super) fn killed(what: &str, signal: i32) -> (String, Option<String>) {
    let name =
        signal_hook::low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned);
    if name != "SIGKILL" {
        return (format!("{what} was killed by {name}"), None);
    }
    let help = "free memory or give the stage less to hold at once, then type `ner-pipe run`".to_owned();
    (format!("{what} was killed by SIGKILL: often the kernel's out-of-memory killer"), Some(help))
}
