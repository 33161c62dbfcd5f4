//! Placeholders of an expanded stage: `{item}`, `{key}`, `{matrix.<axis>}`.
//!
//! A string that is a single placeholder becomes the value itself, with its type and source location; within
//! a longer string, the value is formatted. `{{` and `}}` are literal braces. In the command line of a
//! `command`, values are quoted for the shell, and all other placeholders are left for later.

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    command::{Piece, Template},
    keys::{EXPANSION_KEYS, Table, Value, choose, nearest, scalar_text, type_name},
};
use crate::problem::{Code, Location, Problem, Problems};

/// The value of a placeholder.
#[derive(Clone)]
pub(super) struct Binding<'a>(Value<'a>);

impl<'a> Binding<'a> {
    pub fn new(value: Value<'a>) -> Self {
        Self(value)
    }

    /// Formatted for use within a longer string; empty for lists and tables, which have no such form.
    pub fn text(&self) -> String {
        scalar_text(self.0.get_ref()).unwrap_or_default()
    }
}

type Bindings<'a> = BTreeMap<String, Binding<'a>>;

/// A stage's table with all placeholders substituted, and without `foreach` and `matrix`.
pub(super) fn fill<'a>(table: &Table<'a>, bindings: &Bindings<'a>, problems: &mut Problems) -> DeTable<'a> {
    let command = table.get("use").is_some_and(|(_, value)| value.get_ref().as_str() == Some("command"));
    let mut substitution = Substitution { table, bindings, problems };
    let mut filled = DeTable::new();
    for (key, value) in table.entries {
        let name: &str = key.get_ref();
        if EXPANSION_KEYS.contains(&name) {
            continue;
        }
        let value =
            if command && name == "params" { substitution.command(value) } else { substitution.value(value) };
        filled.insert(key.clone(), value);
    }
    filled
}

struct Substitution<'f, 'a> {
    table: &'f Table<'a>,
    bindings: &'f Bindings<'a>,
    problems: &'f mut Problems,
}

impl<'a> Substitution<'_, 'a> {
    fn value(&mut self, value: &Value<'a>) -> Value<'a> {
        let filled = match value.get_ref() {
            DeValue::String(text) => return self.text(text, value),
            DeValue::Array(items) => {
                let mut filled = DeArray::new();
                for item in items {
                    filled.push(self.value(item));
                }
                DeValue::Array(filled)
            }
            DeValue::Table(entries) => {
                DeValue::Table(entries.iter().map(|(key, value)| (key.clone(), self.value(value))).collect())
            }
            other => other.clone(),
        };
        Spanned::new(value.span(), filled)
    }

    fn text(&mut self, text: &str, value: &Value<'a>) -> Value<'a> {
        let place = self.table.location(value.span());
        let pieces = match Template::parse(text) {
            Ok(template) => template.pieces,
            Err(span) => {
                self.problems.push(
                    Problem::new(Code::BadPlaceholder, "a brace is alone")
                        .at(&within(&place, text, span), "this brace")
                        .help("write `{{` or `}}` for a brace"),
                );
                return value.clone();
            }
        };
        if let [Piece::Name { name, .. }] = pieces.as_slice()
            && let Some(Binding(whole)) = self.bindings.get(name)
        {
            return whole.clone();
        }
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(&text),
                Piece::Name { name, span } => {
                    let at = within(&place, text, span);
                    if !self.bindings.contains_key(&name) {
                        self.problems.push(self.unknown(&name, &at));
                    }
                    // An unresolved placeholder is kept, so that the code that parses the value can recognise
                    // it.
                    filled.push_str(&self.written(&name, &at).unwrap_or_else(|| format!("{{{name}}}")));
                }
            }
        }
        Spanned::new(value.span(), DeValue::String(filled.into()))
    }

    /// The parameters of a command: its command line.
    fn command(&self, params: &Value<'a>) -> Value<'a> {
        let DeValue::Table(entries) = params.get_ref() else { return params.clone() };
        let filled = entries.iter().map(|(key, value)| match value.get_ref() {
            DeValue::String(run) => {
                (key.clone(), Spanned::new(value.span(), DeValue::String(self.line(run).into())))
            }
            _ => (key.clone(), value.clone()),
        });
        Spanned::new(params.span(), DeValue::Table(filled.collect()))
    }

    /// Other placeholders are kept: they stand for the paths of inputs and outputs.
    fn line(&self, run: &str) -> String {
        let braces = |text: &str| text.replace('{', "{{").replace('}', "}}");
        // A malformed command line is reported when it is parsed.
        let Ok(template) = Template::parse(run) else { return run.to_owned() };
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => braces(text),
            Piece::Name { name, .. } => match self.bindings.get(name) {
                Some(binding) => braces(&quote(&binding.text())),
                None => format!("{{{name}}}"),
            },
        };
        template.pieces.iter().map(piece).collect()
    }

    fn written(&mut self, name: &str, at: &Location) -> Option<String> {
        let Binding(value) = self.bindings.get(name)?;
        let text = scalar_text(value.get_ref());
        if text.is_none() {
            let what = type_name(value.get_ref());
            self.problems.push(
                Problem::new(
                    Code::BadPlaceholder,
                    format!("`{{{name}}}` is {what}, and cannot be a part of a text"),
                )
                .at(at, "within other text")
                .help(format!("write `\"{{{name}}}\"` alone, or `{{key}}` for its name")),
            );
        }
        text
    }

    fn unknown(&self, name: &str, at: &Location) -> Problem {
        let near = nearest(name, self.bindings.keys().map(String::as_str)).map(|near| format!("{{{near}}}"));
        let known: Vec<_> = self.bindings.keys().map(|name| format!("{{{name}}}")).collect();
        let offered = choose(near.as_deref(), known.iter().map(String::as_str)).unwrap_or_default();
        Problem::new(
            Code::BadPlaceholder,
            format!("`{{{name}}}` is nothing that this stage is expanded with"),
        )
        .at(at, "unknown")
        .help(format!("{offered}; or `{{{{{name}}}}}` for the braces themselves"))
    }
}

/// Quoted as one word for the shell, if it needs quotes.
pub(super) fn quote(text: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '=' | ',' | '@' | '+' | '%')
    };
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The source location of a part of a string: exact unless the string has escapes, else the whole string.
pub(super) fn within(at: &Location, text: &str, span: std::ops::Range<usize>) -> Location {
    let written = &at.text.content()[at.span.clone()];
    written.find(text).map_or_else(
        || at.clone(),
        |start| {
            let start = at.span.start + start;
            at.text.location(start + span.start..start + span.end)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_for_the_shell() {
        assert_eq!(quote("2.5"), "2.5");
        assert_eq!(quote("l'été $x"), r"'l'\''été $x'");
        assert_eq!(quote(""), "''");
    }
}
