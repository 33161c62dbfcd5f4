//! The parameters of a stage, and the options of a source, as documentation, read from their JSON schema.

use serde_json::{Map, Value};
use stage_contract::Form;

/// How many levels of nested tables are described: a schema may be recursive.
const DEPTH: usize = 4;

/// One parameter of a stage, or one option of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its key.
    pub name: String,
    /// What it takes, in words: `number from 0`, `list of 4 numbers`, `one of "a", "b"`.
    pub takes: String,
    /// The default; null when it is optional and has none.
    pub default: Value,
    /// What it does.
    pub doc: String,
    /// The values of an enum, with their documentation.
    pub variants: Vec<(String, String)>,
    /// The keys of a table.
    pub fields: Vec<Parameter>,
}

/// All of them, in the order of the fields.
#[must_use]
pub fn parameters(form: &Form) -> Vec<Parameter> {
    let (schema, defaults) = ((form.schema)(), defaults(form));
    fields(&schema, &schema, Some(&defaults), DEPTH)
}

/// The keys of a table, in the order of the struct's fields: a schema may be sorted by name, but the defaults
/// are the serialised struct.
fn fields(table: &Value, schema: &Value, defaults: Option<&Value>, depth: usize) -> Vec<Parameter> {
    if depth == 0 {
        return Vec::new();
    }
    let table = resolve(table, schema);
    if let Some(entry) = entry(table) {
        return vec![read("<name>", entry, schema, None, depth)];
    }
    let mut found: Vec<_> = properties(table)
        .map(|(name, property)| {
            read(name, property, schema, defaults.and_then(|values| values.get(name)), depth)
        })
        .collect();
    if let Some(Value::Object(values)) = defaults {
        found.sort_by_key(|field| values.keys().position(|name| *name == field.name).unwrap_or(usize::MAX));
    }
    found
}

/// A parameter, or one nested in it: `["schedule", "warmup"]`; the innermost that is in the schema.
#[must_use]
pub fn parameter(form: &Form, path: &[&str]) -> Option<Parameter> {
    let (schema, defaults) = ((form.schema)(), defaults(form));
    let (mut here, mut default, mut found) = (&schema, Some(&defaults), None);
    for name in path {
        let Some(inner) = inside(resolve(here, &schema), name) else { break };
        here = inner;
        default =
            default.and_then(|value| value.get(name).or_else(|| value.get(name.parse::<usize>().ok()?)));
        found = Some(read(name, inner, &schema, default, DEPTH));
    }
    found
}

/// Every number out of its range, and every list too short or too long: its path, and the violation in words.
#[must_use]
pub fn out_of_range(form: &Form, values: &Map<String, Value>) -> Vec<(Vec<String>, String)> {
    if values.is_empty() {
        return Vec::new();
    }
    let (schema, mut found) = ((form.schema)(), Vec::new());
    for (name, value) in values {
        collect_violations(value, inside(&schema, name), &schema, vec![name.clone()], &mut found);
    }
    found
}

fn collect_violations(
    value: &Value,
    schema: Option<&Value>,
    root: &Value,
    path: Vec<String>,
    found: &mut Vec<(Vec<String>, String)>,
) {
    let Some(schema) = schema.map(|schema| resolve(schema, root)) else { return };
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        Value::Object(entries) => entries.iter().map(|(name, entry)| (name.clone(), entry)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let schema = inside(schema, &name);
        collect_violations(value, schema, root, path.iter().cloned().chain([name]).collect(), found);
    }
    found.extend(violation(value, schema).map(|words| (path, words)));
}

/// How a number, or the length of a list, is out of range.
fn violation(value: &Value, schema: &Value) -> Option<String> {
    type Bound = (&'static str, fn(&f64, &f64) -> bool, &'static str);
    const NUMBER: &[Bound] = &[
        ("minimum", f64::lt, "below"),
        ("exclusiveMinimum", f64::le, "not above"),
        ("maximum", f64::gt, "above"),
        ("exclusiveMaximum", f64::ge, "not below"),
    ];
    const LENGTH: &[Bound] = &[("minItems", f64::lt, "less than"), ("maxItems", f64::gt, "more than")];
    let (bounds, number, words) = match value {
        Value::Number(number) => (NUMBER, number.as_f64()?, format!("is {}", literal(value)?)),
        Value::Array(items) => {
            let length = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let entries = if length == 1 { "entry" } else { "entries" };
            (LENGTH, f64::from(length), format!("has {length} {entries}"))
        }
        _ => return None,
    };
    bounds.iter().find_map(|(key, breaks, how)| {
        let bound = schema.get(key)?.as_f64()?;
        breaks(&number, &bound).then(|| format!("{words}, {how} {bound}"))
    })
}

/// Their defaults; null when some are required.
#[must_use]
pub fn defaults(form: &Form) -> Value {
    (form.fill)(Value::Object(Map::new())).unwrap_or_default()
}

fn read(name: &str, property: &Value, schema: &Value, default: Option<&Value>, depth: usize) -> Parameter {
    Parameter {
        name: name.to_owned(),
        takes: takes(property, schema),
        default: default.cloned().unwrap_or_default(),
        doc: text(property, "description"),
        variants: variants(property, schema),
        fields: fields(property, schema, default, depth - 1),
    }
}

/// A JSON value as TOML writes it; nothing for null.
#[must_use]
pub fn literal(value: &Value) -> Option<String> {
    if value.is_null() { None } else { toml::Value::try_from(value).ok().map(|value| value.to_string()) }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The schema of a key of a table or an item of a list.
fn inside<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let property = schema.get("properties").and_then(|fields| fields.get(name));
    let item = schema.get("items").filter(|_| name.parse::<usize>().is_ok());
    property.or(item).or_else(|| entry(schema))
}

/// The schema of the values of a map, a table with any keys.
fn entry(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|entry| entry.is_object())
}

fn text(schema: &Value, key: &str) -> String {
    let text = schema.get(key).and_then(Value::as_str).unwrap_or_default();
    // Line breaks within a paragraph of a doc comment are only layout.
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n")
}

/// Follows `$ref`, and `anyOf`/`allOf` with a single alternative (an optional or documented reference).
fn resolve<'s>(mut schema: &'s Value, root: &'s Value) -> &'s Value {
    loop {
        let next = if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            root.pointer(name.trim_start_matches('#'))
        } else {
            let parts = schema.get("anyOf").or_else(|| schema.get("allOf")).and_then(Value::as_array);
            let mut parts = parts.into_iter().flatten().filter(|part| !is_null(part));
            parts.next().filter(|_| parts.next().is_none())
        };
        match next {
            Some(next) => schema = next,
            None => return schema,
        }
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn takes(schema: &Value, root: &Value) -> String {
    let schema = resolve(schema, root);
    let variants = variants(schema, root);
    if !variants.is_empty() {
        let names: Vec<_> = variants.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        return format!("one of {}", names.join(", "));
    }
    if let Some(options) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
        let options: Vec<_> = options.iter().map(|option| takes(option, root)).collect();
        return options.join(" or ");
    }
    if let Some(value) = schema.get("const") {
        return literal(value).unwrap_or_default();
    }
    let names = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.and_then(Value::as_str),
    };
    match names {
        Some("number") => format!("number{}", range(schema)),
        Some("integer") => format!("whole number{}", range(schema)),
        Some("boolean") => "true or false".to_owned(),
        Some("string") => "string".to_owned(),
        Some("array") => list(schema, root),
        Some("object") => "table".to_owned(),
        _ => "any value".to_owned(),
    }
}

/// The range of a number, as a suffix: ` from 0 to 1`, ` above 0`, ` from 0, below 1`.
fn range(schema: &Value) -> String {
    let bound = |key: &str, word: &str| {
        schema.get(key).and_then(Value::as_f64).map(|bound| format!("{word} {bound}"))
    };
    let least = bound("exclusiveMinimum", " above").or_else(|| bound("minimum", " from"));
    let most = bound("exclusiveMaximum", ", below").or_else(|| bound("maximum", " to"));
    least.into_iter().chain(most).collect()
}

fn list(schema: &Value, root: &Value) -> String {
    if let Some(items) = schema.get("prefixItems").and_then(Value::as_array) {
        let items: Vec<_> = items.iter().map(|item| takes(item, root)).collect();
        return format!("list [{}]", items.join(", "));
    }
    let item = schema.get("items").map_or_else(|| "any value".to_owned(), |items| takes(items, root));
    let bound = |key| schema.get(key).and_then(Value::as_u64).filter(|bound| *bound > 0);
    let count = match (bound("minItems"), bound("maxItems")) {
        (Some(least), Some(most)) if least == most => format!("{least} "),
        (Some(least), Some(most)) => format!("{least} to {most} "),
        (Some(least), None) => format!("{least} or more "),
        (None, Some(most)) => format!("up to {most} "),
        (None, None) => String::new(),
    };
    format!("list of {count}{}", plural(&item))
}

fn plural(words: &str) -> String {
    for word in ["number", "string", "table", "list"] {
        if words.contains(word) {
            return words.replacen(word, &format!("{word}s"), 1);
        }
    }
    words.to_owned()
}

/// The names of an enum without content, with their documentation.
fn variants(schema: &Value, root: &Value) -> Vec<(String, String)> {
    let schema = resolve(schema, root);
    let strings = |values: &Value| -> Vec<(String, String)> {
        let values = values.as_array().into_iter().flatten();
        values.filter_map(Value::as_str).map(|name| (name.to_owned(), String::new())).collect()
    };
    if let Some(values) = schema.get("enum") {
        return strings(values);
    }
    let Some(options) = schema.get("oneOf").and_then(Value::as_array) else { return Vec::new() };
    let mut found = Vec::new();
    for option in options {
        if let Some(name) = option.get("const").and_then(Value::as_str) {
            found.push((name.to_owned(), text(option, "description")));
        } else if let Some(values) = option.get("enum") {
            found.extend(strings(values));
        } else {
            return Vec::new();
        }
    }
    found
}
