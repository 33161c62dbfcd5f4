//! Reading keys of a TOML table: presence, types, and suggestions for misspelt ones.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use crate::problem::{Code, Location, Problem, Problems, Text};

/// The keys at the top level of a pipeline file.
pub(super) const TOP_KEYS: [&str; 5] = ["pipeline", "seed", "resources", "sources", "stage"];

/// The keys of `[pipeline]`.
pub(super) const PIPELINE_KEYS: [&str; 1] = ["name"];

/// What a source may say, beside the options of its kind.
pub(super) const SOURCE_KEYS: [&str; 4] = ["path", "hub", "revision", "kind"];

/// The keys of `[stage.<id>]`.
pub(super) const STAGE_KEYS: [&str; 15] = [
    "use",
    "inputs",
    "params",
    "config",
    "outputs",
    "env",
    "seed", // what it does
    "resources",
    "mutex",
    "timeout",
    "grace",
    "retries",
    "backoff", // how it is scheduled
    "foreach",
    "matrix", // how often
];

/// Those of [`STAGE_KEYS`] that expand one table into several stages.
pub(super) const EXPANSION_KEYS: [&str; 2] = ["foreach", "matrix"];

/// The keys of a command's output that is more than a path.
pub(super) const OUTPUT_KEYS: [&str; 2] = ["path", "kind"];

/// The only parameter of a command.
pub(super) const RUN: &str = "run";

/// [`is_name`] as a regular expression.
pub(super) const NAME: &str = "[a-z][a-z0-9_-]*";

/// A TOML table, and the text that its spans refer to.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub text: &'a Text,
    pub entries: &'a DeTable<'a>,
}

pub(super) type Key<'a> = Spanned<DeString<'a>>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Table<'a> {
    pub fn location(&self, span: Range<usize>) -> Location {
        self.text.location(span)
    }

    pub fn get(&self, key: &str) -> Option<(&'a Key<'a>, &'a Value<'a>)> {
        self.entries.get_key_value(key)
    }

    /// Reports every unknown key; `what` names the table in messages.
    pub fn expect_keys(&self, what: &str, known: &[&str], problems: &mut Problems) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                problems.push(
                    Problem::new(Code::UnknownKey, format!("{what} has no key `{name}`"))
                        .at(&self.location(key.span()), "unknown")
                        .help(offer(name, known.iter().copied())),
                );
            }
        }
    }

    /// The string under `key`; another type is a problem.
    pub fn string(&self, key: &str, problems: &mut Problems) -> Option<(&'a str, Location)> {
        let (_, value) = self.get(key)?;
        let place = self.location(value.span());
        match value.get_ref() {
            DeValue::String(text) => Some((text, place)),
            other => {
                problems
                    .push(wrong_type(key, "a string", other, &place).help(format!("write `{key} = \"..\"`")));
                None
            }
        }
    }

    /// The `seed`; another type is a problem. `example` is one.
    pub fn seed(&self, example: u64, problems: &mut Problems) -> Option<u64> {
        let (_, value) = self.get("seed")?;
        let number = whole(value.get_ref());
        if number.is_none() {
            let place = self.location(value.span());
            let problem = if value.get_ref().is_integer() {
                Problem::new(Code::WrongType, "`seed` must be a whole number from 0 to 2^64 - 1")
                    .at(&place, "out of range")
            } else {
                wrong_type("seed", "a whole number from 0", value.get_ref(), &place)
            };
            problems.push(problem.help(format!("write `seed = {example}`")));
        }
        number
    }

    /// The table under `key`; another type is a problem. `example` is how one is written.
    pub fn table(&self, key: &str, example: &str, problems: &mut Problems) -> Option<Table<'a>> {
        let (_, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table { text: self.text, entries }),
            other => {
                let place = self.location(value.span());
                problems.push(wrong_type(key, "a table", other, &place).help(format!("write `{example}`")));
                None
            }
        }
    }
}

pub(super) fn wrong_type(key: &str, wanted: &str, found: &DeValue<'_>, place: &Location) -> Problem {
    Problem::new(Code::WrongType, format!("`{key}` must be {wanted}, not {}", type_name(found)))
        .at(place, format!("{} here", type_name(found)))
}

/// A whole number from 0.
pub(super) fn whole(value: &DeValue<'_>) -> Option<u64> {
    match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

/// A scalar as it appears in ids and strings: equal values have equal spellings.
pub(super) fn scalar_text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok()?.to_string(),
        DeValue::Float(number) => format!("{:?}", number.as_str().parse::<f64>().ok()?),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}

pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Whether this is a valid name for a stage, source, port or pipeline.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// Reports an invalid name.
pub(super) fn expect_name(what: &str, name: &str, place: &Location, problems: &mut Problems) {
    if is_name(name) {
        return;
    }
    let help = "use a-z, 0-9, `_` and `-`, with a letter first";
    let keep = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' };
    let better: String = name.to_lowercase().chars().map(keep).collect();
    let better = better.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    // A letter with an accent has no plain form that we could guess.
    let help =
        if name.is_ascii() && is_name(better) { format!("{help}: `{better}`") } else { help.to_owned() };
    let problem = Problem::new(Code::BadName, format!("`{name}` cannot be the name of a {what}"));
    problems.push(problem.at(place, "this name").help(help));
}

/// The known word with the least edit distance to `word`, if at most a third of the letters differ.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= word.chars().count().max(candidate.chars().count()).max(3) / 3
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A help line that lists the known words, the closest one first.
pub(crate) fn offer<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let near = nearest(word, known.clone()).map(str::to_owned);
    choose(near.as_deref(), known).unwrap_or_else(|| format!("remove `{word}`"))
}

/// A help line that suggests `near`, else any of the known words; `None` when there are none.
pub(super) fn choose<'k>(near: Option<&str>, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let all: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    match (near, all.as_slice()) {
        (_, []) => None,
        (_, [only]) => Some(format!("write {only}")),
        (Some(near), all) => Some(format!("write `{near}` (there is {})", all.join(", "))),
        (None, all) => Some(format!("write one of {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["distill", "split", "prune"];
        assert_eq!(nearest("distil", known.into_iter()), Some("distill"));
        assert_eq!(nearest("slpit", known.into_iter()), Some("split"));
        assert_eq!(nearest("translate", known.into_iter()), None);
    }

    #[test]
    fn names_start_with_a_small_letter() {
        assert!(is_name("distill-small_2") && !is_name("2small") && !is_name("Small") && !is_name(""));
    }
}
