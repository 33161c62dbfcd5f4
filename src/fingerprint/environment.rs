//! What a command's variables of the environment are, as its key says it: a hash of each value, and of a secret nothing.

use std::{collections::BTreeSet, ffi::OsString, os::unix::ffi::OsStrExt};

use serde_json::{Map, Value};

use super::Digest;
use crate::secrets::{is_secret_name, secrets};

/// By name. A secret that changes (a token that is made anew) is no other input; that there is one is.
pub(super) fn marks(names: &BTreeSet<String>, value: impl Fn(&str) -> Option<OsString>) -> Value {
    let mark = |name: &String| {
        let Some(value) = value(name) else { return "unset".to_owned() };
        // `NAME=value` is looked at, as it would stand in a command line.
        let assigned = format!("{name}={}", value.to_string_lossy());
        if is_secret_name(name) || !secrets(&assigned).is_empty() {
            return "secret".to_owned();
        }
        Digest::of(value.as_bytes()).short()
    };
    Value::Object(names.iter().map(|name| (name.clone(), Value::String(mark(name)))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_by_its_hash_and_a_secret_by_being_there() {
        let marks_of = |value: Option<&str>| {
            let names = ["MODEL", "HF_TOKEN", "DATABASE"].map(str::to_owned).into();
            let value = |name: &str| match name {
                "DATABASE" => Some(format!("postgres://me:{}@host/x", value.unwrap_or("y")).into()),
                _ => value.map(OsString::from),
            };
            marks(&names, value)
        };
        let (unset, small, large) = (marks_of(None), marks_of(Some("small")), marks_of(Some("large")));
        assert_eq!((&unset["MODEL"], &unset["HF_TOKEN"]), (&"unset".into(), &"unset".into()));
        assert_ne!(small["MODEL"], large["MODEL"]);
        for marks in [&small, &large] {
            assert_eq!((&marks["HF_TOKEN"], &marks["DATABASE"]), (&"secret".into(), &"secret".into()));
            assert!(!marks.to_string().contains("small") && !marks.to_string().contains("large"));
        }
    }
}
