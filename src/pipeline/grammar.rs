//! What a pipeline file may say, as a JSON schema for editors: made from the registry and from the lists of
//! keys that the parser itself uses.

use serde_json::{Map, Value, json};
use stage_contract::{Form, Port, Registry, StageKind};

use super::{
    env::{FIXED, VARIABLE},
    keys::{NAME, OUTPUT_KEYS, PIPELINE_KEYS, RUN, SOURCE_KEYS, STAGE_KEYS, TOP_KEYS},
    scheduling::MAX_RETRIES,
    schema,
};

/// The JSON schema (draft 2020-12) of a pipeline file for the stages of this registry.
#[must_use]
pub fn grammar(registry: &Registry) -> Value {
    let mut defs = Map::new();
    let kinds: Vec<_> = registry.kinds().iter().map(|kind| kind.name).collect();
    defs.insert("name".to_owned(), json!({ "type": "string", "pattern": format!("^{NAME}$") }));
    let instance = r"@[^*@{}\s]+";
    for (name, which, described) in [
        ("origin", format!("({instance})?"), ""),
        ("origins", format!("({instance}|@\\*)?"), ", or `<stage>@*.<output>` of all instances"),
    ] {
        let described = format!("`sources.<name>`, `<stage>.<output>`, `<stage>@<key>.<output>`{described}");
        let pattern = format!(r"^{NAME}{which}\.{NAME}$");
        defs.insert(
            name.to_owned(),
            json!({ "description": described, "type": "string", "pattern": pattern }),
        );
    }
    defs.insert("string".to_owned(), json!({ "type": "string" }));
    defs.insert("kind".to_owned(), json!({ "enum": kinds }));
    let source = source(registry, &mut defs);
    defs.insert("source".to_owned(), source);
    for kind in registry.stages() {
        let parameters = own_schema(&kind.form, kind.spec.name, &mut defs);
        defs.insert(format!("{} parameters", kind.spec.name), parameters);
        defs.insert(kind.spec.name.to_owned(), either(|expanded| stage(kind, expanded)));
    }
    defs.insert("command".to_owned(), either(command));
    let names: Vec<&str> = registry.stages().iter().map(|kind| kind.spec.name).chain(["command"]).collect();
    let mut whole = object(&TOP_KEYS, |key| match key {
        "pipeline" => object(&PIPELINE_KEYS, |_| reference("name")),
        "seed" => json!({
            "description": "what all stages draw their randomness from",
            "type": "integer", "minimum": 0, "maximum": u64::MAX, "default": 42,
        }),
        "sources" => json!({
            "description": "what lies in the project before any stage runs",
            "type": "object",
            "propertyNames": reference("name"),
            "additionalProperties": reference("source"),
        }),
        "stage" => stages(&names),
        other => shared(other, ""),
    });
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    whole["title"] = json!("a pipeline of ner-pipe");
    whole["required"] = json!(["stage"]);
    whole["$defs"] = Value::Object(defs);
    whole
}

/// A source: where it lies, its kind, and that kind's options.
fn source(registry: &Registry, defs: &mut Map<String, Value>) -> Value {
    let table = |options: Map<String, Value>| {
        let mut table = object(&SOURCE_KEYS, |key| match key {
            "path" => json!({ "description": "relative to the project's folder", "type": "string" }),
            "hub" => {
                json!({ "description": "a repository of the Hugging Face Hub: `owner/name`", "type": "string" })
            }
            "revision" => json!({
                "description": "branch, tag or commit; the lock file keeps the commit", "type": "string", "default": "main",
            }),
            _ => reference("kind"),
        });
        if let Some(properties) = table["properties"].as_object_mut() {
            properties.extend(options);
        }
        table["required"] = json!(["kind"]);
        table["oneOf"] = json!([{ "required": ["path"] }, { "required": ["hub"] }]);
        table["dependentRequired"] = json!({ "revision": ["hub"] });
        table
    };
    let kinds = registry.kinds().into_iter();
    kinds.filter_map(|kind| Some((kind, registry.options_of(kind)?))).fold(
        table(Map::new()),
        |otherwise, (kind, form)| {
            let mut options = own_schema(form, &format!("source {}", kind.name), defs);
            let options = options["properties"].as_object_mut().map(std::mem::take).unwrap_or_default();
            let is_kind = json!({ "required": ["kind"], "properties": { "kind": { "const": kind.name } } });
            json!({ "if": is_kind, "then": table(options), "else": otherwise })
        },
    )
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{}", name.replace(' ', "%20")) })
}

/// A table with exactly these keys.
fn object(keys: &[&str], of: impl Fn(&str) -> Value) -> Value {
    let properties: Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// `[stage]`: a table's name is the stage, unless `use` says another.
fn stages(names: &[&str]) -> Value {
    let by_use: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "if": { "required": ["use"], "properties": { "use": { "const": name } } },
                "then": reference(name),
            })
        })
        .collect();
    let spelled_out = json!({
        "type": "object",
        "properties": { "use": { "description": "the stage", "enum": names } },
        "allOf": by_use,
    });
    let by_name: Map<_, _> = names
        .iter()
        .map(|name| {
            let either =
                json!({ "if": { "required": ["use"] }, "then": spelled_out, "else": reference(name) });
            ((*name).to_owned(), either)
        })
        .collect();
    let mut otherwise = spelled_out.clone();
    otherwise["required"] = json!(["use"]);
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "allOf": [reference("name"), { "not": { "const": "sources" } }] },
        "properties": by_name,
        "additionalProperties": otherwise,
    })
}

/// A table as it is, or one that is expanded, in which any string may be a placeholder.
fn either(table: impl Fn(bool) -> Value) -> Value {
    let expanded = json!({ "anyOf": [{ "required": ["foreach"] }, { "required": ["matrix"] }] });
    json!({ "if": expanded, "then": table(true), "else": table(false) })
}

/// A stage of the registry.
fn stage(kind: &StageKind, expanded: bool) -> Value {
    let spec = &kind.spec;
    let port = |port: &Port| {
        let description = format!("{}: {}", port.kind.name, port.doc);
        let origin = match (expanded, port.further) {
            (true, _) => "string",
            (false, true) => "origins",
            (false, false) => "origin",
        };
        json!({ "description": description, "$ref": format!("#/$defs/{origin}") })
    };
    let needed: Vec<_> = spec.inputs.iter().filter(|port| port.required).map(|port| port.name).collect();
    let own = spec.inputs.iter().filter(|port| !port.further);
    let own: Map<_, _> = own.map(|one| (one.name.to_owned(), port(one))).collect();
    let mut inputs = json!({
        "type": "object", "properties": own, "required": needed, "additionalProperties": false,
    });
    if let Some(further) = spec.further() {
        inputs["additionalProperties"] = port(further);
        inputs["propertyNames"] = reference("name");
    }
    let names: Vec<_> = schema::parameters(&kind.form).into_iter().map(|parameter| parameter.name).collect();
    // Only a command declares outputs, and asks for variables.
    let keys: Vec<_> = STAGE_KEYS.into_iter().filter(|key| !["outputs", "env"].contains(key)).collect();
    let mut table = object(&keys, |key| match key {
        "inputs" => inputs.clone(),
        "params" if expanded => {
            object(&names.iter().map(String::as_str).collect::<Vec<_>>(), |_| json!(true))
        }
        "params" => reference(&format!("{} parameters", spec.name)),
        other => shared(other, spec.name),
    });
    table["description"] = json!(spec.doc);
    table["allOf"] = json!([not_both("params", "config"), not_both("foreach", "matrix")]);
    if !needed.is_empty() {
        table["required"] = json!(["inputs"]);
    }
    table
}

fn not_both(one: &str, other: &str) -> Value {
    json!({ "not": { "required": [one, other] } })
}

/// The keys that mean the same in every stage.
fn shared(key: &str, name: &str) -> Value {
    match key {
        "use" => json!({ "const": name }),
        "config" => json!({ "description": "a file with the parameters", "type": "string" }),
        "resources" => json!({
            "description": "how much of each; memory also as `\"4GiB\"`",
            "type": "object",
            "propertyNames": reference("name"),
            "properties": { "memory": { "type": ["integer", "string"], "minimum": 0 } },
            "additionalProperties": { "type": "integer", "minimum": 0 },
        }),
        "mutex" => json!({
            "description": "what no two stages that execute may share",
            "oneOf": [reference("name"), { "type": "array", "items": reference("name") }],
        }),
        "timeout" | "grace" | "backoff" => json!({ "description": "like `\"1h 30m\"`", "type": "string" }),
        "retries" => json!({ "type": "integer", "minimum": 0, "maximum": MAX_RETRIES }),
        "seed" => {
            json!({ "description": "in place of the pipeline's", "type": "integer", "minimum": 0, "maximum": u64::MAX })
        }
        "foreach" => json!({
            "description": "one stage for each value; `{item}` is the value",
            "type": ["array", "object"], "minItems": 1, "minProperties": 1,
        }),
        "matrix" => json!({
            "description": "one stage for each combination; `{matrix.<name>}` is a value",
            "type": "object",
            "minProperties": 1,
            "propertyNames": reference("name"),
            "additionalProperties": { "type": ["array", "object"], "minItems": 1, "minProperties": 1 },
        }),
        // A key that the parser knows and nobody described here yet.
        _ => json!(true),
    }
}

/// The runner's own stage.
fn command(expanded: bool) -> Value {
    let origin = if expanded { "string" } else { "origins" };
    // It is given no seed.
    let keys: Vec<_> = STAGE_KEYS.into_iter().filter(|key| *key != "seed").collect();
    let mut table = object(&keys, |key| match key {
        "inputs" => json!({
            "type": "object",
            "propertyNames": reference("name"),
            "additionalProperties": reference(origin),
        }),
        "outputs" => {
            let mut detailed = object(&OUTPUT_KEYS, |key| match key {
                "kind" => reference("kind"),
                _ => json!({ "type": "string" }),
            });
            detailed["required"] = json!(["path"]);
            json!({
                "description": "where each is published: a file, or a folder when the path ends with `/`",
                "type": "object",
                "minProperties": 1,
                "propertyNames": reference("name"),
                "additionalProperties": { "oneOf": [{ "type": "string" }, detailed] },
            })
        }
        "env" => {
            let fixed = FIXED.map(|(name, _)| format!("{name}$")).join("|");
            json!({
                "description": "variables of the environment that it gets beside those that every stage has",
                "type": "array",
                "items": {
                    "type": "string",
                    "pattern": format!("^{VARIABLE}$"),
                    "not": { "pattern": format!("^({fixed}|NER_PIPE_)") },
                },
            })
        }
        "params" => {
            let mut params = object(
                &[RUN],
                |_| json!({ "description": "a line for `sh -c`; `{name}` is the path of an input or output", "type": "string" }),
            );
            params["required"] = json!([RUN]);
            params
        }
        other => shared(other, "command"),
    });
    table["description"] = json!("runs any program: the runner's own stage");
    table["required"] = json!(["outputs"]);
    table["oneOf"] = json!([{ "required": ["params"] }, { "required": ["config"] }]);
    table["allOf"] = json!([not_both("foreach", "matrix")]);
    table
}

/// The schema of a form; what it defines goes to `defs` under names of its own, which begin with `whose`.
fn own_schema(form: &Form, whose: &str, defs: &mut Map<String, Value>) -> Value {
    let mut schema = (form.schema)();
    let prefix = format!("{whose} ");
    point_into(&mut schema, &prefix);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        fields.remove("title");
        if let Some(Value::Object(inner)) = fields.remove("$defs") {
            defs.extend(inner.into_iter().map(|(name, schema)| (format!("{prefix}{name}"), schema)));
        }
        // The parser rejects all other keys, even where serde's schema cannot express that (flattened
        // fields).
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

/// Rewrites every reference to `#/$defs/<name>` to `#/$defs/<prefix><name>`.
fn point_into(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "$ref" => {
                        *text = text.replace("#/$defs/", &format!("#/$defs/{}", prefix.replace(' ', "%20")));
                    }
                    value => point_into(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point_into(item, prefix)),
        _ => {}
    }
}
