//! What is wrong in a pipeline file, where, and what to do about it. miette stays in here.

mod code;
mod list;
mod merge;

use std::{
    error::Error,
    fmt::{self, Display},
    ops::Range,
    sync::Arc,
};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use stage_contract::{
    Invalid,
    terminal::{harmless, harmless_line},
};

pub use code::Code;
pub use list::Problems;

use crate::secrets::masked;

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

    /// A span of it, in bytes.
    #[must_use]
    pub fn location(&self, span: Range<usize>) -> Location {
        Location { text: self.clone(), span }
    }
}

/// A span of a text, to underline.
#[derive(Clone, Debug)]
pub struct Location {
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

    /// Underlines a span. All spans of one problem are of one text; the first decides its order.
    #[must_use]
    pub fn at(mut self, location: &Location, label: impl Into<String>) -> Self {
        self.0.text.get_or_insert_with(|| location.text.clone());
        self.0.labels.push(LabeledSpan::new(Some(label.into()), location.span.start, location.span.len()));
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

    /// The same as it may be shown: nothing that commands a terminal, no secret of the text that it points into.
    fn shown(&self) -> Self {
        let Parts { code, message, help, text, labels } = &*self.0;
        let masked = text.as_ref().map(|text| masked(text.content()));
        // What is written out is longer than it was.
        let place = |at: usize| {
            masked.as_ref().and_then(|text| text.get(..at)).map_or(at, |text| harmless(text).len())
        };
        let label = |label: &LabeledSpan| {
            let (start, end) = (place(label.offset()), place(label.offset() + label.len()));
            LabeledSpan::new(label.label().map(harmless_line), start, end - start)
        };
        Self(Box::new(Parts {
            code: *code,
            message: harmless(message),
            help: help.as_deref().map(harmless),
            text: text
                .as_ref()
                .zip(masked.as_ref())
                .map(|(text, masked)| Text::new(harmless_line(text.name()), &harmless(masked))),
            labels: labels.iter().map(label).collect(),
        }))
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
