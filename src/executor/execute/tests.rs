use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
};

use stage_contract::Device;

use super::{super::Resources, *};
use crate::executor::{Task, Termination};

// docs/adding.md: executor
/// An executor that starts nothing: its jobs do what the test says, and note what is asked of them.
#[derive(Debug)]
struct Scripted {
    progress: Vec<Progress>,
    termination: Termination,
    asked: Arc<Mutex<Vec<&'static str>>>,
}

struct Playing {
    progress: VecDeque<Progress>,
    termination: Termination,
    asked: Arc<Mutex<Vec<&'static str>>>,
}

impl Executor for Scripted {
    fn submit(&self, submission: &Submission<'_>) -> Result<Box<dyn Execution>, StageError> {
        assert!(submission.job_file.is_file());
        let (progress, asked) = (self.progress.clone().into(), self.asked.clone());
        Ok(Box::new(Playing { progress, termination: self.termination.clone(), asked }))
    }

    fn resources(&self) -> Resources {
        Resources::default()
    }
}

impl Execution for Playing {
    fn next(&mut self, _wait: Duration) -> Progress {
        self.progress.pop_front().unwrap_or(Progress::Over)
    }

    fn terminate(&mut self) {
        self.asked.lock().expect("is whole").push("terminate");
    }

    fn kill(&mut self) {
        self.asked.lock().expect("is whole").push("kill");
    }

    fn wait(self: Box<Self>) -> Result<(Termination, Option<Usage>), StageError> {
        Ok((self.termination, Some(Usage { memory: 7 })))
    }
}
// end

/// How a job ends, the events it told, and what was asked of it.
fn play(
    progress: Vec<Progress>,
    termination: Termination,
    timeout: Option<Duration>,
    cancel: &CancelToken,
) -> (Answer, usize, Vec<&'static str>) {
    let folder = tempfile::tempdir().expect("makes a folder");
    let job = Job {
        node: "a".to_owned(),
        task: Task::Command { run: "true".to_owned() },
        root: folder.path().to_owned(),
        inputs: BTreeMap::new(),
        options: BTreeMap::new(),
        outputs: BTreeMap::new(),
        checkpoint: folder.path().join("checkpoint"),
        seed: 0,
        devices: Device::CPU.into(),
        threads: 1,
        environment: BTreeMap::new(),
        env: BTreeSet::new(),
        memory: None,
        show_text: false,
        lock: folder.path().join("lock"),
        answer: folder.path().join("answer.json"),
    };
    let executor = Scripted { progress, termination, asked: Arc::default() };
    let limits = Limits { timeout, grace: Duration::ZERO };
    let mut events = 0;
    let ended = execute(&executor, &job, &folder.path().join("log"), limits, cancel, |_| events += 1);
    let ended = ended.expect("is submitted");
    assert_eq!(ended.usage, Some(Usage { memory: 7 }));
    let asked = executor.asked.lock().expect("is whole").clone();
    (ended.answer, events, asked)
}

fn message(answer: &Answer) -> &str {
    match answer {
        Answer::Failed { message, .. } | Answer::Panicked { message } => message,
        Answer::Done | Answer::Cancelled => "",
    }
}

#[test]
fn events_are_handed_on_until_the_job_is_over() {
    let said = || Progress::Event(Event::Show { text: "x".to_owned() });
    let progress = vec![said(), Progress::Silent, said()];
    let ended = play(progress, Termination::Answered(Answer::Done), None, &CancelToken::default());
    assert_eq!(ended, (Answer::Done, 2, vec![]));
}

#[test]
fn a_cancelled_job_is_asked_to_stop_and_killed_after_its_grace() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let progress = vec![Progress::Silent, Progress::Silent];
    let ended = play(progress.clone(), Termination::Killed(9), None, &cancel);
    assert_eq!(ended, (Answer::Cancelled, 0, vec!["terminate", "kill"]));
    cancel.cancel();
    let ended = play(progress, Termination::Answered(Answer::Done), None, &cancel);
    assert_eq!(ended, (Answer::Done, 0, vec!["kill", "kill"]), "asked twice, there is no grace");
}

#[test]
fn a_job_that_takes_too_long_is_stopped_and_has_no_result() {
    let answered = Termination::Answered(Answer::Done);
    let (answer, _, asked) =
        play(vec![Progress::Silent], answered, Some(Duration::ZERO), &CancelToken::default());
    assert_eq!(message(&answer), "`a` took longer than its timeout of 0s, and was stopped");
    assert_eq!(asked, ["terminate"]);
}

#[test]
fn however_a_job_ends_it_is_said_plainly() {
    let said = |termination| message(&play(vec![], termination, None, &CancelToken::default()).0).to_owned();
    assert_eq!(said(Termination::Killed(15)), "its process was killed by SIGTERM");
    assert_eq!(said(Termination::OutOfMemory), "it needed more memory than it was given");
    assert_eq!(
        said(Termination::Exited(Some(3))),
        "its process ended with exit code 3 without reporting how"
    );
    assert_eq!(said(Termination::Exited(Some(74))), "its process could not report how it ended");
    let lost = Termination::Lost("the node went down".to_owned());
    assert_eq!(said(lost), "how its process ended is not known: the node went down");
}
