use std::{collections::BTreeMap, fmt, io, time::Duration};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use stage_contract::Event;

use super::{Ending, Outcome, Summary, Watch, put, text};

const COUNTED: &str = "{prefix}  {spinner} {msg}  {wide_bar} {human_pos}/{human_len} {rate}  {left} left";
const UNCOUNTED: &str = "{prefix}  {spinner} {msg}  {elapsed}";

/// A bar with rate and time left for each node that executes; above them, lines that stay.
pub struct Terminal {
    width: usize,
    colour: bool,
    screen: MultiProgress,
    /// With the step that each is at.
    bars: BTreeMap<String, (ProgressBar, String)>,
}

impl Terminal {
    const TICK: Duration = Duration::from_millis(120);

    pub fn new(width: usize, colour: bool) -> Self {
        Self { width, colour, screen: MultiProgress::new(), bars: BTreeMap::new() }
    }

    fn say(&self, line: &str) {
        self.screen.suspend(|| put(&mut io::stdout(), line));
    }

    fn paint(&self, outcome: Outcome, line: &str) -> String {
        let code = match outcome {
            Outcome::Executed | Outcome::Restored => "32",
            Outcome::Reused => "2",
            Outcome::Failed => "31",
            Outcome::Skipped | Outcome::Cancelled => "33",
        };
        if self.colour { format!("\x1b[{code}m{line}\x1b[0m") } else { line.to_owned() }
    }

    fn style(counted: bool) -> ProgressStyle {
        let template = if counted { COUNTED } else { UNCOUNTED };
        // Both are constants, and a test reads them.
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{:.1}/s", state.per_sec());
            })
            .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Nothing is known yet.
                let _ = if state.pos() == 0 {
                    write!(out, "{:#} gone, -", HumanDuration(state.elapsed()))
                } else {
                    write!(out, "{:#}", HumanDuration(state.eta()))
                };
            })
    }
}

impl Watch for Terminal {
    fn started(&mut self, stage: &str, reasons: &[String]) {
        let bar = self.screen.add(ProgressBar::new_spinner().with_style(Self::style(false)));
        bar.set_prefix(format!("{stage:width$}", width = self.width));
        bar.set_message(if reasons.is_empty() { "executing".to_owned() } else { text::tell(reasons) });
        bar.enable_steady_tick(Self::TICK);
        self.bars.insert(stage.to_owned(), (bar, String::new()));
    }

    fn event(&mut self, stage: &str, event: &Event) {
        match event {
            Event::Progress { step, done, total, unit } => {
                let Some((bar, at)) = self.bars.get_mut(stage) else { return };
                if at != step {
                    step.clone_into(at);
                    bar.set_style(Self::style(*total > 0));
                    bar.reset();
                    bar.set_length(*total);
                    // What an earlier run did says nothing about the rate.
                    bar.set_position(*done);
                    bar.reset_eta();
                }
                bar.set_message(format!("{step} ({unit})"));
                bar.set_position(*done);
            }
            Event::Show { text } if self.bars.len() > 1 => self.say(&text::owned(stage, text)),
            Event::Show { text } => self.say(text),
            Event::Metric { .. } | Event::Gate { .. } => {}
        }
    }

    fn note(&mut self, text: &str) {
        self.say(&format!("note: {text}"));
    }

    fn ended(&mut self, ending: &Ending) {
        if let Some((bar, _)) = self.bars.remove(&ending.stage) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        self.say(&self.paint(ending.outcome, &text::closing(ending, self.width)));
        for line in ending.fault.iter().flat_map(text::paragraph) {
            self.say(&line);
        }
    }

    fn finished(&mut self, summary: &Summary) {
        for line in text::last(summary) {
            self.say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bars_can_be_drawn() {
        for template in [COUNTED, UNCOUNTED] {
            ProgressStyle::with_template(template).expect("is a template");
        }
    }
}
