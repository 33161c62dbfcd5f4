//! `env` of a command: which variables of the environment it gets beside those that every stage has.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::keys::{Table, wrong_type};
use crate::problem::{Code, Problem, Problems};

/// What every stage is given the same of, on every machine: [`crate::executor`] sets it.
pub const FIXED: [(&str, &str); 2] = [("LC_ALL", "C.UTF-8"), ("TZ", "UTC")];

/// A variable's name as a regular expression.
pub(super) const VARIABLE: &str = "[A-Za-z_][A-Za-z0-9_]*";

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads it. A name that cannot be one is not repeated: it may be the value.
pub(super) fn read(of_registry: bool, table: &Table<'_>, problems: &mut Problems) -> BTreeSet<String> {
    const HELP: &str = "write a list of names, like `env = [\"HF_TOKEN\"]`";
    let Some((key, value)) = table.get("env") else { return BTreeSet::new() };
    if of_registry {
        problems.push(
            Problem::new(Code::UnknownKey, "a stage of the registry gets no more of the environment")
                .at(&table.location(key.span()), "for commands only")
                .help("remove it; all that changes its result is in `params`"),
        );
        return BTreeSet::new();
    }
    let DeValue::Array(items) = value.get_ref() else {
        let place = table.location(value.span());
        problems.push(wrong_type("env", "a list of names", value.get_ref(), &place).help(HELP));
        return BTreeSet::new();
    };
    let mut found = BTreeSet::new();
    for item in items {
        let place = table.location(item.span());
        match item.get_ref() {
            DeValue::String(name) if FIXED.iter().any(|(fixed, _)| name == fixed) => problems.push(
                Problem::new(Code::BadName, format!("`{name}` is the same for every stage"))
                    .at(&place, "fixed")
                    .help(format!("remove it, and set it in `run`: `{name}=.. program`")),
            ),
            DeValue::String(name) if name.starts_with("NER_PIPE_") => problems.push(
                Problem::new(Code::BadName, "variables that begin with `NER_PIPE_` are ner-pipe's own")
                    .at(&place, "this name")
                    .help("choose another name for yours"),
            ),
            DeValue::String(name) if is_variable(name) => drop(found.insert(name.to_string())),
            DeValue::String(_) => problems.push(
                Problem::new(Code::BadName, "this is not the name of a variable of the environment")
                    .at(&place, "letters, digits and `_` are")
                    .help(HELP),
            ),
            other => problems.push(wrong_type("env", "a list of names", other, &place).help(HELP)),
        }
    }
    found
}
