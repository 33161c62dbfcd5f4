//! All mistakes of a file: collected, put in order, drawn.

use std::{
    cmp::Reverse,
    error::Error,
    fmt::{self, Display, Write as _},
};

use miette::{GraphicalReportHandler, GraphicalTheme, MietteHandlerOpts, ReportHandler};

use super::Problem;

/// All mistakes that were found, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// In the order of `main`, then of the other texts, then what has no place.
    pub fn sort(&mut self, main: &str) {
        let rank = |problem: &Problem| match problem.file() {
            Some(name) if name == main => (Reverse(2), String::new()),
            Some(name) => (Reverse(1), name.to_owned()),
            None => (Reverse(0), String::new()),
        };
        self.0.sort_by_key(|problem| (rank(problem), problem.offset()));
    }

    /// Nothing is wrong, or all that is.
    ///
    /// # Errors
    /// Itself, unless it is empty.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// All of them as text. On a terminal miette decides on drawing (`NO_GRAPHICS` for screen readers);
    /// elsewhere it is plain ASCII. Lines are not wrapped: a command in a help line
    /// can be copied whole.
    #[must_use]
    pub fn render(&self, terminal: bool, colour: bool) -> String {
        let handler: Box<dyn ReportHandler> = if terminal {
            Box::new(MietteHandlerOpts::new().color(colour).terminal_links(false).wrap_lines(false).build())
        } else {
            let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none());
            Box::new(handler.with_wrap_lines(false).with_links(false))
        };
        let mut text = String::new();
        for problem in &self.0 {
            text.push_str(&Rendered { handler: handler.as_ref(), problem: &problem.shown() }.to_string());
            text.push('\n');
        }
        let many = if self.len() == 1 { "" } else { "s" };
        let _ = writeln!(text, "{} problem{many}; nothing was done", self.len());
        text
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Extend<Problem> for Problems {
    fn extend<T: IntoIterator<Item = Problem>>(&mut self, problems: T) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false, false))
    }
}

impl Error for Problems {}

/// A handler writes to a formatter only.
struct Rendered<'a> {
    handler: &'a dyn ReportHandler,
    problem: &'a Problem,
}

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handler.debug(self.problem, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Code, Text};

    #[test]
    fn problems_come_in_the_order_of_the_pipeline_file() {
        let (main, other) = (Text::new("pipeline.toml", "one\ntwo\n"), Text::new("a.toml", "x"));
        let mut problems = Problems::from(Problem::new(Code::Cycle, "placeless"));
        problems.push(Problem::new(Code::Cycle, "config").at(&other.location(0..1), ""));
        problems.push(Problem::new(Code::Cycle, "late").at(&main.location(4..7), ""));
        problems.push(Problem::new(Code::Cycle, "early").at(&main.location(0..3), ""));
        problems.sort("pipeline.toml");
        let order: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(order, ["early", "late", "config", "placeless"]);
    }

    #[test]
    fn text_for_a_file_or_a_pipe_is_plain_ascii() {
        let text = Text::new("pipeline.toml", "use = \"distil\"\n");
        let problem =
            Problem::new(Code::UnknownStage, "unknown stage `distil`").at(&text.location(6..14), "here");
        let rendered = Problems::from(problem.help("write `use = \"distill\"`")).render(false, false);
        assert!(rendered.is_ascii(), "{rendered}");
        assert!(rendered.contains("ner_pipe::unknown_stage") && rendered.contains("pipeline.toml:1:7"));
    }
    #[test]
    fn nothing_in_a_message_or_its_text_commands_a_terminal_and_places_stay() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}\u{202e}";
        let content = format!("# {evil}\nuse = \"{evil}distil\" # {evil}\n");
        let text = Text::new(format!("{evil}.toml"), &content);
        let at = content.find("distil").expect("is there");
        let problem = Problem::new(Code::UnknownStage, format!("unknown {evil}"))
            .at(&text.location(at..at + 6), format!("here {evil}"))
            .help(format!("remove {evil}"));
        let problems = Problems::from(problem);
        for terminal in [false, true] {
            let rendered = problems.render(terminal, false);
            assert_eq!(stage_contract::terminal::harmless(&rendered), rendered);
            assert_eq!(rendered.matches("\\u202e").count(), 7, "all is there: {rendered}");
            let lines: Vec<_> = rendered.lines().collect();
            let column =
                |line: &str, what: &str| line.split_once(what).map(|(before, _)| before.chars().count());
            let line = lines.iter().position(|line| line.contains("distil")).expect("is shown");
            let mark = if terminal { "──" } else { "^^^" };
            let (shown, below) = (column(lines[line], "distil"), column(lines[line + 1], mark));
            assert_eq!(shown, below, "{rendered}");
        }
    }

    #[test]
    fn a_text_is_shown_without_its_secrets() {
        let content = "a = \"x --password hunter2\"\nb = 1\n";
        let text = Text::new("p", content);
        let at = content.find('b').expect("is there");
        let rendered =
            Problems::from(Problem::new(Code::UnknownKey, "no `b`").at(&text.location(at..at + 1), "here"));
        let rendered = rendered.render(false, false);
        assert!(rendered.contains("--password *******") && !rendered.contains("hunter2"), "{rendered}");
    }
}
