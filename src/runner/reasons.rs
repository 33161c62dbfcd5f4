//! What differs between the last good state and now, exactly.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    fingerprint::{Fingerprint, Manifest},
    lock::{Locked, params},
};

/// What is said of a stage whose code is another.
pub const CODE: &str = "code changed";

/// What of the stage itself differs: `params.temperature 2.5 -> 3.0`.
#[must_use]
pub fn own(before: &Locked, now: &Fingerprint, pipeline_seed: u64) -> Vec<String> {
    let manifest = &now.manifest;
    let mut reasons = Vec::new();
    if before.uses != manifest.stage {
        reasons.push(format!("use {} -> {}", before.uses, manifest.stage));
    }
    if before.version != manifest.version {
        reasons.push(format!("version {} -> {}", before.version, manifest.version));
    }
    let (old, new) = (flat(&before.params), flat(&params(&manifest.params)));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let said = |values: &BTreeMap<String, String>| {
            values.get(name).cloned().unwrap_or_else(|| "unset".to_owned())
        };
        if old.get(name) != new.get(name) {
            reasons.push(format!("params.{name} {} -> {}", said(&old), said(&new)));
        }
    }
    if manifest.seed.is_some()
        && let Some(seed) = before.seed
        && seed != pipeline_seed
    {
        reasons.push(format!("seed {seed} -> {pipeline_seed}"));
    }
    if before.code != manifest.code {
        reasons.push(CODE.to_owned());
    }
    reasons
}

/// What differs that no lock records: it has no names of machines.
#[must_use]
pub fn hidden(before: Option<&Manifest>, now: &Manifest) -> Vec<String> {
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

/// Every value by its dotted name. A list is one value: its places have no names.
fn flat(table: &toml::Table) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                found.extend(flat(inner).into_iter().map(|(path, text)| (format!("{name}.{path}"), text)));
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
            flat(&params(&json)).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(said, ["a=2.3", "b.c=[1, 2.5]", "b.d=\"x\\ny\"", "e=true", "f=3.0"]);
    }
}
