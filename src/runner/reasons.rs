//! What differs, in words that name it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    fingerprint::Manifest,
    lock::{Locked, params},
};

/// Hashes of a stage's code by part.
pub type Parts = BTreeMap<String, String>;

/// Why a stage is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What differs, with its old and new value: `params.temperature 2.5 -> 3.0`.
    pub what: String,
    /// Where that comes from, when it is another stage's doing: that stage, and its own reason.
    pub root: Option<String>,
    /// Whether it differs for certain. Otherwise a stage before this one has yet to show.
    pub certain: bool,
}

impl Reason {
    /// Of the stage itself.
    pub fn own(what: impl Into<String>) -> Self {
        Self { what: what.into(), root: None, certain: true }
    }

    /// The root cause, as a stage downstream of `id` reports it.
    #[must_use]
    pub fn root_for_others(&self, id: &str) -> String {
        self.root.clone().unwrap_or_else(|| format!("{id}: {}", self.what))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Some(root) => write!(f, "{} ({root})", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// For those who only print them.
#[must_use]
pub fn told(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(ToString::to_string).collect()
}

/// What of the stage itself differs: `params.temperature 2.5 -> 3.0`. `code` has the parts before and now; `origin` names what a
/// port reads.
#[must_use]
pub fn own_changes(
    before: &Locked,
    now: &Manifest,
    pipeline_seed: u64,
    code: (&Parts, &Parts),
    origin: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if before.uses != now.stage {
        reasons.push(format!("use {} -> {}", before.uses, now.stage));
    }
    if before.version != now.version {
        reasons.push(format!("version {} -> {}", before.version, now.version));
    }
    let (old, new) = (flatten(&before.params), flatten(&params(&now.params)));
    reasons.extend(changes(&old, &new).into_iter().map(|change| format!("params.{change}")));
    let ports: BTreeSet<&String> = before.options.keys().chain(now.options.keys()).collect();
    for port in ports {
        let old = before.options.get(port).map(flatten).unwrap_or_default();
        let new = now.options.get(port).map(|options| flatten(&params(options))).unwrap_or_default();
        let changed = changes(&old, &new);
        reasons.extend(changed.into_iter().map(|change| format!("{}.{change}", origin(port))));
    }
    if now.seed.is_some()
        && let Some(seed) = before.seed
        && seed != pipeline_seed
    {
        reasons.push(format!("seed {seed} -> {pipeline_seed}"));
    }
    if before.code != now.code {
        reasons.push(changed_code(code.0, code.1));
    }
    reasons
}

/// `code changed: ml/distillation/losses.rs, crate tokenizers 0.23.2 -> 0.23.3`; no more than the fact where the
/// parts before are not known.
#[must_use]
pub fn changed_code(before: &Parts, now: &Parts) -> String {
    /// More names than these say: everything.
    const SHOWN: usize = 5;
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let said: Vec<String> = differing.map(|name| part(name, before.get(name), now.get(name))).collect();
    if before.is_empty() || said.is_empty() {
        return "code changed".to_owned();
    }
    let more = said.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("code changed: {}{more}", said.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))
}

/// One part that differs. Of a crate the version says more than its hash.
fn part(name: &str, before: Option<&String>, now: Option<&String>) -> String {
    let version = |mark: &String| mark.split(' ').next().unwrap_or_default().to_owned();
    match (before, now) {
        (None, _) => format!("{name} (new)"),
        (_, None) => format!("{name} (no longer used)"),
        (Some(old), Some(new)) if name.starts_with("crate ") => match (version(old), version(new)) {
            (old, new) if old == new => format!("{name} {old} (its own dependencies or features)"),
            (old, new) => format!("{name} {old} -> {new}"),
        },
        _ => name.to_owned(),
    }
}

/// What differs that no lock records: it has no names of machines.
#[must_use]
pub fn unrecorded_changes(before: Option<&Manifest>, now: &Manifest) -> Vec<String> {
    let Some(before) = before else {
        let about =
            if now.machine.is_some() { "measured on another machine" } else { "the outputs' names changed" };
        return vec![about.to_owned()];
    };
    let mut reasons = Vec::new();
    if let (Some(old), Some(new)) = (&before.machine, &now.machine) {
        let pairs = [
            ("device", old.device.clone(), new.device.clone()),
            ("processor", old.processor.clone(), new.processor.clone()),
            ("threads", old.threads.to_string(), new.threads.to_string()),
        ];
        let changed = pairs.into_iter().filter(|(_, old, new)| old != new);
        reasons.extend(changed.map(|(name, old, new)| format!("{name} {old} -> {new}")));
    }
    let names: BTreeSet<&String> = before.outputs.keys().chain(now.outputs.keys()).collect();
    for name in names {
        let said = |outputs: &BTreeMap<String, String>| {
            outputs.get(name).cloned().unwrap_or_else(|| "none".to_owned())
        };
        let (old, new) = (said(&before.outputs), said(&now.outputs));
        if old != new {
            reasons.push(format!("output {name} {old} -> {new}"));
        }
    }
    if before.format != now.format {
        reasons.push(format!("key format {} -> {}", before.format, now.format));
    }
    reasons
}

/// `temperature 2.5 -> 3.0` for each name whose value differs.
fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let said = |values: &BTreeMap<String, String>, name| {
        values.get(name).cloned().unwrap_or_else(|| "unset".to_owned())
    };
    let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differing.map(|name| format!("{name} {} -> {}", said(old, name), said(new, name))).collect()
}

/// Every value by its dotted name. A list is one value: its places have no names.
fn flatten(table: &toml::Table) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                found.extend(flatten(inner).into_iter().map(|(path, text)| (format!("{name}.{path}"), text)));
            }
            value => drop(found.insert(name.clone(), short(value))),
        }
    }
    found
}

/// A value as people write it: an f32 of 2.3 is 2.299999952316284 once it is JSON.
fn short(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(float) => {
            #[expect(clippy::cast_possible_truncation, reason = "whether it is an f32 is the question")]
            let single = *float as f32;
            #[expect(clippy::float_cmp, reason = "only the very same value may be written shorter")]
            let is_single = f64::from(single) == *float;
            if is_single { format!("{single:?}") } else { format!("{float:?}") }
        }
        toml::Value::Array(items) => {
            format!("[{}]", items.iter().map(short).collect::<Vec<_>>().join(", "))
        }
        // On one line, whatever it contains; TOML would write a long text on many.
        toml::Value::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_as_they_were_written() {
        let json = json!({"a": 2.3_f32, "b": {"c": [1, 2.5], "d": "x\ny"}, "e": true, "f": 3.0});
        let said: Vec<_> =
            flatten(&params(&json)).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(said, ["a=2.3", "b.c=[1, 2.5]", "b.d=\"x\\ny\"", "e=true", "f=3.0"]);
    }
}
