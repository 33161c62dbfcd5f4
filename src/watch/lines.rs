use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use stage_contract::Event;

use super::{Ending, Output, Summary, Watch, put, text};

/// Plain lines: for files, pipes and build servers. Results go to standard output, remarks and what
/// went wrong to standard error.
pub struct Lines<O, E> {
    out: Output<O>,
    err: E,
    width: usize,
    step: String,
    told: Option<Instant>,
}

impl<O: Write, E: Write> Lines<O, E> {
    /// A step that takes long says so this often.
    const INTERVAL: Duration = Duration::from_secs(15);

    pub fn new(out: O, err: E, width: usize) -> Self {
        Self { out: Output::new(out), err, width, step: String::new(), told: None }
    }

    fn progress(&mut self, stage: &str, step: &str, done: u64, total: u64, unit: &str) {
        let of = if total == 0 { String::new() } else { format!("/{total}") };
        let end = total > 0 && done == total;
        let quiet = self.told.is_some_and(|at| at.elapsed() < Self::INTERVAL);
        if self.step != step || (!quiet && !end) {
            step.clone_into(&mut self.step);
            self.told = Some(Instant::now());
            put(&mut self.err, &format!("{stage}: {step}: {done}{of} {unit}"));
        }
    }
}

impl<O: Write, E: Write> Watch for Lines<O, E> {
    fn started(&mut self, _stage: &str, _reasons: &[String]) {
        self.step.clear();
        self.told = None;
    }

    fn event(&mut self, stage: &str, event: &Event) {
        match event {
            Event::Progress { step, done, total, unit } => self.progress(stage, step, *done, *total, unit),
            Event::Show { text } => self.out.put(text),
            Event::Metric { .. } | Event::Gate { .. } => {}
        }
    }

    fn trouble(&mut self) -> Option<io::Error> {
        self.out.trouble.take()
    }

    fn note(&mut self, text: &str) {
        put(&mut self.err, &format!("note: {text}"));
    }

    fn ended(&mut self, ending: &Ending) {
        self.out.put(&text::closing(ending, self.width));
        for line in ending.fault.iter().flat_map(text::paragraph) {
            put(&mut self.err, &line);
        }
    }

    fn finished(&mut self, summary: &Summary) {
        for line in text::last(summary) {
            self.out.put(&line);
        }
    }
}
