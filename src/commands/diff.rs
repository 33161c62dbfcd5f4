//! `ner-pipe diff KEY KEY`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use stage_contract::terminal::stdout;

use super::{exit::Exit, options::working_folder, output::emit};
use crate::{
    runner::Stop,
    store::{Entry, Store},
    watch::Format,
};

/// Say what differs between two results in the cache
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A result's key, or its beginning (`ner-pipe why STAGE` shows it)
    before: String,
    /// Another's
    after: String,
    /// How to say it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Does it.
///
/// # Errors
/// When a key means no result, or several.
pub fn run(args: &Args) -> Result<Exit, Stop> {
    let store = Store::at(&working_folder()?)?;
    let (before, after) = (find(&store, &args.before)?, find(&store, &args.after)?);
    let (old, new) = (facts(&before), facts(&after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let lines = match args.format {
        Format::Text => {
            let head = |entry: &Entry| format!("{} {}", entry.key().short(), entry.record.stage);
            let said = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
            let rows =
                differing.map(|name| format!("  {name} {} -> {}", said(old.get(name)), said(new.get(name))));
            let rows: Vec<String> = rows.collect();
            let first = format!("{} -> {}", head(&before), head(&after));
            let none = if rows.is_empty() { vec!["  nothing differs".to_owned()] } else { Vec::new() };
            [vec![first], rows, none].concat()
        }
        Format::Json => {
            let rows =
                differing.map(|name| json!({"name": name, "before": old.get(name), "after": new.get(name)}));
            let rows: Vec<Value> = rows.collect();
            vec![json!({"before": before.key(), "after": after.key(), "differences": rows}).to_string()]
        }
    };
    emit(&mut stdout(), lines)?;
    Ok(Exit::Ok)
}

/// The one result whose key begins so.
fn find(store: &Store, start: &str) -> Result<Entry, Stop> {
    let found = store.keys_with_prefix(start);
    match found.as_slice() {
        [key] => store.peek(key).ok_or_else(|| {
            Stop::wrong(
                format!("the result {} in the cache is damaged", key.short()),
                "type `ner-pipe run` to make it again",
            )
        }),
        [] => Err(Stop::wrong(
            format!("no result in the cache has a key that begins with `{start}`"),
            "take the key from `ner-pipe why STAGE`, or from `pipeline.lock`",
        )),
        several => {
            let keys: Vec<String> = several.iter().map(|key| format!("`{}`", key.short())).collect();
            Err(Stop::wrong(
                format!("`{start}` is the beginning of {} keys", several.len()),
                format!("write more digits: {}", keys.join(", ")),
            ))
        }
    }
}

/// Everything that is known of a result, by dotted names.
fn facts(entry: &Entry) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let (manifest, record) = (&entry.manifest, &entry.record);
    // Keys differ for what follows; what is a digest of several things says less than they do.
    let manifest = serde_json::to_value(manifest).unwrap_or_default();
    let record = serde_json::to_value(record).unwrap_or_default();
    for (name, value) in [manifest, record].iter().filter_map(Value::as_object).flatten() {
        match (name.as_str(), value) {
            ("key", _) => {}
            ("code", Value::String(_)) if !entry.record.code.is_empty() => {}
            (name, value) => flatten(name, value, &mut found),
        }
    }
    found
}

fn flatten(name: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (inner, value) in fields {
                flatten(&format!("{name}.{inner}"), value, found);
            }
        }
        value => drop(found.insert(name.to_owned(), value.clone())),
    }
}
