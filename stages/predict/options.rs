//! How texts are read, as the command line says it.

use clap::Args;
use serde_json::{Map, Value};
use stage_contract::{Invalid, StageError, ToolError, given};

use text::corpus::Options;

/// What a source of text may say in `pipeline.toml`: docs/formats.md, "Text".
#[derive(Clone, Debug, Args)]
pub(super) struct Reading {
    /// Take each line of plain text for a text, each document (lines up to a blank one), or each file
    #[arg(long, value_name = "line|document|file", conflicts_with = "text")]
    unit: Option<String>,
    /// Read files that are not UTF-8 in this encoding: windows-1252
    #[arg(long, value_name = "NAME", conflicts_with = "text")]
    encoding: Option<String>,
    /// Leave out as many bad records, each of which is named, before it is an error
    #[arg(long, value_name = "N", conflicts_with = "text")]
    errors: Option<usize>,
    /// Read by this option of a source of text: 'fields = { text = "body" }'; may be given several times
    #[arg(long, value_name = "KEY = VALUE", conflicts_with = "text")]
    option: Vec<String>,
}

impl Reading {
    /// The options.
    ///
    /// # Errors
    /// One is said twice, is unknown, or is no TOML.
    pub fn options(&self) -> Result<Options, Invalid> {
        let mut said = Map::new();
        let mut say = |name: String, value: Value| match said.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(Invalid::new(format!("`{name}` is said twice")).help("leave one of them out")),
        };
        for text in &self.option {
            let help = "write KEY = VALUE as in pipeline.toml: --option 'fields = { text = \"body\" }'";
            let table: toml::Table = toml::from_str(text)
                .map_err(|e| Invalid::new(format!("--option {text}: {}", e.message())).help(help))?;
            for (name, value) in table {
                let value =
                    serde_json::to_value(value).map_err(|e| Invalid::new(e.to_string()).help(help))?;
                say(name, value)?;
            }
        }
        let named = [
            ("unit", self.unit.clone().map(Value::from)),
            ("encoding", self.encoding.clone().map(Value::from)),
            ("errors", self.errors.map(Value::from)),
        ];
        for (name, value) in named {
            value.map_or(Ok(()), |value| say(name.to_owned(), value))?;
        }
        given(&Value::Object(said)).map_err(|e| {
            Invalid::of(&e).help("the options are in docs/formats.md, \"Text\"; ner-pipe predict --help")
        })
    }
}

/// An error whose help says an option as it is typed here: `--option 'errors = 1'`.
pub(super) fn told(error: ToolError) -> ToolError {
    match error {
        ToolError::Failed(StageError::Failed { message, help, source }) => {
            ToolError::Failed(StageError::Failed { message, help: help.map(|help| typed(&help)), source })
        }
        ToolError::Failed(error) => ToolError::Failed(error),
        ToolError::Wrong(Invalid { at, message, help }) => {
            ToolError::Wrong(Invalid { at, message, help: help.map(|help| typed(&help)) })
        }
    }
}

/// An option of a source, as messages of its readers say it, as it is typed here.
fn typed(help: &str) -> String {
    const OPTION: &str = "the option `";
    let mut parts = help.split(OPTION);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, part| match part.split_once('`') {
        Some((option, rest)) => match option.split_once(" = ") {
            Some((name @ ("unit" | "encoding" | "errors"), value)) => {
                format!("{said}`--{name} {}`{rest}", value.trim_matches('"'))
            }
            _ => format!("{said}--option '{option}'{rest}"),
        },
        None => format!("{said}{OPTION}{part}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use text::corpus::{Fields, Unit};

    fn reading(unit: Option<&str>, option: &[&str]) -> Reading {
        let option = option.iter().map(|text| (*text).to_owned()).collect();
        Reading { unit: unit.map(str::to_owned), encoding: None, errors: Some(2), option }
    }

    #[test]
    fn options_are_those_of_a_source() {
        let options = reading(Some("document"), &["fields = { text = \"body\" }"]).options().expect("known");
        let fields = Fields { text: Some("body".into()), ..Fields::default() };
        assert_eq!(options, Options { unit: Unit::Document, errors: 2, fields, ..Options::default() });
        for (unit, option) in [
            (Some("page"), ""),
            (None, "felds = 1"),
            (None, "errors = 1"),
            (None, "fields"),
            (None, "errors = "),
        ] {
            let error = reading(unit, &[option]).options().expect_err(option);
            assert!(error.help.is_some(), "{error}");
        }
    }

    #[test]
    fn help_says_options_as_they_are_typed_here() {
        assert_eq!(
            typed("correct it, or leave it out by the option `errors = 1`"),
            "correct it, or leave it out by `--errors 1`"
        );
        assert_eq!(
            typed("by the option `encoding = \"windows-1252\"`, or the option `labels = [\"O\"]`"),
            "by `--encoding windows-1252`, or --option 'labels = [\"O\"]'"
        );
        assert_eq!(typed("say `x`"), "say `x`");
    }
}
