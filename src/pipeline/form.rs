//! What the file writes into a form (the parameters of a stage, the options of a source), against the form's schema.

use serde_json::{Map, Value as Json};
use stage_contract::{BadParameter, Form};

use super::{
    keys::nearest,
    locations::ParameterLocations,
    overrides::{offer_at, type_value},
    schema::{self, Parameter},
};
use crate::problem::{Code, Location, Problem, Problems};

/// A form, and where the file fills it in.
pub(super) struct Filled<'a> {
    pub form: &'a Form,
    pub locations: &'a ParameterLocations,
    /// To underline where nothing is closer.
    pub header: &'a Location,
    /// Where it is documented: an imperative.
    pub see: String,
}

impl Filled<'_> {
    /// Reports every key that is none of the form's (`unknown` says so), and every value of the wrong type; gives what is
    /// out of its range, by path, for who has better words for it.
    pub fn check(
        &self,
        values: &Map<String, Json>,
        unknown: &dyn Fn(&str, &[&str]) -> Problem,
        problems: &mut Problems,
    ) -> Vec<(Vec<String>, Problem)> {
        let known = if values.is_empty() { Vec::new() } else { schema::parameters(self.form) };
        let known: Vec<&str> = known.iter().map(|parameter| parameter.name.as_str()).collect();
        let mut typed = Map::new();
        for (name, value) in values {
            if !known.contains(&name.as_str()) {
                problems.push(unknown(name, &known));
                continue;
            }
            let alone = Json::Object(Map::from_iter([(name.clone(), value.clone())]));
            if let Err(mut bad) = (self.form.fill)(alone) {
                // serde loses its way in fields that are flattened into the struct; it is this one.
                if bad.path.is_empty() {
                    bad.path.push(name.clone());
                }
                problems.push(self.mistyped(&bad, value));
            } else {
                typed.insert(name.clone(), value.clone());
            }
        }
        let outside = schema::out_of_range(self.form, &typed);
        outside
            .into_iter()
            .map(|(path, words)| {
                let problem = self.out_of_range(&path, &words);
                (path, problem)
            })
            .collect()
    }

    /// Each value fits, and all together do not.
    pub fn misfit(&self, bad: &BadParameter) -> Problem {
        let path: Vec<_> = bad.path.iter().map(String::as_str).collect();
        let at = self.locations.value(&path).unwrap_or(self.header);
        Problem::new(Code::MistypedParameter, plain_words(&bad.message))
            .at(at, "in here")
            .help(self.see.clone())
    }

    fn mistyped(&self, bad: &BadParameter, value: &Json) -> Problem {
        let path: Vec<_> = bad.path.iter().map(String::as_str).collect();
        let at = self.locations.value(&path).unwrap_or(self.header);
        let name = path.join(".");
        let mistyped = |message: String| Problem::new(Code::MistypedParameter, message);
        let Some(parameter) = schema::parameter(self.form, &path) else {
            let problem = mistyped(format!("`{name}`: {}", plain_words(&bad.message))).at(at, "this value");
            return problem.help(self.see.clone());
        };
        if !parameter.fields.is_empty() && path.last() != Some(&parameter.name.as_str()) {
            let inner = path.last().copied().unwrap_or_default();
            let at = self.locations.key(&bad.path).unwrap_or(at);
            return Problem::new(
                Code::UnknownParameter,
                format!("parameter `{}` has no key `{inner}`", parameter.name),
            )
            .at(at, "unknown")
            .help(offer_at(at, inner, parameter.fields.iter().map(|field| field.name.as_str())));
        }
        let written = path.iter().skip(1).try_fold(value, |value, key| value.get(key));
        let problem = match written.and_then(schema::literal) {
            // serde knows nothing of the default or of what was meant, and speaks of variants.
            Some(written) if !parameter.variants.is_empty() => {
                mistyped(format!("`{name}` cannot be `{written}`"))
            }
            _ => mistyped(format!("`{name}`: {}", plain_words(&bad.message))),
        };
        let written = written.and_then(Json::as_str);
        let variants = parameter.variants.iter().map(|(name, _)| name.as_str());
        let meant =
            written.and_then(|word| nearest(word, variants)).and_then(|name| schema::literal(&name.into()));
        let help = match meant {
            Some(meant) => type_value(at, &name, &meant)
                .unwrap_or_else(|| format!("write {}", assign(&parameter.name, &meant))),
            None => like_the_default(&parameter, at, &name, "of that type"),
        };
        problem.at(at, format!("takes: {}", parameter.takes)).help(help)
    }

    fn out_of_range(&self, path: &[String], words: &str) -> Problem {
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let at = self.locations.value(&path).unwrap_or(self.header);
        let name = path.join(".");
        let problem = Problem::new(Code::OutOfRange, format!("`{name}` {words}"));
        match schema::parameter(self.form, &path) {
            Some(parameter) => problem.at(at, format!("takes: {}", parameter.takes)).help(like_the_default(
                &parameter,
                at,
                &name,
                "in that range",
            )),
            None => problem.at(at, "this value").help(self.see.clone()),
        }
    }
}

/// What to write in place of a wrong value that gives no hint.
fn like_the_default(parameter: &Parameter, at: &Location, path: &str, such: &str) -> String {
    match schema::literal(&parameter.default) {
        Some(default) => type_value(at, path, &default).map_or_else(
            || format!("write a value like the default, {}", assign(&parameter.name, &default)),
            |typed| format!("{typed} for the default"),
        ),
        None => format!("give a value {such}, or leave `{}` out", parameter.name),
    }
}

/// An item of a list has no name to write.
fn assign(name: &str, value: &str) -> String {
    if name.parse::<usize>().is_ok() { format!("`{value}`") } else { format!("`{name} = {value}`") }
}

/// serde speaks of Rust's types; people do not.
fn plain_words(message: &str) -> String {
    let mut words: Vec<_> = message.split(' ').map(str::to_owned).collect();
    for word in &mut words {
        let bare = word.trim_end_matches(',');
        let better = match bare {
            "f32" | "f64" => "a number",
            "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
            "boolean" | "bool" => "true or false",
            "map" => "table",
            "sequence" => "list",
            _ => continue,
        };
        *word = word.replacen(bare, better, 1);
    }
    words.join(" ").replace("a true or false", "true or false")
}
