use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{Duration, Instant},
};

use stage_contract::Event;

use super::{NodeSummary, Output, Summary, Watch, put, text};

/// Plain lines: for files, pipes and build servers. Results go to standard output, remarks and what
/// went wrong to standard error. While several nodes execute, each line says whose it is.
pub struct Lines<O, E> {
    out: Output<O>,
    err: E,
    width: usize,
    /// Nodes that execute: the step they are at, and when that was last told.
    executing: BTreeMap<String, Step>,
}

#[derive(Default)]
struct Step {
    name: String,
    told: Option<Instant>,
}

impl<O: Write, E: Write> Lines<O, E> {
    /// A step that takes long says so this often.
    const INTERVAL: Duration = Duration::from_secs(15);

    pub fn new(out: O, err: E, width: usize) -> Self {
        Self { out: Output::new(out), err, width, executing: BTreeMap::new() }
    }

    fn progress(&mut self, stage: &str, name: &str, done: u64, total: u64, unit: &str) {
        let of = if total == 0 { String::new() } else { format!("/{total}") };
        let end = total > 0 && done == total;
        let step = self.executing.entry(stage.to_owned()).or_default();
        let quiet = step.told.is_some_and(|at| at.elapsed() < Self::INTERVAL);
        if step.name != name || (!quiet && !end) {
            name.clone_into(&mut step.name);
            step.told = Some(Instant::now());
            put(&mut self.err, &format!("{stage}: {name}: {done}{of} {unit}"));
        }
    }
}

impl<O: Write, E: Write> Watch for Lines<O, E> {
    fn started(&mut self, stage: &str, _reasons: &[String]) {
        self.executing.insert(stage.to_owned(), Step::default());
    }

    fn event(&mut self, stage: &str, event: &Event) {
        match event {
            Event::Progress { step, done, total, unit } => self.progress(stage, step, *done, *total, unit),
            Event::Show { text } if self.executing.len() > 1 => self.out.put(&text::owned(stage, text)),
            Event::Show { text } => self.out.put(text),
            Event::Metric { .. } | Event::Gate { .. } => {}
        }
    }

    fn trouble(&mut self) -> Option<io::Error> {
        self.out.trouble.take()
    }

    fn fetched(&mut self, source: &str) {
        self.executing.remove(source);
    }

    fn note(&mut self, text: &str) {
        put(&mut self.err, &format!("note: {text}"));
    }

    fn ended(&mut self, node: &NodeSummary) {
        self.executing.remove(&node.stage);
        self.out.put(&text::closing(node, self.width));
        for line in node.fault.iter().flat_map(text::paragraph) {
            put(&mut self.err, &line);
        }
    }

    fn finished(&mut self, summary: &Summary) {
        for line in text::last(summary) {
            self.out.put(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_says_whose_it_is_while_several_execute() {
        let mut lines = Lines::new(Vec::new(), Vec::new(), 1);
        let show = Event::Show { text: "one\ntwo".to_owned() };
        lines.started("a", &[]);
        lines.event("a", &show);
        lines.started("b", &[]);
        lines.event("a", &show);
        lines.ended(&NodeSummary::new("b"));
        lines.event("a", &show);
        let said = String::from_utf8(lines.out.stream).expect("is text");
        assert_eq!(said, "one\ntwo\na | one\na | two\nb  skipped\none\ntwo\n");
    }
}
