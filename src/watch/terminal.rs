use std::{collections::BTreeMap, fmt, io, time::Duration};

use console::Term;
use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use stage_contract::{
    Event,
    terminal::{coloured, harmless, harmless_line},
};

use super::{NodeSummary, Outcome, Summary, Watch, columns, text, wrap};
use crate::threads;

const COUNTED: &str = "{prefix}  {spinner} {msg}  {wide_bar} {human_pos}/{human_len} {rate}  {left} left";
const UNCOUNTED: &str = "{prefix}  {spinner} {wide_msg}  {elapsed}";

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
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Narrow(Term::stderr())), 20);
        Self { width, colour, screen: MultiProgress::with_draw_target(target), bars: BTreeMap::new() }
    }

    fn say(&self, line: &str) {
        self.show(&harmless(line));
    }

    /// What is harmless but for our own colours; that nobody reads it stops no stage.
    fn show(&self, line: &str) {
        self.screen.suspend(|| drop(coloured(&format!("{line}\n"))));
    }

    /// Our own words: they may be broken.
    fn tell(&self, line: &str) {
        self.say(&wrap(line, columns(&Term::stdout())));
    }

    fn paint(&self, outcome: Outcome, line: &str) -> String {
        let line = harmless(line);
        let code = match outcome {
            Outcome::Executed | Outcome::Restored => "32",
            Outcome::Reused => "2",
            Outcome::Failed => "31",
            Outcome::Skipped | Outcome::Cancelled => "33",
        };
        if self.colour { format!("\x1b[{code}m{line}\x1b[0m") } else { line }
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
        bar.set_prefix(harmless_line(&format!("{stage:width$}", width = self.width)));
        let why = if reasons.is_empty() { "executing".to_owned() } else { text::tell(reasons) };
        bar.set_message(harmless_line(&why));
        // The bar starts one, and panics where it gets none.
        if threads::spawn("progress", || ()).is_ok_and(|thread| thread.join().is_ok()) {
            bar.enable_steady_tick(Self::TICK);
        }
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
                bar.set_message(harmless_line(&format!("{step} ({unit})")));
                bar.set_position(*done);
            }
            Event::Show { text } if self.bars.len() > 1 => self.say(&text::owned(stage, text)),
            Event::Show { text } => self.say(text),
            Event::Metric { .. } | Event::Gate { .. } => {}
        }
    }

    fn fetching(&mut self, source: &str) {
        self.started(source, &["its files come from the hub".to_owned()]);
    }

    fn fetched(&mut self, source: &str) {
        if let Some((bar, _)) = self.bars.remove(source) {
            bar.finish_and_clear();
        }
    }

    fn note(&mut self, text: &str) {
        self.tell(&format!("note: {text}"));
    }

    fn ended(&mut self, node: &NodeSummary) {
        if let Some((bar, _)) = self.bars.remove(&node.stage) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        let closing = wrap(&text::closing(node, self.width), columns(&Term::stdout()));
        self.show(&self.paint(node.outcome, &closing));
        for line in node.fault.iter().flat_map(text::paragraph) {
            self.tell(&line);
        }
    }

    fn finished(&mut self, summary: &Summary) {
        for line in text::last(summary) {
            self.tell(&line);
        }
    }
}

/// The terminal without its last columns. A bar fills its line, and the `^C` that the terminal shows for Ctrl-C
/// would go to the next one: then not the bar is cleared, but that.
#[derive(Debug)]
struct Narrow(Term);

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        /// Each Ctrl-C takes two, and the third ends the run.
        const SPARE: u16 = 6;
        TermLike::width(&self.0).saturating_sub(SPARE)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
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
