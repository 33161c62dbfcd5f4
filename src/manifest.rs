//! The pipeline file as text and as TOML: every key and value with its place, nothing understood yet.

use std::{io, path::Path};

use toml::de::DeTable;

use crate::disk;
use crate::problem::{Code, Problem, Problems, Text};

/// A TOML file, parsed. Keys stand in the order of the file.
#[derive(Debug)]
pub struct Manifest<'t> {
    /// The file as it is.
    pub text: &'t Text,
    /// Its content.
    pub table: DeTable<'t>,
}

/// Reads a pipeline or config file; `name` is how messages call it.
///
/// # Errors
/// When it is not there, not readable, or not UTF-8.
pub fn read(path: &Path, name: &str) -> Result<Text, Problem> {
    let bytes = disk::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::new(Code::UnreadableFile, format!("there is no file `{name}`"))
            .help(format!("create `{name}`, or correct the path")),
        _ => Problem::new(Code::UnreadableFile, format!("cannot read `{name}`: {error}"))
            .help(format!("check with `ls -ld {name}` that it is a file that you may read")),
    })?;
    let content = String::from_utf8(bytes).map_err(|error| not_utf8(name, &error))?;
    Ok(Text::new(name, &content))
}

impl<'t> Manifest<'t> {
    /// Parses a text.
    ///
    /// # Errors
    /// Every place that is not TOML.
    pub fn parse(text: &'t Text) -> Result<Self, Problems> {
        let (table, errors) = DeTable::parse_recoverable(text.content());
        if errors.is_empty() {
            return Ok(Self { text, table: table.into_inner() });
        }
        let mut errors: Vec<_> =
            errors.iter().map(|error| (error.span().map_or(0, |span| span.start), error)).collect();
        errors.sort_by_key(|(at, _)| *at);
        let mut problems = Problems::new();
        for (_, error) in errors {
            problems.push(syntax(text, error));
            // After broken grammar the parser guesses, and what it then finds are not the user's mistakes.
            if !is_duplicate(error) {
                break;
            }
        }
        Err(problems)
    }
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message().starts_with("duplicate key")
}

fn syntax(text: &Text, error: &toml::de::Error) -> Problem {
    // The parser says "what, expected `this`".
    let (what, expected) = match error.message().split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (error.message(), None),
    };
    let problem = Problem::new(Code::Syntax, format!("not valid TOML: {}", what.replace('\n', ": ")));
    let problem = match error.span() {
        Some(span) => problem.at(&text.location(span), "here"),
        None => problem,
    };
    problem.help(match expected {
        Some(expected) => format!("write {} here", expected.replace('\n', " ")),
        None if is_duplicate(error) => "keep one of the two".to_owned(),
        None => "correct this place; https://toml.io shows what TOML allows".to_owned(),
    })
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Problem {
    let valid = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let byte = bytes.get(valid).copied().unwrap_or_default();
    // The file cannot be shown as it is; what is replaced has another length, so the place is searched anew.
    let shown = String::from_utf8_lossy(bytes);
    let at = shown.find(char::REPLACEMENT_CHARACTER).unwrap_or_default();
    let line = shown[..at].matches('\n').count() + 1;
    Problem::new(Code::NotUtf8, format!("`{name}` is not UTF-8: line {line} has the byte 0x{byte:02x}"))
        .at(
            &Text::new(name, &shown).location(at..at + char::REPLACEMENT_CHARACTER.len_utf8()),
            "not UTF-8 from here on",
        )
        .help(format!("save it as UTF-8, for instance with `iconv -f WINDOWS-1252 -t UTF-8 {name} > {name}.utf8 && mv {name}.utf8 {name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_places_and_their_order() {
        let text = Text::new("p", "[stage.z]\nuse = \"a\"\n[stage.b]\n");
        let manifest = Manifest::parse(&text).expect("valid TOML");
        let stages = manifest.table["stage"].get_ref().as_table().expect("a table");
        let keys: Vec<_> = stages.keys().map(|key| &text.content()[key.span()]).collect();
        assert_eq!(keys, ["z", "b"]);
    }

    #[test]
    fn broken_grammar_is_reported_once_and_duplicates_before_it_too() {
        let text = Text::new("p", "a = 1\na = 2\na = 3\nb = [1, 2\nc = = 3\n");
        let problems = Manifest::parse(&text).expect_err("mistakes");
        assert_eq!(problems.len(), 3, "{problems}");
    }
}
