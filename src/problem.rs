//! What is wrong in a pipeline file, where, and what to do about it. miette stays in here.

mod merge;

use std::{
    cmp::Reverse,
    error::Error,
    fmt::{self, Display, Write as _},
    ops::Range,
    sync::Arc,
};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteHandlerOpts, NamedSource,
    ReportHandler, SourceCode,
};
use stage_contract::Invalid;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Every sort of mistake. The name is stable: scripts and searches may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name without `ner_pipe::`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// The pipeline file is not there.
    MissingPipeline = "missing_pipeline",
    /// A pipeline or config file cannot be read.
    UnreadableFile = "unreadable_file",
    /// A pipeline or config file is not UTF-8.
    NotUtf8 = "not_utf8",
    /// Not TOML.
    Syntax = "syntax",
    /// A key that means nothing at this place.
    UnknownKey = "unknown_key",
    /// A key that must be there is not.
    MissingKey = "missing_key",
    /// A number where a table is expected, and the like.
    WrongType = "wrong_type",
    /// A name with characters that names cannot have.
    BadName = "bad_name",
    /// Another pipeline file publishes to the same folder.
    NameTaken = "name_taken",
    /// Nothing to run.
    EmptyPipeline = "empty_pipeline",
    /// No stage has this name.
    UnknownStage = "unknown_stage",
    /// The stage exists, but not in this build.
    AbsentStage = "absent_stage",
    /// The stage has no such parameter.
    UnknownParameter = "unknown_parameter",
    /// A parameter that must be given is not.
    MissingParameter = "missing_parameter",
    /// A parameter's value is of the wrong type.
    MistypedParameter = "mistyped_parameter",
    /// A parameter's value makes no sense.
    InvalidParameter = "invalid_parameter",
    /// Parameters in two places.
    ParamsAndConfig = "params_and_config",
    /// `{x}` in a command is not one of its inputs or outputs, or a brace is alone.
    BadPlaceholder = "bad_placeholder",
    /// An input that is not written `sources.x` or `stage.output`.
    BadReference = "bad_reference",
    /// An input names no source.
    UnknownSource = "unknown_source",
    /// An input names no stage of this pipeline.
    UnknownOrigin = "unknown_origin",
    /// An input names no output of that stage.
    UnknownOutput = "unknown_output",
    /// The stage has no such input.
    UnknownInput = "unknown_input",
    /// An input that must be wired is not.
    MissingInput = "missing_input",
    /// What flows there is not what the stage reads.
    WrongKind = "wrong_kind",
    /// No kind has this name.
    UnknownKind = "unknown_kind",
    /// Stages that wait for each other.
    Cycle = "cycle",
    /// Two names of a command that cannot be told apart.
    DuplicateName = "duplicate_name",
    /// A command that declares no output.
    NoOutput = "no_output",
    /// A stage of the registry publishes its outputs itself.
    DeclaredOutput = "declared_output",
    /// Two outputs at one place, or one inside the other.
    DuplicateOutput = "duplicate_output",
    /// An output that would replace an input, or a file of the runner.
    ProtectedPath = "protected_path",
    /// A path that leaves the project.
    OutsideProject = "outside_project",
    /// A source that is not there.
    MissingSource = "missing_source",
    /// A file where a folder is needed, or the reverse.
    WrongShape = "wrong_shape",
    /// Not a duration.
    BadDuration = "bad_duration",
    /// Not an amount of something.
    BadAmount = "bad_amount",
    /// A resource that the file does not say the total of.
    UnknownResource = "unknown_resource",
    /// A stage asks for more than there is.
    TooMuch = "too_much",
    /// A stage that is stamped out in two ways.
    ForeachAndMatrix = "foreach_and_matrix",
    /// `foreach` or `matrix` with nothing in it.
    NoInstance = "no_instance",
    /// A value that no id can be made of.
    BadInstance = "bad_instance",
    /// Two instances of one id.
    DuplicateInstance = "duplicate_instance",
    /// A slip in `matrix`, by its number of stages.
    TooManyInstances = "too_many_instances",
    /// `--set` changes nothing that exists, or cannot be read.
    BadOverride = "bad_override",
    /// A stage looked at its inputs and will not start.
    Preflight = "preflight",
    /// `init` would overwrite something, or lacks what the project is to start from.
    CannotInit = "cannot_init",
}

impl Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ner_pipe::{}", self.name())
    }
}

/// A text that problems point into, with the name it is shown under.
#[derive(Clone, Debug)]
pub struct Text(NamedSource<Arc<str>>);

impl Text {
    /// A file's content, or a part of the command line.
    #[must_use]
    pub fn new(name: impl AsRef<str>, content: &str) -> Self {
        Self(NamedSource::new(name, Arc::from(content)))
    }

    /// The name it is shown under.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The whole text.
    #[must_use]
    pub fn content(&self) -> &str {
        self.0.inner()
    }

    /// A place in it, in bytes.
    #[must_use]
    pub fn place(&self, span: Range<usize>) -> Place {
        Place { text: self.clone(), span }
    }
}

/// A place to underline.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it is.
    pub text: Text,
    /// From byte to byte.
    pub span: Range<usize>,
}

/// One mistake: what is wrong, where, and what to type.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

/// Boxed: problems are rare, and the results that could hold one are many.
#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    message: String,
    help: Option<String>,
    text: Option<Text>,
    labels: Vec<LabeledSpan>,
}

impl Problem {
    /// A mistake of this sort; `message` is a lower-case fragment.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code, message: message.into(), help: None, text: None, labels: Vec::new() }))
    }

    /// What a stage has against its parameters or inputs; it is still to be placed.
    #[must_use]
    pub fn invalid(code: Code, invalid: &Invalid) -> Self {
        let problem = Self::new(code, invalid.message.clone());
        match &invalid.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// Underlines a place. All places of one problem lie in one text; the first decides its order.
    #[must_use]
    pub fn at(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.0.text.get_or_insert_with(|| place.text.clone());
        self.0.labels.push(LabeledSpan::new(Some(label.into()), place.span.start, place.span.len()));
        self
    }

    /// What to do, as an imperative with the thing to type.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn way_out(&self) -> Option<String> {
        self.0.help.clone()
    }

    /// What sort of mistake it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The name of the text it points into.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.0.text.as_ref().map(Text::name)
    }

    fn offset(&self) -> usize {
        self.0.labels.first().map_or(0, LabeledSpan::offset)
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Problem {}

impl Diagnostic for Problem {
    fn code(&self) -> Option<Box<dyn Display + '_>> {
        Some(Box::new(self.0.code))
    }
    fn help(&self) -> Option<Box<dyn Display + '_>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.text.as_ref().map(|text| &text.0 as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.0.labels.is_empty() { None } else { Some(Box::new(self.0.labels.iter().cloned())) }
    }
}

/// All mistakes that were found, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

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
            text.push_str(&Rendered { handler: handler.as_ref(), problem }.to_string());
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

    #[test]
    fn problems_come_in_the_order_of_the_pipeline_file() {
        let (main, other) = (Text::new("pipeline.toml", "one\ntwo\n"), Text::new("a.toml", "x"));
        let mut problems = Problems::from(Problem::new(Code::Cycle, "placeless"));
        problems.push(Problem::new(Code::Cycle, "config").at(&other.place(0..1), ""));
        problems.push(Problem::new(Code::Cycle, "late").at(&main.place(4..7), ""));
        problems.push(Problem::new(Code::Cycle, "early").at(&main.place(0..3), ""));
        problems.sort("pipeline.toml");
        let order: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(order, ["early", "late", "config", "placeless"]);
    }

    #[test]
    fn text_for_a_file_or_a_pipe_is_plain_ascii() {
        let text = Text::new("pipeline.toml", "use = \"distil\"\n");
        let problem =
            Problem::new(Code::UnknownStage, "unknown stage `distil`").at(&text.place(6..14), "here");
        let rendered = Problems::from(problem.help("write `use = \"distill\"`")).render(false, false);
        assert!(rendered.is_ascii(), "{rendered}");
        assert!(rendered.contains("ner_pipe::unknown_stage") && rendered.contains("pipeline.toml:1:7"));
    }
}
