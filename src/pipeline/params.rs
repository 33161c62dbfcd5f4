//! A stage's parameters: from `params`, a config file and `--set` to the stage itself.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Number, Value as Json};
use stage_contract::{AnyStage, StageKind};
use toml::{Spanned, de::DeValue};

use super::{
    form::Filled,
    keys::{RUN, Table},
    locations::{NodeLocations, ParameterLocations},
    overrides::{Override, offer_at, type_value},
    paths,
};
use crate::{
    manifest::{self, Manifest},
    problem::{Code, Location, Problem, Problems, Text},
    secrets::secrets,
};

/// What the file and the command line say about one stage's parameters.
#[derive(Default)]
pub(super) struct Given {
    pub values: Map<String, Json>,
    pub locations: ParameterLocations,
    /// The config file, relative to the root.
    pub config: Option<(PathBuf, Location)>,
    /// Something was reported already: a missing parameter may be in the invalid part.
    pub broken: bool,
}

impl Given {
    /// Reads `params` or `config` of `[stage.<id>]`.
    pub fn read(root: &Path, table: &Table<'_>, problems: &mut Problems) -> Self {
        let before = problems.len();
        let mut given = Self::default();
        if let (Some((params, _)), Some((config, _))) = (table.get("params"), table.get("config")) {
            problems.push(
                Problem::new(Code::ParamsAndConfig, "parameters are given in two places")
                    .at(&table.location(params.span()), "here")
                    .at(&table.location(config.span()), "and in this file")
                    .help("keep one of them: remove `params`, or remove `config`"),
            );
        }
        if let Some(params) = table.table("params", "params = { name = value }", problems) {
            given.take(&params, &[], problems);
        }
        if let Some((path, place)) = table.string("config", problems) {
            given.read_config(root, path, place, problems);
        }
        given.broken = problems.len() > before;
        given
    }

    fn read_config(&mut self, root: &Path, path: &str, place: Location, problems: &mut Problems) {
        let Some(clean) = paths::expect_inside(path, &place, problems) else { return };
        match manifest::read(&root.join(&clean), &clean.to_string_lossy()) {
            // A missing file has no location: the problem is located at its name.
            Err(problem) if problem.code() == Code::UnreadableFile => {
                problems.push(problem.at(&place, "named here"));
            }
            Err(problem) => problems.push(problem),
            Ok(text) => match Manifest::parse(&text) {
                Ok(manifest) => self.take(&Table { text: &text, entries: &manifest.table }, &[], problems),
                Err(found) => problems.extend(found),
            },
        }
        self.config = Some((clean, place));
    }

    /// Takes all that stands in a table but for these keys.
    pub fn take(&mut self, table: &Table<'_>, others: &[&str], problems: &mut Problems) {
        let entries = table.entries.iter().filter(|(key, _)| !others.contains(&key.get_ref().as_ref()));
        for (key, value) in entries {
            let path = vec![key.get_ref().to_string()];
            let mut reader = Reader { text: table.text, shift: 0, locations: &mut self.locations, problems };
            if let Some(json) = reader.read(&path, &key.span(), value) {
                self.values.insert(key.get_ref().to_string(), json);
            }
        }
    }

    /// Applies a `--set`. One that sets a part of a nested parameter keeps the other parts, from `defaults`
    /// if need be.
    pub fn apply(&mut self, change: &Override, defaults: &Json, problems: &mut Problems) {
        let before = problems.len();
        let path = change.path();
        let key = change.parameter_place();
        self.locations.replace(path, key.clone(), key.clone());
        let mut reader =
            Reader { text: change.text(), shift: change.start(), locations: &mut self.locations, problems };
        let value = reader.read(path, &key.span, &change.value());
        self.broken |= problems.len() > before;
        let (Some(value), [first, inner @ ..]) = (value, path) else { return };
        let mut slot = self
            .values
            .entry(first.clone())
            .or_insert_with(|| defaults.get(first).cloned().unwrap_or_default());
        if !inner.is_empty() && self.locations.key(&path[..1]).is_none() {
            self.locations.insert(&path[..1], key.clone(), key);
        }
        for name in inner {
            if !slot.is_object() {
                *slot = Json::Object(Map::new());
            }
            slot = &mut slot[name.as_str()];
        }
        *slot = value;
    }

    /// Builds the stage with these parameters, or reports every invalid one.
    pub fn parse(
        &self,
        kind: &StageKind,
        locations: &NodeLocations,
        problems: &mut Problems,
    ) -> Option<Box<dyn AnyStage>> {
        let before = problems.len();
        let filled = Filled {
            form: &kind.form,
            locations: &locations.parameters,
            header: &locations.header,
            see: format!("see `ner-pipe stages {}`", kind.spec.name),
        };
        let unknown = |name: &str, known: &[&str]| unknown(kind.spec.name, name, locations, known);
        let outside = filled.check(&self.values, &unknown, problems);
        if self.broken || problems.len() > before {
            problems.extend(outside.into_iter().map(|(_, problem)| problem));
            return None;
        }
        let stage = (kind.parse)(Json::Object(self.values.clone()));
        let stage = stage.map_err(|bad| problems.push(filled.misfit(&bad)));
        let stage = stage.ok()?;
        let checked = stage.check();
        // A stage's own message about a value out of range is more specific.
        let own = |path: &[String]| {
            let own = checked.as_ref().err().filter(|own| own.at.as_deref() == Some(&path.join(".")));
            own.map(|own| locations.blame(Code::OutOfRange, own, "with the default"))
        };
        problems.extend(outside.into_iter().map(|(path, problem)| own(&path).unwrap_or(problem)));
        if problems.len() > before {
            return None;
        }
        let wired: Vec<&str> = locations.inputs.keys().map(String::as_str).collect();
        if let Err(invalid) = checked.and_then(|()| stage.check_inputs(&wired)) {
            problems.push(locations.blame(Code::InvalidParameter, &invalid, "with the default"));
            return None;
        }
        Some(stage)
    }
}

fn unknown(stage: &str, name: &str, locations: &NodeLocations, known: &[&str]) -> Problem {
    let at = locations.parameters.key(&[name.to_owned()]).unwrap_or(&locations.header);
    Problem::new(Code::UnknownParameter, format!("stage `{stage}` has no parameter `{name}`"))
        .at(at, "unknown")
        .help(offer_at(at, name, known.iter().copied()))
}

/// Converts TOML to JSON, and records the location of each value.
struct Reader<'r> {
    text: &'r Text,
    /// Added to every span: the value may be a part of its text.
    shift: usize,
    locations: &'r mut ParameterLocations,
    problems: &'r mut Problems,
}

impl Reader<'_> {
    fn read(&mut self, path: &[String], key: &Range<usize>, value: &Spanned<DeValue<'_>>) -> Option<Json> {
        let span = value.span().start + self.shift..value.span().end + self.shift;
        let place = self.text.location(span);
        self.locations.insert(path, self.text.location(key.clone()), place.clone());
        let inner = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
        match value.get_ref() {
            DeValue::String(text) => Some(Json::String(text.to_string())),
            DeValue::Datetime(date) => Some(Json::String(date.to_string())),
            DeValue::Boolean(yes) => Some(Json::Bool(*yes)),
            DeValue::Integer(number) => {
                let (digits, radix) = (number.as_str(), number.radix());
                let json = i64::from_str_radix(digits, radix)
                    .map(Number::from)
                    .or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
                self.number(json.ok(), path, &place)
            }
            DeValue::Float(number) => {
                let number: Option<f64> = number.as_str().parse().ok();
                self.number(number.and_then(Number::from_f64), path, &place)
            }
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    list.push(self.read(&inner(&index.to_string()), &item.span(), item));
                }
                list.into_iter().collect::<Option<_>>().map(Json::Array)
            }
            DeValue::Table(entries) => {
                let mut map = Vec::new();
                for (name, item) in entries {
                    let shifted = name.span().start + self.shift..name.span().end + self.shift;
                    let json = self.read(&inner(name.get_ref()), &shifted, item);
                    map.push(json.map(|json| (name.get_ref().to_string(), json)));
                }
                map.into_iter().collect::<Option<_>>().map(Json::Object)
            }
        }
    }

    fn number(&mut self, number: Option<Number>, path: &[String], place: &Location) -> Option<Json> {
        if number.is_none() {
            self.problems.push(
                Problem::new(
                    Code::MistypedParameter,
                    format!("`{}` is not a finite number of 64 bits", path.join(".")),
                )
                .at(place, "this number")
                .help("give a smaller number; infinity and nan are no parameters"),
            );
        }
        number.map(Json::Number)
    }
}

/// An example of `run`.
const EXAMPLE: &str = "sh script.sh {input} {output}";

/// Reads `run`, the only parameter of a command.
pub(super) fn command(given: &Given, locations: &NodeLocations, problems: &mut Problems) -> Option<String> {
    for name in given.values.keys().filter(|name| *name != RUN) {
        problems.push(unknown("command", name, locations, &[RUN]));
    }
    match given.values.get(RUN) {
        Some(Json::String(run)) if secrets(run).is_empty() => Some(run.clone()),
        Some(Json::String(_)) => {
            let at = locations.parameters.value(&["run"]).unwrap_or(&locations.header);
            problems.push(
                Problem::new(Code::Secret, "`run` holds what looks like a secret, and would be kept in cache and lock")
                    .at(at, "in this command line")
                    .help(
                        "set it in the environment of `ner-pipe run`, add `env = [\"NAME\"]` to the stage, and write `\"$NAME\"` in `run`",
                    ),
            );
            None
        }
        Some(_) => {
            let at = locations.parameters.value(&["run"]).unwrap_or(&locations.header);
            problems.push(
                Problem::new(Code::MistypedParameter, "`run` is not a string").at(at, "takes a string").help(
                    type_value(at, RUN, &format!("\"{EXAMPLE}\""))
                        .unwrap_or_else(|| format!("write `run = \"{EXAMPLE}\"`")),
                ),
            );
            None
        }
        None => {
            if !given.broken {
                problems.push(
                    Problem::new(Code::MissingParameter, "a command needs `run`")
                        .at(&locations.header, "this stage runs no program")
                        .help(format!("add `params = {{ run = \"{EXAMPLE}\" }}`")),
                );
            }
            None
        }
    }
}
